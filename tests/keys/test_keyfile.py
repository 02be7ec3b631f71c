"""Private key files: sealed or plain, durable, for their owner alone."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keys import keyfile
from keys.encoding import to_base64
from keys.errors import KeyFileError
from keys.keyfile import KeyFacts, inspect_key, read_key, write_key

SECRET = bytes(range(32))
HEAD = "alliance-hub key v1\ned25519\n"
PUBLISHED = (
    HEAD + "argon2id 3 65536 xGBQt3An0ba+uj48opBejQ== mADfPNzh4+DRk9uJ "
    "Y+Kdh//aVVKNfUL+wE8x0v7EtgRkKVU6i+pMk1btR4GdkudPvXectyfaJXUTj1MF\n"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "member.key"


@pytest.fixture
def quick(monkeypatch):
    """The smallest Argon2id, where its cost is not what is tested."""
    monkeypatch.setattr(keyfile, "_PASSES", 1)
    monkeypatch.setattr(keyfile, "_KIB", 8)


def _place(path, text, mode=0o600):
    path.write_text(text, newline="\n")
    path.chmod(mode)


def test_a_plain_file_is_what_the_docstring_says(path):
    """Three lines, and readable by the owner alone."""
    write_key(path, SECRET, kind="ed25519")
    assert path.read_text() == f"{HEAD}plain {to_base64(SECRET)}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path, kind="ed25519") == SECRET
    # A passphrase in the environment is for other files; this one needs none.
    assert read_key(path, kind="ed25519", passphrase="unused") == SECRET


def test_a_sealed_file_holds_the_parameters_and_not_the_secret(path):
    """Argon2id with 3 passes over 64 MiB, salt 16, nonce 12, tag 16."""
    write_key(path, SECRET, kind="voprf", passphrase="correct horse")
    magic, kind, body, end = path.read_text().split("\n")
    assert (magic, kind, end) == ("alliance-hub key v1", "voprf", "")
    name, passes, kib, salt, nonce, sealed = body.split(" ")
    assert (name, passes, kib) == ("argon2id", "3", "65536")
    assert [len(x) for x in (salt, nonce, sealed)] == [24, 16, 64]
    assert to_base64(SECRET) not in body
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path, kind="voprf", passphrase="correct horse") == SECRET


def test_a_published_file_can_still_be_read(path):
    """A file of this version, kept so that no later one forgets how to open it."""
    _place(path, PUBLISHED)
    assert read_key(path, kind="ed25519", passphrase="tests only") == SECRET


@pytest.mark.usefixtures("quick")
def test_a_wrong_passphrase_or_none_opens_nothing(path):
    """And says which of the two it was, and what to do."""
    write_key(path, SECRET, kind="ed25519", passphrase="right")
    with pytest.raises(KeyFileError, match="sealed") as caught:
        read_key(path, kind="ed25519")
    assert "HUB_PASSPHRASE" in caught.value.advice
    for wrong in ("wrong", "", "Right", "right "):
        with pytest.raises(KeyFileError, match="unsealed") as caught:
            read_key(path, kind="ed25519", passphrase=wrong)
        assert "passphrase" in caught.value.advice


@pytest.mark.usefixtures("quick")
def test_two_seals_differ(tmp_path):
    """Salt and nonce are fresh each time."""
    bodies = set()
    for name in ("one", "two"):
        write_key(tmp_path / name, SECRET, kind="ed25519", passphrase="x")
        bodies.add((tmp_path / name).read_text())
    assert len(bodies) == 2


@pytest.mark.usefixtures("quick")
def test_only_a_sealed_file_asks_for_its_passphrase(tmp_path):
    """A question at the terminal comes when it is needed, and once."""
    asked = []

    def ask():
        asked.append(True)
        return "typed"

    write_key(tmp_path / "plain", SECRET, kind="ed25519")
    write_key(tmp_path / "sealed", SECRET, kind="ed25519", passphrase="typed")
    assert read_key(tmp_path / "plain", kind="ed25519", passphrase=ask) == SECRET
    assert not asked
    assert read_key(tmp_path / "sealed", kind="ed25519", passphrase=ask) == SECRET
    assert len(asked) == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("phrase", ["ä ö\n", "\udcff\udc80", "\ud800", "x" * 10_000])
def test_any_passphrase_but_an_empty_one_works(path, phrase):
    """Bytes of the environment that are not UTF-8 arrive as surrogates."""
    write_key(path, SECRET, kind="ed25519", passphrase=phrase)
    assert read_key(path, kind="ed25519", passphrase=phrase) == SECRET


def test_an_empty_passphrase_is_a_mistake(path):
    """It would look sealed and be open to everybody."""
    with pytest.raises(KeyFileError, match="empty"):
        write_key(path, SECRET, kind="ed25519", passphrase="")
    assert not path.exists()


@pytest.mark.usefixtures("quick")
def test_a_key_has_the_kind_that_it_was_sealed_with(path):
    """The kind is part of what the seal protects."""
    write_key(path, SECRET, kind="ed25519", passphrase="x")
    with pytest.raises(KeyFileError, match="holds a ed25519 key, not voprf"):
        read_key(path, kind="voprf", passphrase="x")
    _place(path, path.read_text().replace("ed25519", "voprf"))
    with pytest.raises(KeyFileError):
        read_key(path, kind="voprf", passphrase="x")


@pytest.mark.parametrize("kind", ["", "two words", "line\nbreak", "UPPER", "x" * 33])
def test_a_kind_is_one_word_of_ours(path, kind):
    """Anything else is a mistake in our code."""
    with pytest.raises(AssertionError):
        write_key(path, SECRET, kind=kind)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o610, 0o666, 0o777])
def test_a_file_that_others_can_touch_is_refused(path, mode):
    """With the command that mends it."""
    write_key(path, SECRET, kind="ed25519")
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="by others") as caught:
        read_key(path, kind="ed25519")
    assert caught.value.advice == f"Run: chmod 600 {path}"
    path.chmod(0o400)
    assert read_key(path, kind="ed25519") == SECRET


def test_a_generous_umask_opens_nothing(path):
    """The mode is given at creation, not mended afterwards."""
    before = os.umask(0)
    try:
        write_key(path, SECRET, kind="ed25519")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_is_never_overwritten(path, tmp_path):
    """Not through a link either, even one that leads nowhere."""
    write_key(path, SECRET, kind="ed25519")
    with pytest.raises(KeyFileError, match="exists") as caught:
        write_key(path, bytes(32), kind="ed25519")
    assert caught.value.advice
    assert read_key(path, kind="ed25519") == SECRET
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeyFileError, match="exists"):
        write_key(link, SECRET, kind="ed25519")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    """Whatever the file system says becomes our error."""
    missing = tmp_path / "missing" / "member.key"
    with pytest.raises(KeyFileError, match="cannot be written: No such file"):
        write_key(missing, SECRET, kind="ed25519")
    with pytest.raises(KeyFileError, match="does not exist"):
        read_key(missing, kind="ed25519")
    with pytest.raises(KeyFileError, match="cannot be read: Is a directory"):
        read_key(tmp_path, kind="ed25519")


@pytest.mark.parametrize("call", [0, 1])
def test_a_full_disk_leaves_no_half_written_key(path, monkeypatch, call):
    """Whichever of the two syncs fails, the next attempt finds its place free."""
    sync, calls = os.fsync, []

    def fail(handle):
        calls.append(handle)
        if len(calls) == call + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KeyFileError, match="No space left"):
        write_key(path, SECRET, kind="ed25519")
    assert not path.exists()
    write_key(path, SECRET, kind="ed25519")
    assert read_key(path, kind="ed25519") == SECRET
    # The file is synced before the folder that names it, each time.
    assert len(calls) == call + 1 + 2


def _lowest_free_handle():
    handle = os.dup(1)
    os.close(handle)
    return handle


def test_writing_many_keys_leaves_no_handle_open(tmp_path):
    """A node that rotates keys for years keeps its file descriptors."""
    before = _lowest_free_handle()
    for number in range(20):
        write_key(tmp_path / f"{number}.key", SECRET, kind="ed25519")
    assert _lowest_free_handle() == before


def test_the_bytes_are_written_before_they_are_synced(path, monkeypatch):
    """A sync of an empty file would keep an empty file through a power cut."""
    sync, sizes = os.fsync, []

    def watch(handle):
        sizes.append(path.stat().st_size)
        sync(handle)

    monkeypatch.setattr(os, "fsync", watch)
    write_key(path, SECRET, kind="ed25519")
    assert sizes == [path.stat().st_size] * 2


def test_a_disk_that_also_refuses_to_forget_is_still_our_error(path, monkeypatch):
    """The first cause is the one that is told."""

    def fail(_handle):
        path.unlink()
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KeyFileError, match="Input/output error"):
        write_key(path, SECRET, kind="ed25519")


PLAIN = f"plain {to_base64(SECRET)}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        HEAD,
        HEAD + PLAIN,
        HEAD + PLAIN + "\n\n",
        HEAD + PLAIN + " x\n",
        HEAD + PLAIN + "\r\n",
        (HEAD + PLAIN + "\n").replace("\n", "\r\n"),
        HEAD.replace("v1", "v2") + PLAIN + "\n",
        HEAD.replace("ed25519", "ed25519 ") + PLAIN + "\n",
        HEAD + PLAIN.replace("plain", "Plain") + "\n",
        HEAD + PLAIN[:-1] + "\n",
        HEAD + "plain\n",
        HEAD + "argon2id 3 65536 AAAA\n",
        HEAD + "scrypt 3 65536 AAAA AAAA AAAA\n",
        HEAD + "argon2id 03 65536 AAAA AAAA AAAA\n",
        HEAD + "argon2id 3 1048577 AAAA AAAA AAAA\n",
        HEAD + "argon2id 101 65536 AAAA AAAA AAAA\n",
        HEAD + "argon2id 0 65536 AAAA AAAA AAAA\n",
        HEAD + "argon2id 3 1 AAAA AAAA AAAA\n",
        HEAD + f"argon2id 1 8 {to_base64(bytes(16))} AAAA {to_base64(bytes(48))}\n",
        HEAD + "plain ä\n",
        HEAD + "plain " + "A" * 20_000 + "\n",
    ],
)
def test_what_is_not_a_key_file_is_refused(path, text):
    """Also parameters that the libraries refuse, and a file that goes on."""
    _place(path, text)
    with pytest.raises(KeyFileError):
        read_key(path, kind="ed25519", passphrase="x")


@pytest.mark.usefixtures("quick")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100), st.one_of(st.none(), st.text(min_size=1)))
def test_keys_go_round(tmp_path_factory, secret, passphrase):
    """Any secret, plain or sealed."""
    path = tmp_path_factory.mktemp("keys") / "member.key"
    write_key(path, secret, kind="ed25519", passphrase=passphrase)
    assert read_key(path, kind="ed25519", passphrase=passphrase) == secret


@pytest.mark.usefixtures("quick")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 200), value=st.integers(0, 255))
def test_a_damaged_sealed_file_never_gives_another_secret(
    tmp_path_factory, place, value
):
    """One changed byte: our error, or the byte was the same."""
    path = tmp_path_factory.mktemp("keys") / "member.key"
    write_key(path, SECRET, kind="ed25519", passphrase="x")
    raw = bytearray(path.read_bytes())
    raw[place % len(raw)] = value
    path.write_bytes(raw)
    try:
        assert read_key(path, kind="ed25519", passphrase="x") == SECRET
    except KeyFileError:
        return


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.binary().map(HEAD.encode().__add__)))
def test_hostile_files_only_raise_key_file_errors(tmp_path_factory, raw):
    """Whatever stands in the file, also behind a good head."""
    path = tmp_path_factory.mktemp("keys") / "member.key"
    path.write_bytes(raw)
    path.chmod(0o600)
    with pytest.raises(KeyFileError):
        read_key(path, kind="ed25519", passphrase="x")


def test_a_file_says_of_itself_without_being_opened(tmp_path):
    """Kind, whether it is sealed, and its mode; the secret is not needed."""
    plain, sealed = tmp_path / "plain.key", tmp_path / "sealed.key"
    write_key(plain, bytes(32), kind="voprf")
    write_key(sealed, bytes(32), kind="ed25519", passphrase="secret")
    assert inspect_key(plain) == KeyFacts("voprf", sealed=False, mode=0o600)
    assert inspect_key(sealed) == KeyFacts("ed25519", sealed=True, mode=0o600)
    plain.chmod(0o644)
    assert inspect_key(plain).mode == 0o644


@pytest.mark.parametrize(
    "text", ["", "x", "alliance-hub key v1\nvoprf\nplain AA==", "\xe4"]
)
def test_what_is_no_key_file_says_nothing(tmp_path, text):
    path = tmp_path / "a.key"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(KeyFileError):
        inspect_key(path)
    with pytest.raises(KeyFileError):
        inspect_key(tmp_path / "none.key")
