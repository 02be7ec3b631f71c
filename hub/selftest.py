"""Do canonical forms, and the tokens that they give, come out here as everywhere?

The table that ships with :mod:`schemas.identifiers` says what every type's examples are
in canonical form, and which tokens these have under a key that is public. A client that
gives other results would publish reports that match nobody's.
"""

from __future__ import annotations

from functools import cache

from hub.errors import ConfigError
from keys import voprf
from keys.encoding import to_base64
from schemas.identifiers import (
    DATA_VERSIONS,
    TEST_KEY,
    IdentifierError,
    installed_versions,
    self_test,
    self_test_tokens,
)

__all__ = ["check_forms", "drifted_libraries", "token_under_test_key"]


@cache
def _test_key() -> tuple[bytes, bytes]:
    secret = voprf.derive_key(*TEST_KEY)
    return secret, voprf.public_of(secret)


def token_under_test_key(kind: str, canonical: str) -> str:
    """Return the token of an identifier under the public test key, in base64.

    Args:
        kind: The identifier type.
        canonical: Its canonical form.
    """
    secret, public = _test_key()
    blinding = voprf.blind([voprf.token_input(kind, canonical)])
    answer = voprf.evaluate(secret, public, blinding.elements)
    voprf.check(public, blinding.elements, answer.elements, answer.proof)
    [output] = voprf.finalise(blinding, [(1, answer.elements)])
    return to_base64(output[:32])


def check_forms() -> tuple[int, int]:
    """Return how many rows of forms and of tokens agree with the table.

    Raises:
        ConfigError: One does not; the message names it.
    """
    try:
        return self_test(), self_test_tokens(token_under_test_key)
    except IdentifierError as error:
        raise ConfigError(
            f"canonical forms are not those of other members: {error}",
            code="canonical-forms",
            advice="Install the versions that requirements.lock names.",
        ) from None


def drifted_libraries() -> list[str]:
    """Return a sentence for each library whose data are not those of the table.

    Their forms agreed with the table, so reports match; a new suffix or numbering plan
    may be one that others do not have yet.
    """
    here = installed_versions()
    return [
        f"{name} is {here[name]} here; the table of forms was made with {pinned}"
        for name, pinned in DATA_VERSIONS.items()
        if here[name] != pinned
    ]
