"""Private keys at rest: one small text file, sealed or readable by its owner alone.

Form, one line each::

    alliance-hub key v1
    <kind, for example ed25519 or voprf>
    plain <base64 secret>

or, sealed with a passphrase (Argon2id, RFC 9106; AES-256-GCM)::

    argon2id <passes> <KiB> <base64 salt> <base64 nonce> <base64 ciphertext>

The kind is bound to the ciphertext. Files are made with mode 0600, never overwritten,
and refused when the group or others can read them.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keys.encoding import from_base64, parse_decimal, to_base64
from keys.errors import EncodingError, KeyFileError

__all__ = ["read_key", "write_key"]

_MAGIC = "alliance-hub key v1"
_PASSES = 3
_KIB = 64 * 1024
_MAX_KIB = 1024 * 1024


def _cipher(passphrase: str, salt: bytes, passes: int, kib: int) -> AESGCM:
    kdf = Argon2id(salt=salt, length=32, iterations=passes, lanes=1, memory_cost=kib)
    return AESGCM(kdf.derive(passphrase.encode()))


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
        KeyFileError: The file exists already.
    """
    body = f"plain {to_base64(secret)}"
    if passphrase is not None:
        body = _seal(kind, secret, passphrase)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(
            f"{path} exists already", "Keep it, or move it away first."
        ) from None
    with os.fdopen(handle, "w") as file:
        file.write(f"{_MAGIC}\n{kind}\n{body}\n")
        file.flush()
        os.fsync(file.fileno())
    # If we crash before this, the folder may forget the file, and nobody used it yet.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_key(path: Path, *, kind: str, passphrase: str | None = None) -> bytes:
    """Return the secret of a key file.

    Raises:
        KeyFileError: Missing, readable by others, of another kind, or locked.
    """
    lines = _read(path).split("\n")
    if len(lines) != 4 or lines[0] != _MAGIC or lines[3]:
        raise KeyFileError(f"{path} is not a key file")
    if lines[1] != kind:
        raise KeyFileError(f"{path} holds a {lines[1]} key, not {kind}")
    try:
        return _open(path, kind, lines[2].split(" "), passphrase)
    except EncodingError:
        raise KeyFileError(f"{path} is damaged", "Restore it from a copy.") from None


def _read(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise KeyFileError(
                    f"{path} can be read by others", f"Run: chmod 600 {path}"
                )
            return file.read(10_000)
    except FileNotFoundError:
        raise KeyFileError(f"{path} does not exist") from None
    except UnicodeDecodeError:
        raise KeyFileError(f"{path} is not a key file") from None


def _open(path: Path, kind: str, parts: list[str], passphrase: str | None) -> bytes:
    if parts[0] == "plain" and len(parts) == 2:
        return from_base64(parts[1])
    if parts[0] != "argon2id" or len(parts) != 6:
        raise KeyFileError(f"{path} is not a key file")
    if passphrase is None:
        raise KeyFileError(
            f"{path} is sealed", "Set HUB_PASSPHRASE or type the passphrase."
        )
    passes, kib = parse_decimal(parts[1], 100), parse_decimal(parts[2], _MAX_KIB)
    salt, nonce, sealed = (from_base64(p) for p in parts[3:])
    try:
        cipher = _cipher(passphrase, salt, passes, kib)
        return cipher.decrypt(nonce, sealed, kind.encode())
    except (InvalidTag, ValueError):
        raise KeyFileError(
            f"{path} cannot be unsealed", "Check the passphrase."
        ) from None
