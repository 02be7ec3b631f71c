"""Libraries say their versions, so that a report of a fault can name them."""

from __future__ import annotations

import re

from keys.libraries import libsodium_version, openssl_version


def test_versions_are_versions():
    assert re.fullmatch(r"1\.0\.[0-9]+", libsodium_version())
    assert re.match(r"(OpenSSL|LibreSSL|BoringSSL|AWS-LC) [0-9]", openssl_version())
