"""The versions of the libraries whose data decide what a canonical form is.

Two members with other versions can differ on a new suffix or a new numbering plan; the
self-test table shows whether they do. :data:`DATA_VERSIONS` are those with which the
table was made, as the lock file pins them.
"""

from __future__ import annotations

import unicodedata
from importlib import metadata

__all__ = ["DATA_VERSIONS", "installed_versions"]

DATA_VERSIONS: dict[str, str] = {
    "ada-url": "4.0.0",
    "base58": "2.1.1",
    "email-validator": "2.4.0",
    "phonenumberslite": "9.0.42",
    "publicsuffixlist": "1.1.2.20261023",
    "python-stdnum": "2.2",
}


def installed_versions() -> dict[str, str]:
    """Return the versions here, and that of Python's Unicode data as ``unicode``."""
    found = {}
    for name in DATA_VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return {**found, "unicode": unicodedata.unidata_version}
