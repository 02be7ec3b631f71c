"""The group: known points, invalid encodings, and lengths that are never exceeded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import ristretto as group
from keys.errors import ElementError, TokenError

# RFC 9496 appendix A.1: twice and three times the generator.
TWICE = "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919"
THRICE = "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259"
# RFC 9496 appendix A.2, one or two of each kind, and what 1.0.18 does not refuse.
INVALID = {
    "field 1": "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "field 2": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "negative 1": "0100000000000000000000000000000000000000000000000000000000000000",
    "negative 2": "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
    "no square": "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    "high bit 1": "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2df6",
    "high bit 2": "0000000000000000000000000000000000000000000000000000000000000080",
}
ONE = group.render_scalar(1)
scalars = st.integers(1, group.ORDER - 1)


def _render(*values):
    return b"".join(group.render_scalar(v % group.ORDER) for v in values)


def test_small_multiples_of_the_generator():
    """By multiplying the base, by multiplying a point, by adding, and as a sum."""
    two, three = _render(2), _render(3)
    assert group.public_of(ONE) == group.BASE
    assert group.public_of(two).hex() == TWICE
    assert group.multiply_each(three, group.BASE).hex() == THRICE
    assert group.multiply_pairs(two + three, group.BASE * 2).hex() == TWICE + THRICE
    assert group.add_each(group.BASE, group.BASE).hex() == TWICE
    assert group.combine([ONE, two], group.BASE * 2).hex() == THRICE


@pytest.mark.parametrize("encoding", INVALID.values(), ids=INVALID)
def test_invalid_encodings_are_refused_everywhere(encoding):
    """With any library: the highest bit is checked here."""
    bad = bytes.fromhex(encoding)
    for points in (bad + group.BASE, group.BASE + bad):
        with pytest.raises(ElementError):
            group.multiply_each(ONE, points)
        with pytest.raises(ElementError):
            group.multiply_pairs(ONE * 2, points)
        with pytest.raises(ElementError):
            group.combine([ONE, ONE], points)
        with pytest.raises(ElementError):
            group.add_each(points, group.BASE * 2)
        with pytest.raises(ElementError):
            group.add_each(group.BASE * 2, points)


def test_an_error_names_the_element_of_the_whole_batch():
    """Also when a batch is worked off in parts."""
    for bad in (bytes(32), b"\xff" * 32):
        with pytest.raises(ElementError, match="element 257 is"):
            group.multiply_each(ONE, group.BASE + bad, 256)


@given(scalars, scalars)
def test_scalar_arithmetic_is_that_of_integers(a, b):
    left, right = _render(a), _render(b)
    assert group.add_scalars(left, right) == _render(a + b)
    assert group.subtract_scalars(left, right) == _render(a - b)
    assert group.multiply_scalars(left, right) == _render(a * b)


@given(st.lists(scalars, min_size=1, max_size=9), scalars)
def test_batches_of_scalars(values, factor):
    """One inversion serves all, and the first and the last are no exception."""
    batch = _render(*values)
    inverses = _render(*(pow(v, -1, group.ORDER) for v in values))
    assert group.invert_each(batch) == inverses
    scaled = _render(*(v * factor for v in values))
    assert group.scale_each(_render(factor), batch) == scaled


@given(st.lists(st.tuples(scalars, scalars), min_size=1, max_size=4))
def test_a_sum_is_the_sum(pairs):
    """Of known multiples of the generator, by their products one by one."""
    factors = [_render(factor) for factor, _ in pairs]
    points = b"".join(group.public_of(_render(value)) for _, value in pairs)
    total = sum(factor * value for factor, value in pairs) % group.ORDER
    if total:
        assert group.combine(factors, points) == group.public_of(_render(total))
    products = group.multiply_pairs(b"".join(factors), points)
    assert products == b"".join(group.public_of(_render(f * v)) for f, v in pairs)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_zero_has_no_inverse_and_no_multiple(place):
    batch = [ONE, ONE, ONE]
    batch[place] = bytes(32)
    joined = b"".join(batch)
    with pytest.raises(ElementError, match="zero"):
        group.invert_each(joined)
    with pytest.raises(ElementError):
        group.multiply_pairs(joined, group.BASE * 3)
    with pytest.raises(ElementError):
        group.combine(batch, group.BASE * 3)
    with pytest.raises(ElementError):
        group.scale_each(bytes(32), joined)


def test_a_sum_is_not_the_identity():
    """No key, commitment or composite may be the identity."""
    with pytest.raises(ElementError, match="identity"):
        group.combine([ONE, _render(-1)], group.BASE * 2)


@pytest.mark.parametrize("size", [0, 1, 31, 33, 63])
def test_lengths_are_checked_before_the_library_reads(size):
    """It trusts its addresses, so a short buffer would show foreign memory."""
    data = (group.BASE * 2)[:size]
    calls = [
        lambda: group.multiply_each(ONE, data),
        lambda: group.multiply_each(data, group.BASE),
        lambda: group.multiply_pairs(data, data),
        lambda: group.multiply_pairs(ONE, data),
        lambda: group.add_each(data, data),
        lambda: group.add_each(group.BASE, data),
        lambda: group.combine([data], group.BASE),
        lambda: group.combine([data], data),
        lambda: group.invert_each(data),
        lambda: group.scale_each(ONE, data),
        lambda: group.scale_each(data, ONE),
        lambda: group.add_scalars(data, ONE),
        lambda: group.subtract_scalars(ONE, data),
        lambda: group.multiply_scalars(data, data),
        lambda: group.reduce_scalar(data),
        lambda: group.map_to_points(data),
        lambda: group.public_of(data),
        lambda: group.check_scalar(data),
        lambda: group.random_scalar(lambda _: data),
    ]
    for call in calls:
        with pytest.raises(ElementError):
            call()


@pytest.mark.parametrize("value", [0, group.ORDER, group.ORDER + 1, 2**255, 2**256 - 1])
def test_a_scalar_is_canonical_and_not_zero(value):
    """Each scalar has one encoding, below the order."""
    with pytest.raises(ElementError, match="scalar"):
        group.check_scalar(value.to_bytes(32, "little"))


@given(st.binary(min_size=64, max_size=64))
def test_wide_numbers_are_reduced(wide):
    """As plain integers are."""
    value = int.from_bytes(wide, "little") % group.ORDER
    assert group.reduce_scalar(wide) == group.render_scalar(value)


def test_random_scalars_take_64_bytes():
    """Twice the length makes the bias of the reduction invisible."""
    asked = []

    def rng(size):
        asked.append(size)
        return b"\1" + bytes(size - 1)

    assert group.random_scalar(rng) == ONE
    assert asked == [64]
    with pytest.raises(TokenError, match="randomness"):
        group.random_scalar(bytes)


def test_a_library_that_contradicts_itself_is_a_broken_invariant(monkeypatch):
    """No input can cause this, so it is no error of the caller."""
    monkeypatch.setattr(group, "_add", lambda *_: -1)
    with pytest.raises(AssertionError, match="own point"):
        group.combine([ONE, ONE], group.BASE * 2)
    monkeypatch.setattr(group, "_multiply_base", lambda *_: -1)
    with pytest.raises(AssertionError, match="canonical scalar"):
        group.public_of(ONE)
