"""What the registry's lines name: pin, keys, homes, token keys, policy. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hub.errors import MalformedError
from hub.model import check_name
from keys.ed25519 import check_public
from keys.errors import KeysError
from keys.note import parse_vkey

__all__ = ["Closure", "Home", "Key", "Pin", "Policy", "TokenKey", "check_officers"]


def _refuse(message: str) -> MalformedError:
    return MalformedError(message, code="registry-rule")


def check_officers(alliance: str, vkeys: Iterable[str]) -> tuple[str, ...]:
    """Return the officers' vkeys, of which no two may be one person's key.

    Raises:
        MalformedError: A public key or a name occurs twice, or is not an officer's.
        KeysError: Not a vkey, or a key under which signatures prove nothing.
    """
    keys = [parse_vkey(v) for v in vkeys]
    for key in keys:
        check_public(key.public)
        start, _, name = key.name.rpartition("/")
        if start != f"{alliance}/officer":
            raise _refuse(f"{key.name} is not the name of an officer of {alliance}")
        check_name(name)
    # One key under two names would count twice towards the threshold.
    if len({k.public for k in keys}) < len(keys) or len({k.name for k in keys}) < len(
        keys
    ):
        raise _refuse("each officer has a name and a key of their own")
    return tuple(k.render() for k in keys)


@dataclass(frozen=True, slots=True)
class Pin:
    """What everybody trusts: the alliance's name, threshold and first officers."""

    alliance: str
    threshold: int
    officers: tuple[str, ...]

    def render(self) -> str:
        """Return the pin file."""
        body = {
            "alliance": self.alliance,
            "threshold": self.threshold,
            "officers": list(self.officers),
        }
        return json.dumps(body, indent=1) + "\n"

    @classmethod
    def parse(cls, text: str) -> Pin:
        """Read a pin file.

        Raises:
            MalformedError: Not a pin file.
        """
        try:
            body = json.loads(text)
            alliance = str(body["alliance"])
            officers = check_officers(alliance, body["officers"])
            pin = cls(alliance, int(body["threshold"]), officers)
        except (ValueError, KeyError, TypeError, AttributeError, KeysError):
            raise MalformedError(
                "not a pin file", advice="Ask an officer for the alliance's pin file."
            ) from None
        if not 1 <= pin.threshold <= len(officers):
            raise MalformedError(
                "the threshold lies between 1 and the number of officers",
                advice="Ask an officer for the alliance's pin file.",
            )
        return pin


@dataclass(frozen=True, slots=True)
class Closure:
    """The end of a key in one role.

    Args:
        role: The role.
        index: The first index of the owner's feed that the key may not sign.
        when: The second from which a witness's cosignatures do not count.
    """

    role: str
    index: int = 0
    when: int | None = None

    def before(self, other: Closure) -> bool:
        """Tell whether this takes away more than another closure of the role."""
        if self.when is not None and other.when is not None:
            return self.when < other.when
        return self.index < other.index


@dataclass(frozen=True, slots=True)
class Key:
    """A registered key; ``since`` is the registry index that registered it."""

    owner: str
    label: str
    roles: tuple[str, ...]
    public: bytes
    since: int
    closures: tuple[Closure, ...] = ()

    def closure(self, role: str) -> Closure | None:
        """Return the end of the key in a role, or None while it is open."""
        return next((c for c in self.closures if c.role == role), None)

    def is_open(self, role: str) -> bool:
        """Tell whether the key has a role and may still use it."""
        return role in self.roles and self.closure(role) is None

    @property
    def closed_at(self) -> int | None:
        """The first index that it may not sign as a publisher, or None."""
        closure = self.closure("publish")
        return closure.index if closure else None


@dataclass(frozen=True, slots=True)
class Home:
    """The node that signs a feed's checkpoints above ``size``.

    ``since`` is the registry index that says so.
    """

    feed: str
    node: str
    public: bytes
    size: int
    root: bytes
    since: int = 0


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A token key: t of the nodes that hold its shares evaluate it."""

    name: str
    token_class: str
    epoch: int
    public: bytes
    threshold: int
    shares: tuple[tuple[str, int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What the officers decided for everybody."""

    quorum: int = 0
    valid_days: Mapping[str, int] = field(default_factory=dict)
    quotas: Mapping[str, int] = field(
        default_factory=lambda: {"scarce": 50_000, "open": 2_000_000}
    )
    fresh_hours: int = 24
