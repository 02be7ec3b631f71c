"""Either libsodium gives the same bytes, and the wheel's leaves no file behind."""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from keys import _sodium
from keys.errors import TokenError
from tests.needs import missing

ROOT = Path(__file__).parents[2]


def _installed():
    try:
        _sodium.load("system")
    except TokenError:
        return False
    return True


@pytest.mark.parametrize("source", ["system", "rbcl"])
def test_either_library_gives_the_official_bytes(source, tmp_path):
    """A process that insists on one has no other, and its temporary folder is empty."""
    if source == "system" and not _installed():
        missing("libsodium: libsodium23")
    environ = os.environ | {
        _sodium.VARIABLE: source,
        "TMPDIR": str(tmp_path),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    words = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(ROOT)]
    wanted = ["-k", "official or multiples or invalid or canonical or whole_key"]
    names = ["test_ristretto.py", "test_voprf.py", "test_shares.py"]
    files = [str(ROOT / "tests" / "keys" / name) for name in names]
    words += ["--import-mode=importlib", *wanted, *files]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_wheel_is_loaded_without_leaving_a_file(tmp_path):
    """The folder is empty while the library is in use, not only afterwards."""
    code = (
        "import os; from keys import _sodium, voprf; voprf.blind([b'x']);"
        "assert 'rbcl' in __import__('sys').modules;"
        "print(_sodium.lib.sodium_version_string().decode());"
        "print(os.listdir(os.environ['TMPDIR']))"
    )
    environ = os.environ | {_sodium.VARIABLE: "rbcl", "TMPDIR": str(tmp_path)}
    words = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        words, cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    version, files = done.stdout.splitlines()
    assert tuple(map(int, version.split("."))) >= (1, 0, 18)
    assert files == "[]"


def test_the_wheel_stands_in_where_no_library_is_installed(monkeypatch):
    """And the folder for temporary files is the usual one again."""
    usual = tempfile.gettempdir()
    monkeypatch.setattr(_sodium, "_names", lambda: iter(()))
    library = _sodium.load()
    assert library is _sodium.load("rbcl")
    assert tempfile.gettempdir() == usual
    with pytest.raises(TokenError, match="no libsodium") as caught:
        _sodium.load("system")
    assert "apt install" in caught.value.advice


@pytest.mark.parametrize("fault", [ImportError, OSError, AttributeError])
def test_a_wheel_that_does_not_load_is_explained(monkeypatch, fault):
    """It may be missing, TMPDIR may forbid programs, and a later one may differ."""
    usual = tempfile.gettempdir()

    def broken(name):
        raise fault("planted")

    monkeypatch.setattr(_sodium.importlib, "import_module", broken)
    with pytest.raises(TokenError, match="planted") as caught:
        _sodium.load("rbcl")
    assert "TMPDIR" in caught.value.advice
    assert tempfile.gettempdir() == usual


def test_the_system_library_goes_first(monkeypatch):
    """It is newer, shared by all processes, and needs no unpacking."""
    monkeypatch.setattr(_sodium, "_system", lambda: "system")
    monkeypatch.setattr(_sodium, "_wheel", lambda: pytest.fail("not needed"))
    assert _sodium.load() == "system"


def test_another_source_is_refused():
    """A misspelt name must not silently mean the usual order."""
    with pytest.raises(TokenError, match="Rbcl") as caught:
        _sodium.load("Rbcl")
    assert "system or rbcl" in caught.value.advice


def test_libraries_that_lack_the_group_are_passed_over(monkeypatch):
    """Neither a missing file nor a library without ristretto255 is an error."""
    names = ["libsodium.so.none", ctypes.util.find_library("c")]
    monkeypatch.setattr(_sodium, "_names", lambda: iter(names))
    with pytest.raises(TokenError, match=r"1\.0\.18"):
        _sodium.load("system")


@pytest.mark.parametrize("found", [None, "libsodium.so.99"])
def test_unknown_versions_are_found_by_name(monkeypatch, found):
    """The search comes last, because it starts other programs."""
    monkeypatch.setattr(_sodium.ctypes.util, "find_library", lambda _: found)
    names = list(_sodium._names())
    assert names[:2] == ["libsodium.so.23", "libsodium.so.26"]
    assert (names[-1] == found) == (found is not None)


def test_a_library_that_cannot_start_is_not_used():
    """It would not have chosen its safe implementation yet."""

    class Function:
        def __call__(self):
            return -1

    class Library:
        def __getattr__(self, name):
            return Function()

    with pytest.raises(OSError, match="sodium_init"):
        _sodium._describe(Library())
