"""Canonical forms: the table, hostile text, and what must hold for every type."""

from __future__ import annotations

import io
import json
import unicodedata
from importlib import metadata, resources
from pathlib import Path

import idna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.interop.tables import CONTEXT, Options, read_rows
from schemas.identifiers import (
    COLUMN_NAMES,
    DATA_VERSIONS,
    TYPES,
    IdentifierError,
    _spellings,
    canonicalise,
    installed_versions,
    self_test,
    token_class,
    variants,
)

ROOT = Path(__file__).parents[2]
IDENTIFIERS = (ROOT / "docs" / "identifiers.md").read_text()

TABLE = json.loads(
    resources.files("schemas.identifiers").joinpath("selftest.json").read_text("utf-8")
)
GOOD = [(kind, text, region) for kind, text, region, form in TABLE["forms"] if form]
# Letters that folding, or the normal form, changes in ways that are easily forgotten.
ODD = "ẞİſﬁ٣３ͅᾳÅǅ①℀\u0301\u200d\ud800"
REFUSED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def check(kind, text, region=""):
    """Canonicalise; whatever comes out must keep every promise."""
    try:
        form = canonicalise(kind, text, region)
    except IdentifierError:
        return None
    assert canonicalise(kind, form) == form
    assert form == unicodedata.normalize("NFKC", form)
    assert not any(unicodedata.category(c) in REFUSED for c in form)
    assert len(form.encode()) <= 0xFFFF
    for looser, value in variants(kind, form):
        assert canonicalise(looser, value) == value
        assert (looser, value) != (kind, form)
    return form


def mutations(text, data):
    """Return a text like another one, with something odd done to it."""
    place = data.draw(st.integers(0, len(text)))
    odd = data.draw(
        st.one_of(
            st.text(max_size=3),
            st.sampled_from([*"%@:/?#.+-_[]()*&=<>\\ ", "%%", "%2", "..", "::", *ODD]),
        )
    )
    cut = data.draw(st.integers(place, min(len(text), place + 2)))
    return text[:place] + odd + text[cut:]


@given(
    st.sampled_from(sorted(TYPES)), st.text(max_size=60), st.sampled_from(["", "GB"])
)
@example("url", "a.example/%%341", "")
@example("url", "http://a.example:443", "")
@example("url", "a.example/" + "\U0001f4a9" * 1900, "")
@example("mailbox", "+x@shop.example", "")
@example("mailbox", "a.+x@shop.example", "")
@example("handle", "a.example:@ @x", "")
@example("phone", "1 5511112222", "MX")
def test_nothing_but_identifier_errors_on_any_text(kind, text, region):
    check(kind, text, region)


@given(st.sampled_from(GOOD), st.data())
def test_every_promise_holds_near_good_identifiers(row, data):
    """A good identifier with a place changed is good in one way only, or refused."""
    kind, text, region = row
    for _ in range(data.draw(st.integers(1, 3))):
        text = mutations(text, data)
    check(kind, text, region)


@given(st.sampled_from(GOOD), st.sampled_from(sorted(TYPES)))
def test_an_identifier_under_another_type_keeps_every_promise(row, kind):
    _, text, region = row
    check(kind, text, region)


@pytest.mark.parametrize(("kind", "text", "region"), GOOD)
def test_good_rows_keep_every_promise(kind, text, region):
    assert check(kind, text, region)


def test_the_table_agrees():
    assert self_test() == len(TABLE["forms"]) + len(TABLE["variants"])


def row_of(kind):
    """Return a type's row of the table in docs/identifiers.md."""
    found = TYPES[kind]
    text, form = next(
        (t, f) for k, t, r, f in TABLE["forms"] if k == kind and f and not r
    )
    looser = {t for k, _, vs in TABLE["variants"] if k == kind for t, _ in vs}
    shown = ", ".join(f"`{t}`" for t in TYPES if t in looser)
    cells = (f"`{kind}`", found.token_class, found.why, found.form)
    examples = (f"`{text}`", f"`{form}`")
    return f"| {' | '.join((*cells, *examples, shown, found.checked))} |"


@pytest.mark.parametrize("kind", list(TYPES))
def test_every_type_is_whole(kind):
    """A class and its reason, rows of each kind in the table, a line in the documents."""
    found = TYPES[kind]
    assert found.token_class == token_class(kind)
    assert found.token_class in ("open", "scarce")
    assert found.why
    forms = [form for k, _, _, form in TABLE["forms"] if k == kind]
    assert any(forms), "selftest.json has no good row"
    assert None in forms, "selftest.json has no bad row"
    assert [c for k, c, _ in TABLE["tokens"] if k == kind] == [
        next(filter(None, forms))
    ]
    if any(variants(kind, form) for form in forms if form):
        assert any(k == kind and v for k, _, v in TABLE["variants"])
    assert row_of(kind) in IDENTIFIERS.splitlines()
    assert f"`{kind}`" in (ROOT / "docs" / "commands.md").read_text().partition("##")[0]


def test_the_documents_name_no_other_type():
    table = [line for line in IDENTIFIERS.splitlines() if line.count("|") == 9]
    assert len(table) == len(TYPES) + 2


def test_no_heading_means_two_things():
    """Neither two types, nor a type and what goes beside it."""
    meant = [
        {s: t.name for h in (t.name, *t.columns) for s in _spellings(h)}
        for t in TYPES.values()
        if t.by_heading
    ]
    assert len(COLUMN_NAMES) == sum(map(len, meant))
    for t in TYPES.values():
        for heading in (t.name, *t.columns):
            assert heading == heading.casefold() == " ".join(heading.split())
            if t.by_heading:
                assert COLUMN_NAMES[heading] == t.name
                assert heading.replace(" ", "_") not in CONTEXT
            else:
                assert COLUMN_NAMES.get(heading) != t.name


def test_headings_are_recognised_in_many_languages():
    for heading, kind in (
        ("Téléphone", "phone"),
        ("TELEPHONE", "phone"),
        ("numer_telefonu", "phone"),
        ("E_Mail", "email"),
        ("correo electronico", "email"),
        ("Ust-IdNr.", "vat"),
        ("Site", "url"),
        ("strona internetowa", "url"),
        ("统一社会信用代码", "uscc"),
    ):
        good = next(t for k, t, r, f in TABLE["forms"] if k == kind and f and not r)
        table = f"{heading}\n{good}\n".encode()
        [row] = read_rows(io.BytesIO(table), "a.csv", Options())
        assert [k for k, _ in row.identifiers] == [kind]


def test_a_column_that_would_accuse_others_needs_to_be_named():
    """Everybody with an account at a bank has its BIC."""
    table = b"domain;BIC\na.example;EXAMGB2L\n"
    [row] = read_rows(io.BytesIO(table), "a.csv", Options())
    assert row.identifiers == [("domain", "a.example")]
    [row] = read_rows(io.BytesIO(table), "a.csv", Options(columns={"BIC": "bic"}))
    assert row.identifiers[1] == ("bic", "EXAMGB2LXXX")


def test_the_libraries_are_those_of_the_lock():
    """What the table was made with is what is installed, locked and documented."""
    lock = (ROOT / "requirements.lock").read_text()
    found = installed_versions()
    for name, version in DATA_VERSIONS.items():
        assert f"\n{name}=={version} " in f"\n{lock}"
        assert found[name] == version
        assert f"| `{name}` | {version} |" in IDENTIFIERS
    assert found["unicode"] == unicodedata.unidata_version


def test_a_library_that_is_not_there_is_said_to_be_unknown(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert installed_versions()["ada-url"] == "unknown"


@pytest.mark.parametrize("kind", list(TYPES))
def test_what_is_as_long_as_a_page_is_a_mistake(kind):
    with pytest.raises(IdentifierError, match="more than 2000 characters"):
        canonicalise(kind, "a" * 2001)
    with pytest.raises(IdentifierError, match="more than 2000 characters"):
        canonicalise(kind, "a.example/" + "\ufdfa" * 1900)


def test_a_path_that_grows_beyond_it_is_refused_too():
    """Each of these letters is twelve characters in a page's canonical form."""
    assert len(check("url", "a.example/" + "\U0001f4a9" * 160)) == 1930
    with pytest.raises(IdentifierError, match="more than 2000 characters"):
        canonicalise("url", "a.example/" + "\U0001f4a9" * 170)


def test_an_unknown_type_is_refused():
    for ask in (
        token_class,
        lambda k: canonicalise(k, "x"),
        lambda k: variants(k, "x"),
    ):
        with pytest.raises(IdentifierError, match="fax is not an identifier type"):
            ask("fax")


def broken(monkeypatch, **changes):
    table = {**TABLE, **changes}
    monkeypatch.setattr("schemas.identifiers._table", lambda: table)


def test_a_client_that_differs_is_told_the_row(monkeypatch):
    broken(monkeypatch, forms=[["domain", "a.example", "", "b.example"]])
    with pytest.raises(
        IdentifierError, match=r"'a\.example' gives 'a\.example', not 'b"
    ):
        self_test()
    broken(monkeypatch, forms=[["domain", "-", "", "b.example"]])
    with pytest.raises(IdentifierError, match="gives None, not 'b"):
        self_test()
    broken(monkeypatch, variants=[["domain", "a.example", []]])
    with pytest.raises(IdentifierError, match=r"has \[\['site', 'a.example'\]\], not"):
        self_test()


LABEL = st.text(
    st.characters(categories=("L", "N"), max_codepoint=0x3000),
    min_size=1,
    max_size=8,
)


@given(LABEL)
@example("faß")
@example("İstanbul")
@example("日本語")
def test_hosts_are_those_of_idna_2008_where_it_has_them(label):
    """A second library, which knows fewer names, gives the same A-labels.

    Both are asked after NFKC, as the common rule for all types has it.
    """
    plain = unicodedata.normalize("NFKC", label)
    try:
        expected = idna.encode(f"{plain}.example", uts46=True).decode()
    except idna.IDNAError:
        return
    assert canonicalise("domain", f"{label}.example") == expected
