"""Shares of a key: any t give its tokens, fewer do not, and none can be forged."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import voprf
from keys.errors import ElementError, EvaluationError, TokenError
from keys.ristretto import ORDER, render_scalar
from keys.shares import (
    check_share,
    deal,
    interpolate_public,
    lagrange,
    share_public,
)

SECRET = voprf.derive_key(bytes(32), b"tests")
PUBLIC = voprf.public_of(SECRET)
SENT = voprf.blind([b"one", b"two"])


def _answer(secret):
    return voprf.evaluate(secret, voprf.public_of(secret), SENT.elements)


WHOLE = voprf.finalise(SENT, [(1, _answer(SECRET).elements)])
SPLITS = [(t, n) for t in range(1, 5) for n in range(t, 6)]


@pytest.mark.parametrize(("t", "n"), SPLITS)
def test_any_t_shares_give_the_tokens_of_the_whole_key(t, n):
    """Whichever nodes answer, a token is the same; with fewer than t it is not."""
    shares, commitments = deal(SECRET, t, n)
    answers = []
    for x, share in shares:
        check_share(x, share, commitments)
        made = _answer(share)
        voprf.check(
            share_public(x, commitments), SENT.elements, made.elements, made.proof
        )
        answers.append((x, made.elements))
    for size in range(1, n + 1):
        for chosen in combinations(answers, size):
            assert (voprf.finalise(SENT, chosen) == WHOLE) == (size >= t)


@pytest.mark.parametrize(("t", "n"), SPLITS)
def test_any_t_public_shares_give_the_public_key(t, n):
    """So the registry's public key and shares can be compared by everybody."""
    shares, commitments = deal(SECRET, t, n)
    publics = [(x, voprf.public_of(share)) for x, share in shares]
    assert publics == [(x, share_public(x, commitments)) for x, _ in shares]
    assert len(commitments) == t
    assert commitments[0] == PUBLIC
    for size in range(1, n + 1):
        for chosen in combinations(publics, size):
            assert (interpolate_public(chosen) == PUBLIC) == (size >= t)


def test_the_order_of_answers_does_not_matter():
    """The quickest t nodes answer in any order."""
    answers = [(x, _answer(share).elements) for x, share in deal(SECRET, 3, 3)[0]]
    for order in permutations(answers):
        assert voprf.finalise(SENT, order) == WHOLE


def test_an_unsplit_key_is_its_only_share():
    """A single hub is the case t = n = 1, not a second protocol."""
    assert deal(SECRET, 1, 1) == ([(1, SECRET)], [PUBLIC])


def test_a_share_under_another_number_gives_another_token():
    """The number belongs to the share, so the registry must name it."""
    (_, one), (_, two) = deal(SECRET, 2, 2)[0]
    answers = [(2, _answer(one).elements), (1, _answer(two).elements)]
    assert voprf.finalise(SENT, answers) != WHOLE


def test_a_node_with_another_share_is_found_out_by_itself():
    """Its answer is refused before it is mixed with those of honest nodes."""
    shares, commitments = deal(SECRET, 2, 3)
    strange = deal(SECRET, 2, 3)[0][1][1]
    assert strange != shares[1][1]
    made = _answer(strange)
    with pytest.raises(EvaluationError):
        voprf.check(
            share_public(2, commitments), SENT.elements, made.elements, made.proof
        )


def test_a_share_that_does_not_fit_the_commitments_is_refused():
    """Another scalar, or the right one under another number."""
    shares, commitments = deal(SECRET, 2, 3)
    for x, share in ((1, SECRET), (1, shares[1][1]), (2, shares[0][1])):
        with pytest.raises(TokenError, match=f"share {x} does not"):
            check_share(x, share, commitments)


@pytest.mark.parametrize("share", [b"", SECRET[:31], bytes(32), b"\xff" * 32])
def test_a_share_is_a_canonical_scalar(share):
    """A node refuses what a dealer sends in any other form."""
    with pytest.raises(ElementError, match="scalar"):
        check_share(1, share, [PUBLIC])


@pytest.mark.parametrize(
    "commitments",
    [[], [bytes(32)], [PUBLIC[:16], PUBLIC + PUBLIC[16:]], [b"\xff" * 32]],
)
def test_commitments_are_elements(commitments):
    """Also where pieces of wrong lengths have the right length together."""
    with pytest.raises(ElementError):
        share_public(1, commitments)


def test_a_share_of_zero_has_no_public_half():
    """A dealer may choose a polynomial with a root at somebody's number."""
    minus = voprf.public_of(render_scalar(ORDER - 1))
    one = voprf.public_of(render_scalar(1))
    with pytest.raises(ElementError, match="identity"):
        share_public(1, [one, minus])
    with pytest.raises(ElementError, match="identity"):
        interpolate_public([(1, one), (2, voprf.public_of(render_scalar(2)))])


@pytest.mark.parametrize(("t", "n"), [(0, 1), (3, 2), (-1, 1), (1, 0)])
def test_a_threshold_lies_between_1_and_the_number_of_shares(t, n):
    """Otherwise nobody, or a coalition of nobody, would have the key."""
    with pytest.raises(TokenError, match="threshold"):
        deal(SECRET, t, n)


@pytest.mark.parametrize("secret", [b"", bytes(32), ORDER.to_bytes(32, "little")])
def test_only_a_key_is_dealt(secret):
    """Zero and what is not canonical are no keys."""
    with pytest.raises(ElementError):
        deal(secret, 1, 1)


@pytest.mark.parametrize("xs", [[], [1, 1], [0], [0, 1], [-1, 1], [ORDER], [1, ORDER]])
def test_share_numbers_are_distinct_and_positive(xs):
    """Zero is the key itself, and numbers count modulo the order of the group."""
    with pytest.raises(TokenError, match="distinct positive"):
        lagrange(xs)


@pytest.mark.parametrize("x", [0, -1, ORDER])
def test_the_key_itself_is_nobodys_share(x):
    """The value at zero is the key, also when zero is written as the order."""
    with pytest.raises(TokenError, match="distinct positive"):
        check_share(x, SECRET, [PUBLIC])


def test_public_shares_are_elements():
    """Pieces of wrong lengths are refused though they fit together."""
    with pytest.raises(ElementError):
        interpolate_public([(1, PUBLIC[:16]), (2, PUBLIC + PUBLIC[16:])])


@given(st.binary(min_size=200, max_size=200), st.data())
def test_shares_are_values_of_one_polynomial(seed, data):
    """Plain integers give the same shares and the same key, for scattered numbers."""
    t = data.draw(st.integers(1, 4))
    pieces = [seed[64 * i : 64 * i + 64] for i in range(3)]
    rest = iter(pieces)
    whole = [int.from_bytes(p, "little") % ORDER for p in pieces[: t - 1]]
    if 0 in whole:
        with pytest.raises(TokenError, match="randomness"):
            deal(SECRET, t, 9, lambda _: next(rest))
        return
    shares, _ = deal(SECRET, t, 9, lambda _: next(rest))
    poly = [int.from_bytes(SECRET, "little"), *whole]
    for x, share in shares:
        value = sum(a * x**j for j, a in enumerate(poly)) % ORDER
        assert share == render_scalar(value)
    chosen = data.draw(st.permutations(shares))[:t]
    weights = lagrange([x for x, _ in chosen])
    total = sum(
        int.from_bytes(w, "little") * int.from_bytes(s, "little")
        for w, (_, s) in zip(weights, chosen, strict=True)
    )
    assert render_scalar(total % ORDER) == SECRET
