"""Signed notes (C2SP signed-note v1.0.0) and verifier keys.

A note is a text that ends in a newline, an empty line, and signature lines::

    <text>
    <empty line>
    — <key name> <base64 of key ID (4 bytes) and signature>

The signed message is the text with its final newline. A key ID is the first four bytes
of SHA-256(name, newline, type byte, public key); a verifier key ("vkey") is
``<name>+<key ID in hex>+<base64 of type byte and public key>``.

Limits: one megabyte and 100 signature lines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from keys.ed25519 import Signer, verifier_for
from keys.encoding import from_base64, from_hex, to_base64
from keys.errors import EncodingError, KeysError, NoteError, SignatureError

__all__ = [
    "COSIGNATURE_V1",
    "ED25519",
    "Note",
    "NoteSigner",
    "OpenedNote",
    "Signature",
    "VerifierKey",
    "add_signatures",
    "key_id",
    "open_note",
    "parse_note",
    "parse_vkey",
    "render_note",
    "sign_note",
]

ED25519 = 0x01
COSIGNATURE_V1 = 0x04
MAX_BYTES = 1_000_000
MAX_SIGNATURES = 100
_PREFIX = "— "


def check_key_name(name: str) -> None:
    """Refuse a name that a signature line cannot carry.

    Raises:
        NoteError: Empty, or with a space or a plus sign.
    """
    if not name or "+" in name or any(c.isspace() for c in name):
        raise NoteError(f"not a key name: {name!r}")


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return the four bytes that hint at a key (signed-note, "Signatures")."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A name, a signature type and a public key."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that signature lines carry."""
        return key_id(self.name, self.kind, self.public)

    def render(self) -> str:
        """Return the vkey."""
        body = to_base64(bytes([self.kind]) + self.public)
        return f"{self.name}+{self.key_id.hex()}+{body}"


def parse_vkey(text: str) -> VerifierKey:
    """Read a vkey and check its key ID.

    Raises:
        NoteError: Not a vkey of type Ed25519 or cosignature/v1, or a wrong key ID.
    """
    try:
        name, hint, body = text.split("+", 2)
        check_key_name(name)
        data = from_base64(body)
        expected = from_hex(hint, 4)
    except (ValueError, EncodingError):
        raise NoteError("not a verifier key: expected name+id+key") from None
    if len(data) != 33 or data[0] not in (ED25519, COSIGNATURE_V1):
        raise NoteError("the verifier key has an unknown type")
    key = VerifierKey(name, data[0], data[1:])
    if key.key_id != expected:
        raise NoteError("the key ID does not belong to the verifier key")
    return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: a name, a key ID and what follows it."""

    name: str
    key_id: bytes
    body: bytes

    def render(self) -> str:
        """Return the line, newline included."""
        return f"{_PREFIX}{self.name} {to_base64(self.key_id + self.body)}\n"


def parse_signature(line: str) -> Signature:
    """Read one signature line, without its newline.

    Raises:
        NoteError: Not a signature line.
    """
    if not line.startswith(_PREFIX):
        raise NoteError("a signature line starts with an em dash and a space")
    name, _, body = line[len(_PREFIX) :].partition(" ")
    check_key_name(name)
    try:
        data = from_base64(body)
    except EncodingError:
        raise NoteError("a signature is not base64") from None
    if len(data) < 5:
        raise NoteError("a signature is too short")
    return Signature(name, data[:4], data[4:])


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signature lines, none of them verified."""

    text: str
    signatures: tuple[Signature, ...]


def _check_text(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise NoteError("a note has at most one megabyte")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("a note is UTF-8") from None
    if any(c < " " and c != "\n" for c in text):
        raise NoteError("a note has a control character")
    return text


def parse_note(raw: bytes) -> Note:
    """Take a note apart without verifying anything.

    Raises:
        NoteError: Not a signed note.
    """
    # SPEC: signed-note: the signature block starts after the LAST empty line.
    head, gap, tail = _check_text(raw).rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise NoteError("a note is a text, an empty line and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError("a note has at most 100 signatures")
    return Note(head + "\n", tuple(parse_signature(line) for line in lines))


def render_note(note: Note) -> bytes:
    """Return the bytes of a note."""
    return (note.text + "\n" + "".join(s.render() for s in note.signatures)).encode()


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """A private key with the name under which it signs notes."""

    name: str
    signer: Signer

    @property
    def vkey(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, ED25519, self.signer.public)

    def sign(self, text: str) -> Signature:
        """Return the signature line for ``text``."""
        return Signature(self.name, self.vkey.key_id, self.signer.sign(text.encode()))


def sign_note(text: str, *signers: NoteSigner) -> bytes:
    """Return a note over ``text`` (which ends in a newline) by all signers."""
    if not text.endswith("\n"):
        raise AssertionError("the text of a note ends in a newline")
    return render_note(Note(text, tuple(s.sign(text) for s in signers)))


def add_signatures(raw: bytes, *signatures: Signature) -> bytes:
    """Return the note with further signature lines, each at most once.

    Raises:
        NoteError: ``raw`` is not a note.
    """
    note = parse_note(raw)
    new = tuple(s for s in signatures if s not in note.signatures)
    return render_note(Note(note.text, note.signatures + new))


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A text with the signatures that verified and those of unknown keys."""

    text: str
    verified: tuple[VerifierKey, ...]
    others: tuple[Signature, ...]


def open_note(raw: bytes, known: Iterable[VerifierKey]) -> OpenedNote:
    """Verify a note against known Ed25519 keys.

    Raises:
        NoteError: Not a signed note.
        SignatureError: A known key's signature fails, or no known key signed.
    """
    note = parse_note(raw)
    message = note.text.encode()
    by_hint = {(k.name, k.key_id): k for k in known}
    verified: dict[VerifierKey, None] = {}
    others = []
    for line in note.signatures:
        key = by_hint.get((line.name, line.key_id))
        if key is None:
            others.append(line)
            continue
        # SPEC: signed-note: a failing signature by a known key rejects the note.
        _verify(key, line, message)
        verified[key] = None
    if not verified:
        raise SignatureError("no known key signed the note")
    return OpenedNote(note.text, tuple(verified), tuple(others))


def _verify(key: VerifierKey, line: Signature, message: bytes) -> None:
    if key.kind != ED25519:
        raise SignatureError(f"{key.name} is not a key that signs notes")
    try:
        verifier_for(key.public).verify(line.body, message)
    except KeysError as error:
        raise SignatureError(f"{key.name}: {error}") from None
