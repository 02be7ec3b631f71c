"""Finds libsodium and describes the ristretto255 functions that we call by ctypes.

The system's library (1.0.18 or newer) is used when there is one, else the one that the
``rbcl`` wheel carries. The environment variable ``ALLIANCE_HUB_SODIUM`` may say
``system`` or ``rbcl`` to insist on one of them.

The library is trusted with every secret of a token key and with every blind. Each call
releases the interpreter's lock, so other threads run meanwhile, and the library may be
used from several threads once ``sodium_init`` returned. It gets bare addresses: whoever
calls it checks lengths first, which only :mod:`keys.ristretto` does.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import os
import tempfile
from collections.abc import Iterator

from keys.errors import TokenError

__all__ = ["lib", "load"]

VARIABLE = "ALLIANCE_HUB_SODIUM"
_NAMES = (
    "libsodium.so.23",
    "libsodium.so.26",
    "libsodium.23.dylib",
    "libsodium.26.dylib",
    "libsodium.dll",
)
_POINTERS = {
    "crypto_core_ristretto255_add": 3,
    "crypto_core_ristretto255_from_hash": 2,
    "crypto_core_ristretto255_scalar_add": 3,
    "crypto_core_ristretto255_scalar_invert": 2,
    "crypto_core_ristretto255_scalar_mul": 3,
    "crypto_core_ristretto255_scalar_reduce": 2,
    "crypto_core_ristretto255_scalar_sub": 3,
    "crypto_scalarmult_ristretto255": 3,
    "crypto_scalarmult_ristretto255_base": 2,
}
_WITHOUT_RESULT = frozenset(
    f"crypto_core_ristretto255_scalar_{verb}"
    for verb in ("add", "mul", "reduce", "sub")
)


def _describe(library: ctypes.CDLL) -> ctypes.CDLL:
    """Declare what we call; an AttributeError tells of a library that is too old."""
    for name, count in _POINTERS.items():
        function = getattr(library, name)
        function.argtypes = [ctypes.c_void_p] * count
        function.restype = None if name in _WITHOUT_RESULT else ctypes.c_int
    library.sodium_version_string.restype = ctypes.c_char_p
    if library.sodium_init() < 0:
        raise OSError("sodium_init failed")
    return library


def _names() -> Iterator[str]:
    yield from _NAMES
    # This starts programs (ldconfig, a compiler), so it is asked only after the names.
    found = ctypes.util.find_library("sodium")
    if found:
        yield found


def _system() -> ctypes.CDLL:
    for name in _names():
        try:
            return _describe(ctypes.CDLL(name))
        except (OSError, AttributeError):
            continue
    raise TokenError(
        "no libsodium 1.0.18 or newer is installed",
        advice="Install it (Debian: apt install libsodium23), or the wheel rbcl.",
    )


def _wheel() -> ctypes.CDLL:
    """Load the library of the ``rbcl`` wheel and leave no copy of it behind.

    The wheel holds the library as text; each process that imports it writes a new file
    of 2.8 MB to the folder for temporary files and never removes it. So it gets a
    folder of its own, which goes again: once loaded, a library does not need its file.
    """
    usual = tempfile.gettempdir()
    try:
        # Windows keeps the file of a loaded library, whatever we want.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            tempfile.tempdir = folder
            library: ctypes.CDLL = importlib.import_module("rbcl._sodium")._sodium  # noqa: SLF001 - The wheel has no public name for it.
        return _describe(library)
    except (ImportError, OSError, AttributeError) as error:
        raise TokenError(
            f"the libsodium of the wheel rbcl does not load: {error}",
            advice="Install the system's libsodium, or set TMPDIR to a folder from "
            "which programs may run.",
        ) from None
    finally:
        tempfile.tempdir = usual


def load(source: str = "") -> ctypes.CDLL:
    """Return libsodium, ready for use.

    Args:
        source: ``system``, ``rbcl``, or empty for the first that works.

    Raises:
        TokenError: There is none, or the source is called otherwise.
    """
    if source == "system":
        return _system()
    if source == "rbcl":
        return _wheel()
    if source:
        raise TokenError(
            f"{VARIABLE} is {source!r}",
            advice=f"Set {VARIABLE} to system or rbcl, or remove it.",
        )
    try:
        return _system()
    except TokenError:
        return _wheel()


lib = load(os.environ.get(VARIABLE, ""))
