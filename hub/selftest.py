"""Do canonical forms, and the tokens that they give, come out here as everywhere?

The table that ships with :mod:`schemas.identifiers` says what every type's examples are
in canonical form, and which tokens these have under a key that is public. A client that
gives other results would publish reports that match nobody's.
"""

from __future__ import annotations

from functools import cache

from keys import voprf
from keys.encoding import to_base64
from schemas.identifiers import TEST_KEY, self_test, self_test_tokens

__all__ = ["check_forms", "token_under_test_key"]


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
        IdentifierError: One does not; the message names it.
    """
    return self_test(), self_test_tokens(token_under_test_key)
