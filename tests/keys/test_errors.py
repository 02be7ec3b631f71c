"""The error tree says what a caller needs."""

from __future__ import annotations

import re

import pytest

import keys.errors
from keys.errors import KeysError

CLASSES = [getattr(keys.errors, name) for name in keys.errors.__all__]


def test_the_docstring_draws_the_tree():
    """Every class stands in the drawing, one level deeper than its base."""
    drawn = re.findall(
        r"^( {4}[│├└─ ]*)(\w+Error)\b", keys.errors.__doc__, re.MULTILINE
    )
    depth = {name: len(indent) for indent, name in drawn}
    assert set(depth) == set(keys.errors.__all__)
    for cls in CLASSES:
        if cls is not KeysError:
            assert depth[cls.__name__] == depth[cls.__base__.__name__] + 4


def test_codes_are_distinct_slugs():
    """Problem documents build on the codes."""
    codes = [cls.code for cls in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_explains_itself(cls):
    """The message is the text of the error; the advice stands beside it."""
    error = cls("what is wrong", "What to do.")
    assert (str(error), error.advice) == ("what is wrong", "What to do.")
    assert cls("what is wrong").advice == ""
    assert isinstance(error, KeysError)
