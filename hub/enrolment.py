"""The owner's side of enrolment: keys in a folder, and the request that names them.

A request is a JSON file without any secret, which an officer turns into entries of the
registry (``hub.officers``)::

    {"kind": "member" or "auditor", "alliance", "name", "key": {…}}
    {"kind": "node", "alliance", "name", "url", "keys": [{…}], "token_keys": [{…}]}
    {"kind": "key", "alliance", "owner", "key": {…}, "closes": a label or null}

``key`` has the fields of the registry's entry, the proof of possession included. In a
folder, the first key of a role is ``private/<role>.key`` and later ones are
``private/<role>-<label>.key``; a file ``….label`` beside each holds its label.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.errors import MalformedError, RefusedError
from hub.model import check_name
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.enrol import prove_possession
from keys.keyfile import write_key
from keys.voprf import public_of, random_scalar
from keys.x25519 import new_sealing, sealing_public

__all__ = ["Enrolment", "key_names", "label_of", "parse_request", "render_request"]

Request = dict[str, Any]
_FIELDS = {
    "member": {"kind", "alliance", "name", "key"},
    "auditor": {"kind", "alliance", "name", "key"},
    "node": {"kind", "alliance", "name", "url", "keys", "token_keys"},
    "key": {"kind", "alliance", "owner", "key", "closes"},
}
_MAX_REQUEST = 1_000_000
_NODE_ROLES = ("log", "witness", "request", "seal")


def key_names(folder: Path, role: str) -> list[str]:
    """Return the names of the key files of a role, the first one first."""
    names = [p.stem for p in (folder / "private").glob(f"{role}*.key")]
    later = [n for n in names if n.startswith(f"{role}-")]
    return [n for n in names if n == role] + sorted(later, key=_number)


def _number(name: str) -> tuple[int, str]:
    digits = re.search("[0-9]+$", name)
    return int(digits[0]) if digits else 0, name


def label_of(folder: Path, name: str) -> str:
    """Return the label of a key file, under which the registry knows the key."""
    path = folder / "private" / f"{name}.label"
    # The first keys of a node are called like their roles.
    return path.read_text().strip() if path.exists() else name


@dataclass(frozen=True)
class Enrolment:
    """Makes the keys and requests of one owner.

    Args:
        folder: The owner's folder.
        alliance: The alliance's name.
        kind: ``member``, ``auditor`` or ``node``.
        name: The owner's name.
        phrase: Seals the keys; None stores them readable by their owner alone.
    """

    folder: Path
    alliance: str
    kind: str
    name: str
    phrase: str | None = None

    @property
    def owner(self) -> str:
        """The owner as the registry writes it."""
        return f"{self.kind}/{check_name(self.name)}"

    def newcomer(self) -> Request:
        """Make the keys of a new member or auditor; return the request."""
        roles = ["publish", "request"] if self.kind == "member" else ["request"]
        signer = self._signer(roles[0], "k1")
        return {
            "kind": self.kind,
            "alliance": self.alliance,
            "name": self.name,
            "key": self._fields("k1", roles, signer),
        }

    def node(self, url: str, *, with_token_keys: bool) -> Request:
        """Make the keys of a new node; return the request.

        Args:
            url: The node's public URL.
            with_token_keys: Whether it holds whole token keys, as a first node does.
        """
        signers = {r: self._signer(r, r) for r in _NODE_ROLES if r != "seal"}
        keys = [self._fields(r, [r], s) for r, s in signers.items()]
        keys.append(self._sealing("seal", signers["request"]))
        classes = ("open", "scarce") if with_token_keys else ()
        return {
            "kind": "node",
            "alliance": self.alliance,
            "name": self.name,
            "url": url,
            "keys": keys,
            "token_keys": [self._token_key(c) for c in classes],
        }

    def further(
        self, roles: list[str], label: str, voucher: Signer | None, closes: str | None
    ) -> Request:
        """Make one more key; return the request.

        Args:
            roles: What it is for.
            label: A label that the owner never used.
            voucher: The open request key, which vouches for a ``seal`` key alone.
            closes: The label of the key that it takes the place of.
        """
        if voucher is not None:
            fields = self._sealing(label, voucher)
        else:
            fields = self._fields(label, roles, self._signer(roles[0], label))
        return {
            "kind": "key",
            "alliance": self.alliance,
            "owner": self.owner,
            "key": fields,
            "closes": closes,
        }

    def _signer(self, role: str, label: str) -> Signer:
        signer = Signer.generate()
        self._write(role, label, signer.seed, "ed25519")
        return signer

    def _write(self, role: str, label: str, secret: bytes, kind: str) -> None:
        private = self.folder / "private"
        private.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = role
        if (private / f"{role}.key").exists():
            name = label if label.startswith(f"{role}-") else f"{role}-{label}"
        # If we crash after this, then a label lies there without a key and is written
        # anew with the next one.
        (private / f"{name}.label").write_text(f"{label}\n")
        path = private / f"{name}.key"
        write_key(path, secret, kind=kind, passphrase=self.phrase)

    def _fields(self, label: str, roles: list[str], signer: Signer) -> Request:
        proof = prove_possession(self.alliance, self.owner, roles, signer)
        return self._entry(label, roles, signer.public, proof)

    def _sealing(self, label: str, voucher: Signer) -> Request:
        secret = new_sealing()
        self._write("seal", label, secret, "x25519")
        public, roles = sealing_public(secret), ["seal"]
        proof = prove_possession(
            self.alliance, self.owner, roles, voucher, public=public
        )
        return self._entry(label, roles, public, proof)

    def _entry(
        self, label: str, roles: list[str], public: bytes, proof: bytes
    ) -> Request:
        return {
            "owner": self.owner,
            "label": label,
            "roles": roles,
            "public": to_base64(public),
            "proof": to_base64(proof),
        }

    def _token_key(self, token_class: str) -> Request:
        secret = random_scalar()
        path = self.folder / "private" / f"token-{token_class}-1.key"
        write_key(path, secret, kind="voprf", passphrase=self.phrase)
        public = to_base64(public_of(secret))
        return {
            "key": f"{token_class}-1",
            "class": token_class,
            "epoch": 1,
            "public": public,
            "threshold": 1,
            "shares": [{"node": self.name, "x": 1, "public": public}],
        }


def render_request(request: Request) -> str:
    """Return the file of a request."""
    return json.dumps(request, indent=1) + "\n"


def parse_request(text: str, kind: str, alliance: str) -> Request:
    """Read a request of a kind; the registry's rules check the rest.

    Raises:
        MalformedError: Not a request of that kind, or about somebody else.
        RefusedError: It is for another alliance.
    """
    try:
        request = json.loads(text[:_MAX_REQUEST])
        fitting, named = _fits(request, kind), str(request["alliance"])
    except (ValueError, KeyError, TypeError, RecursionError):
        fitting, named = False, ""
    if not fitting:
        raise MalformedError(
            f"the file is not a request of a {kind}",
            code="bad-request-file",
            advice="Ask for the request.json that hub join, hub node new or hub key "
            "new wrote.",
        )
    if named != alliance:
        raise RefusedError(
            f"the request is for {named[:100]}, not for {alliance}",
            code="other-alliance",
            advice="Its owner makes it again with the pin of this alliance.",
        )
    return dict(request)


def _fits(request: Request, kind: str) -> bool:
    """Tell whether a request has the form of a kind, and is about one owner."""
    if request["kind"] != kind or set(request) != _FIELDS[kind]:
        return False
    owner = request["owner"] if kind == "key" else f"{kind}/{request['name']}"
    keys = request["keys"] if kind == "node" else [request["key"]]
    return bool(keys) and all(dict(k)["owner"] == owner for k in keys)
