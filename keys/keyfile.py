"""Private keys at rest: one small text file, sealed or readable by its owner alone.

Form, one line each::

    alliance-hub key v1
    <kind, for example ed25519 or voprf>
    plain <base64 secret>

or, sealed with a passphrase (Argon2id, RFC 9106; AES-256-GCM)::

    argon2id <passes> <KiB> <base64 salt> <base64 nonce> <base64 ciphertext>

The kind is bound to the ciphertext; one lane, 3 passes over 64 MiB. Files are made with
mode 0600, never overwritten, and refused when the group or others can read them.

Trusts the file system to keep mode 0600. Whoever reads a sealed file can only guess its
passphrase; whoever can write it can destroy it, but not make it give another secret.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keys.encoding import from_base64, parse_decimal, to_base64
from keys.errors import EncodingError, KeyFileError

__all__ = ["KeyFacts", "inspect_key", "read_key", "write_key"]

_MAGIC = "alliance-hub key v1"
_PASSES = 3
_KIB = 64 * 1024
_MAX_KIB = 1024 * 1024
_KIND = re.compile(r"[a-z0-9-]{1,32}")
_DAMAGED = "Restore it from a copy."


def _cipher(passphrase: str, salt: bytes, passes: int, kib: int) -> AESGCM:
    kdf = Argon2id(salt=salt, length=32, iterations=passes, lanes=1, memory_cost=kib)
    # An environment variable may hold bytes that are not UTF-8; they count as they are.
    return AESGCM(kdf.derive(passphrase.encode("utf-8", "surrogatepass")))


def _seal(kind: str, secret: bytes, passphrase: str) -> str:
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    cipher = _cipher(passphrase, salt, _PASSES, _KIB)
    parts = (salt, nonce, cipher.encrypt(nonce, secret, kind.encode()))
    return f"argon2id {_PASSES} {_KIB} " + " ".join(map(to_base64, parts))


def write_key(
    path: Path, secret: bytes, *, kind: str, passphrase: str | None = None
) -> None:
    """Write a private key, durably; without a passphrase it is stored as it is.

    Raises:
        KeyFileError: The file exists already, cannot be written, or would be sealed
            with an empty passphrase. A file that was half written is gone.
    """
    if not _KIND.fullmatch(kind):
        raise AssertionError("the kind of a key is one lower-case word")
    if passphrase == "":
        # An empty variable is a mistake; a seal that anybody opens would hide it.
        raise KeyFileError(
            "the passphrase is empty", "Choose one, or none at all to store it plain."
        )
    body = f"plain {to_base64(secret)}"
    if passphrase is not None:
        body = _seal(kind, secret, passphrase)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(
            f"{path} exists already", "Keep it, or move it away first."
        ) from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error
    try:
        _write(handle, path.parent, f"{_MAGIC}\n{kind}\n{body}\n")
    except OSError as error:
        # What is half written must not stand in the way of the next attempt.
        with contextlib.suppress(OSError):
            path.unlink()
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error


def _write(handle: int, parent: Path, text: str) -> None:
    with os.fdopen(handle, "w", encoding="ascii", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    # If we crash before this, the folder may forget the file, and nobody used it yet.
    folder = os.open(parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What a key file says without being opened."""

    kind: str
    sealed: bool
    mode: int


def inspect_key(path: Path) -> KeyFacts:
    """Return what a key file says of itself, without its secret.

    Raises:
        KeyFileError: Missing, or not a key file.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        lines = path.read_text(encoding="ascii").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path} cannot be read: {error}") from None
    if len(lines) != 4 or lines[0] != _MAGIC or lines[3]:
        raise KeyFileError(f"{path} is not a key file", _DAMAGED)
    return KeyFacts(lines[1], lines[2].startswith("argon2id "), mode)


def read_key(
    path: Path, *, kind: str, passphrase: str | Callable[[], str] | None = None
) -> bytes:
    """Return the secret of a key file.

    Args:
        path: The file.
        kind: What the caller needs it for; a key of another kind is refused.
        passphrase: What opens a sealed file, or a function that asks for it and is
            called for a sealed file only.

    Raises:
        KeyFileError: Missing, readable by others, of another kind, damaged, or locked.
    """
    lines = _read(path).split("\n")
    if len(lines) != 4 or lines[0] != _MAGIC or lines[3]:
        raise KeyFileError(f"{path} is not a key file")
    if lines[1] != kind:
        raise KeyFileError(f"{path} holds a {lines[1]} key, not {kind}")
    try:
        return _open(path, kind, lines[2].split(" "), passphrase)
    except EncodingError:
        raise KeyFileError(f"{path} is damaged", _DAMAGED) from None


def _read(path: Path) -> str:
    try:
        with path.open(encoding="ascii", newline="\n") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise KeyFileError(
                    f"{path} can be read by others", f"Run: chmod 600 {path}"
                )
            return file.read(10_000)
    except FileNotFoundError:
        raise KeyFileError(f"{path} does not exist") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise KeyFileError(f"{path} is not a key file") from None


def _open(
    path: Path,
    kind: str,
    parts: list[str],
    passphrase: str | Callable[[], str] | None,
) -> bytes:
    if parts[0] == "plain" and len(parts) == 2:
        return from_base64(parts[1])
    if parts[0] != "argon2id" or len(parts) != 6:
        raise KeyFileError(f"{path} is not a key file")
    if passphrase is None:
        raise KeyFileError(f"{path} is sealed", "Set HUB_PASSPHRASE to its passphrase.")
    phrase = passphrase() if callable(passphrase) else passphrase
    passes, kib = parse_decimal(parts[1], 100), parse_decimal(parts[2], _MAX_KIB)
    salt, nonce, sealed = (from_base64(p) for p in parts[3:])
    try:
        cipher = _cipher(phrase, salt, passes, kib)
        return cipher.decrypt(nonce, sealed, kind.encode())
    except ValueError:
        # The libraries refuse parameters and sizes that we never write.
        raise KeyFileError(f"{path} is damaged", _DAMAGED) from None
    except InvalidTag:
        raise KeyFileError(
            f"{path} cannot be unsealed", "Check the passphrase."
        ) from None
