"""ristretto255 of libsodium by ctypes, on contiguous buffers.

The system's library (1.0.18 or newer) is used when there is one, else the one that the
``rbcl`` wheel carries. Each call releases the interpreter's lock, and the library is
safe to use from several threads once ``sodium_init`` returned.
"""

from __future__ import annotations

import ctypes
import ctypes.util

from keys.errors import TokenError

__all__ = ["lib"]


def _wheel() -> ctypes.CDLL:
    from rbcl import bindings  # noqa: PLC0415 - The import unpacks a library.

    library: ctypes.CDLL = getattr(bindings, "_sodium", bindings)
    return library


def _load() -> ctypes.CDLL:
    name = ctypes.util.find_library("sodium")
    for candidate in (name, "libsodium.so.23", "libsodium.so.26", "libsodium.dylib"):
        if candidate is None:
            continue
        try:
            found = ctypes.CDLL(candidate)
            found.crypto_core_ristretto255_from_hash  # noqa: B018 - Old ones lack it.
        except (OSError, AttributeError):
            continue
        return found
    return _wheel()


lib = _load()
if lib.sodium_init() < 0:
    raise TokenError("libsodium cannot be initialised")
_P = ctypes.c_void_p
for _name, _count in {
    "crypto_core_ristretto255_from_hash": 2,
    "crypto_core_ristretto255_add": 3,
    "crypto_core_ristretto255_sub": 3,
    "crypto_core_ristretto255_is_valid_point": 1,
    "crypto_core_ristretto255_scalar_invert": 2,
    "crypto_core_ristretto255_scalar_mul": 3,
    "crypto_core_ristretto255_scalar_reduce": 2,
    "crypto_scalarmult_ristretto255": 3,
    "crypto_scalarmult_ristretto255_base": 2,
}.items():
    getattr(lib, _name).argtypes = [_P] * _count
    getattr(lib, _name).restype = ctypes.c_int
