"""The payload of a page packs and unpacks, and cuts at the slots."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import UnavailableError
from hub.store.pages import cut, pack, unpack

LINES = st.lists(
    st.none() | st.binary(min_size=1).map(lambda b: b.replace(b"\n", b"-"))
)


@given(LINES)
def test_pack_and_unpack(lines: list[bytes | None]) -> None:
    """What was packed comes back, and any gzip tool reads it."""
    if lines:
        packed = pack(lines)
        assert unpack(packed, len(lines)) == lines
        assert gzip.decompress(packed).count(b"\n") == len(lines)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_lines(count: int) -> None:
    """A page that holds more or fewer lines than it says is damaged."""
    with pytest.raises(UnavailableError) as caught:
        unpack(pack([b"a", None]), count)
    assert caught.value.code == "corrupt"


def test_garbage() -> None:
    """Bytes that are no gzip member are damage, not a crash."""
    good = pack([b"a" * 50])
    for bad in (b"", b"garbage", good[:-1], good[:10] + b"\xff" + good[11:]):
        with pytest.raises(UnavailableError):
            unpack(bad, 1)


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_cut(first: int, count: int) -> None:
    """The pieces are the range, in order, none across a slot, none empty."""
    pieces = list(cut(first, first + count))
    assert [i for a, b in pieces for i in range(a, b)] == list(
        range(first, first + count)
    )
    assert all(a < b and a // 256 == (b - 1) // 256 for a, b in pieces)
    assert all(b % 256 == 0 for _, b in pieces[:-1])
