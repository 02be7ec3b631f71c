"""Which libraries do the arithmetic here; their versions decide what they can do."""

from __future__ import annotations

import ctypes

from cryptography.hazmat.backends.openssl.backend import backend

from keys._sodium import lib

__all__ = ["libsodium_version", "openssl_version"]


def libsodium_version() -> str:
    """Return the version of libsodium."""
    lib.sodium_version_string.restype = ctypes.c_char_p
    return str(lib.sodium_version_string().decode())


def openssl_version() -> str:
    """Return the version of the OpenSSL that signs and seals here."""
    return str(backend.openssl_version_text())
