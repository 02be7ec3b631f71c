r"""Signed notes (C2SP signed-note v1.0.0) and verifier keys.

A note is a text that ends in a newline, an empty line, and signature lines::

    <text>
    <empty line>
    — <key name> <base64 of key ID (4 bytes) and signature>

The signed message is the text with its final newline. A key ID is the first four bytes
of SHA-256(name, newline, type byte, public key); a verifier key ("vkey") is
``<name>+<key ID in hex>+<base64 of type byte and public key>``. A private key has the
form that Go's tools use: ``PRIVATE+KEY+<name>+<key ID>+<base64 of 0x01 and seed>``.

Limits: one megabyte and 100 signature lines; no control character but the newline.
Whatever :func:`render_note` returns, :func:`parse_note` reads back as it was.

>>> signer = NoteSigner("EnochRoot", Signer.from_seed(bytes(32)))
>>> signer.vkey.render()
'EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop'
>>> open_note(sign_note("one\n", signer), [signer.vkey]).text
'one\n'
"""

from __future__ import annotations

import hashlib
import re
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
    "check_key_name",
    "encode_text",
    "key_id",
    "open_note",
    "parse_note",
    "parse_signature",
    "parse_skey",
    "parse_vkey",
    "render_note",
    "render_skey",
    "sign_note",
]

ED25519 = 0x01
COSIGNATURE_V1 = 0x04
MAX_BYTES = 1_000_000
MAX_SIGNATURES = 100
_PREFIX = "— "
_KINDS = (ED25519, COSIGNATURE_V1)
# A lone surrogate fits into a str but not into UTF-8, so no note can carry it.
_NOT_TEXT = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")


def check_key_name(name: str) -> None:
    """Refuse a name that a signature line cannot carry.

    Raises:
        NoteError: Empty, or with a space, a plus sign or what no note may hold.
    """
    # SPEC: signed-note: a key name is not empty and has no Unicode space and no "+".
    # Splitting at spaces leaves a name whole, and is faster than looking at each sign.
    if "+" in name or name.split() != [name]:
        raise NoteError(f"not a key name: {name[:80]!r}")
    # A name that a note refuses would make lines that nobody can read back.
    if _NOT_TEXT.search(name):
        raise NoteError("a key name has a control character")


def encode_text(text: str) -> bytes:
    """Return the bytes that a signature over the text of a note covers.

    Raises:
        NoteError: It does not end in a newline, or has a control character.
    """
    if not text.endswith("\n"):
        raise NoteError("the text of a note ends in a newline")
    if _NOT_TEXT.search(text):
        raise NoteError("a note has a control character")
    return text.encode()


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return the four bytes that hint at a key (signed-note, "Signatures")."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A name, a signature type and a public key.

    Raises:
        NoteError: Not a key name, another type, or not 32 bytes.
    """

    name: str
    kind: int
    public: bytes

    def __post_init__(self) -> None:
        check_key_name(self.name)
        if self.kind not in _KINDS or len(self.public) != 32:
            raise NoteError("the verifier key has an unknown type")

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
        expected = from_hex(hint, 4)
        data = from_base64(body, 33)
    except (ValueError, EncodingError):
        raise NoteError("not a verifier key: expected name+id+key") from None
    key = VerifierKey(name, data[0], data[1:])
    if key.key_id != expected:
        raise NoteError("the key ID does not belong to the verifier key")
    return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: a name, a key ID and what follows it.

    Raises:
        NoteError: Not a key name, not a key ID, or nothing follows it.
    """

    name: str
    key_id: bytes
    body: bytes

    def __post_init__(self) -> None:
        check_key_name(self.name)
        if len(self.key_id) != 4 or not self.body:
            raise NoteError("a signature is too short")

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
    try:
        data = from_base64(body)
    except EncodingError:
        raise NoteError("a signature is not base64") from None
    return Signature(name, data[:4], data[4:])


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signature lines, none of them verified."""

    text: str
    signatures: tuple[Signature, ...]


def _decode(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise NoteError("a note has at most one megabyte")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("a note is UTF-8") from None
    # SPEC: signed-note: no byte below 0x20 except newline.
    if _NOT_TEXT.search(text):
        raise NoteError("a note has a control character")
    return text


def parse_note(raw: bytes) -> Note:
    """Take a note apart without verifying anything.

    Raises:
        NoteError: Not a signed note.
    """
    # SPEC: signed-note: the signature block starts after the LAST empty line.
    head, gap, tail = _decode(raw).rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise NoteError("a note is a text, an empty line and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError("a note has at most 100 signatures")
    return Note(head + "\n", tuple(parse_signature(line) for line in lines))


def render_note(note: Note) -> bytes:
    """Return the bytes of a note.

    Raises:
        NoteError: Not the text of a note, no signature, or beyond a limit.
    """
    lines = "".join(s.render() for s in note.signatures)
    raw = encode_text(note.text) + b"\n" + lines.encode()
    # What we would refuse to read we do not write: no signature, too many, too long.
    parse_note(raw)
    return raw


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """A private key with the name under which it signs notes.

    Raises:
        NoteError: Not a key name.
    """

    name: str
    signer: Signer

    def __post_init__(self) -> None:
        check_key_name(self.name)

    @property
    def vkey(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, ED25519, self.signer.public)

    def sign(self, text: str) -> Signature:
        """Return the signature line for ``text``.

        Raises:
            NoteError: It is not the text of a note.
        """
        body = self.signer.sign(encode_text(text))
        return Signature(self.name, self.vkey.key_id, body)


def parse_skey(text: str) -> NoteSigner:
    """Read a private key in the form of Go's tools and check its key ID.

    Raises:
        NoteError: Not such a key, or a wrong key ID. The message never quotes it.
    """
    try:
        private, key, name, hint, body = text.split("+", 4)
        expected = from_hex(hint, 4)
        data = from_base64(body, 33)
    except (ValueError, EncodingError):
        raise NoteError("not a private key: expected PRIVATE+KEY+name+id+key") from None
    if (private, key, data[0]) != ("PRIVATE", "KEY", ED25519):
        raise NoteError("not a private Ed25519 key")
    signer = NoteSigner(name, Signer.from_seed(data[1:]))
    if signer.vkey.key_id != expected:
        raise NoteError("the key ID does not belong to the private key")
    return signer


def render_skey(signer: NoteSigner) -> str:
    """Return the private key in the form of Go's tools; it is a secret."""
    body = to_base64(bytes([ED25519]) + signer.signer.seed)
    return f"PRIVATE+KEY+{signer.name}+{signer.vkey.key_id.hex()}+{body}"


def sign_note(text: str, *signers: NoteSigner) -> bytes:
    """Return a note over ``text`` (which ends in a newline) by all signers.

    Raises:
        NoteError: Not the text of a note, nobody to sign it, or too many.
    """
    return render_note(Note(text, tuple(s.sign(text) for s in signers)))


def add_signatures(raw: bytes, *signatures: Signature) -> bytes:
    """Return the note with further signature lines, each at most once.

    Raises:
        NoteError: ``raw`` is not a note, or has no room for them.
    """
    note = parse_note(raw)
    new = dict.fromkeys(s for s in signatures if s not in note.signatures)
    return render_note(Note(note.text, (*note.signatures, *new)))


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A text with the keys whose signatures verified, and the lines of unknown keys."""

    text: str
    verified: tuple[VerifierKey, ...]
    others: tuple[Signature, ...]


def open_note(raw: bytes, known: Iterable[VerifierKey]) -> OpenedNote:
    """Verify a note against known Ed25519 keys.

    Raises:
        NoteError: Not a signed note.
        SignatureError: A known key's signature fails, no known key signed, or two
            known keys share a name and key ID.
    """
    note = parse_note(raw)
    message = encode_text(note.text)
    by_hint = _by_hint(known)
    verified: dict[VerifierKey, None] = {}
    others = []
    for line in note.signatures:
        # SPEC: signed-note: ignore a line unless name and key ID match a known key.
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


def _by_hint(known: Iterable[VerifierKey]) -> dict[tuple[str, bytes], VerifierKey]:
    found: dict[tuple[str, bytes], VerifierKey] = {}
    for key in known:
        # A key ID has 32 bits, so the owner of a name can search two keys that share
        # one; neither may stand in for the other.
        if found.setdefault((key.name, key.key_id), key) != key:
            raise SignatureError(f"two known keys are called {key.name} alike")
    return found


def _verify(key: VerifierKey, line: Signature, message: bytes) -> None:
    if key.kind != ED25519:
        raise SignatureError(f"{key.name} is not a key that signs notes")
    try:
        verifier_for(key.public).verify(line.body, message)
    except KeysError as error:
        raise SignatureError(f"{key.name}: {error}") from None
