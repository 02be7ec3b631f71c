"""The directory: what the registry's lines say, replayed in order. Pure.

A :class:`Directory` starts from the pin (alliance, threshold, officers' vkeys), which
is all that anybody has to trust, and :meth:`Directory.apply` returns the next one. It
answers who may sign what: officers, members' keys for a range of their feed, the home
that signs a feed's checkpoints, token keys and the policy. An entry that breaks a rule
raises; a node refuses the whole batch, and an auditor reports it.

Keys have one role each (a member's key may both publish and sign requests), and a
public key is registered once, by whomever, officers' keys included. A node has one
open key each to witness, to sign requests and to seal, since their names do not tell
two apart; it may have several log keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hub.errors import MalformedError
from hub.model import REGISTRY, EntryName, check_name, origin_of, parse_time
from hub.parties import Closure, Home, Key, Pin, Policy, TokenKey, check_officers
from hub.tlog.merkle import EMPTY_ROOT
from keys.encoding import from_base64
from keys.enrol import check_possession
from keys.errors import KeysError
from keys.note import COSIGNATURE_V1, ED25519, VerifierKey, parse_vkey

__all__ = ["Closure", "Directory", "Home", "Key", "Pin", "Policy", "TokenKey"]

Entry = Mapping[str, Any]

_ROLES = {
    "member": {"publish", "request"},
    "auditor": {"request"},
    "node": {"log", "witness", "request", "seal"},
}
# A node's keys of these roles share one name, so one of them is open at a time.
_ALONE = ("witness", "request", "seal")


def _refuse(message: str) -> MalformedError:
    return MalformedError(message, code="registry-rule")


@dataclass(frozen=True)
class Directory:
    """The state of the alliance as of registry size ``size``; never changed in place.

    ``suspended`` maps an entry name to the second until which it is inactive;
    ``former`` holds the public keys of officers that were replaced, ``boards`` since
    which size which threshold of which officers signs.
    """

    alliance: str
    threshold: int
    officers: tuple[str, ...]
    size: int = 0
    members: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    auditors: Mapping[str, str] = field(default_factory=dict)
    nodes: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[Key, ...] = ()
    homes: Mapping[str, tuple[Home, ...]] = field(default_factory=dict)
    token_keys: Mapping[str, TokenKey] = field(default_factory=dict)
    retired: frozenset[str] = frozenset()
    grants: tuple[Mapping[str, Any], ...] = ()
    policy: Policy = field(default_factory=Policy)
    suspended: Mapping[EntryName, int] = field(default_factory=dict)
    former: frozenset[bytes] = frozenset()
    boards: tuple[tuple[int, int, tuple[str, ...]], ...] = ()

    @classmethod
    def of_pin(cls, pin: Pin) -> Directory:
        """Return the directory before the registry's first line."""
        boards = ((0, pin.threshold, pin.officers),)
        return cls(pin.alliance, pin.threshold, pin.officers, boards=boards)

    # -- questions ---------------------------------------------------------------

    def officer_vkeys(self) -> list[VerifierKey]:
        """Return the officers' verifier keys."""
        return [parse_vkey(v) for v in self.officers]

    def board(self, size: int) -> tuple[int, list[VerifierKey]]:
        """Return the threshold and the officers that sign on top of a head."""
        fitting = [board for board in self.boards if board[0] <= size]
        _, threshold, officers = fitting[-1]
        return threshold, [parse_vkey(v) for v in officers]

    def key_name(self, key: Key) -> str:
        """Return the name under which a key signs notes and requests."""
        if key.owner.startswith("node/"):
            return f"{self.alliance}/{key.owner}"
        return f"{self.alliance}/{key.owner}/{key.label}"

    def with_role(self, role: str, owner: str | None = None) -> Iterator[Key]:
        """Yield the keys of a role, closed ones included."""
        for key in self.keys:
            if role in key.roles and owner in (None, key.owner):
                yield key

    def publishers(self, member: str) -> dict[VerifierKey, Key]:
        """Return every key that ever could sign batches of ``member``."""
        found = self.with_role("publish", f"member/{member}")
        return {VerifierKey(self.key_name(k), ED25519, k.public): k for k in found}

    def requester(self, name: str) -> Key | None:
        """Return the open key that signs requests under ``name``."""
        for key in self.with_role("request"):
            if self.key_name(key) == name and key.is_open("request"):
                return key if self.has_access(key.owner) else None
        return None

    def has_access(self, owner: str) -> bool:
        """Tell whether an owner is still part of the alliance."""
        kind, _, name = owner.partition("/")
        if kind == "member":
            return name in self.members and name not in self.left
        return name in (self.auditors if kind == "auditor" else self.nodes)

    def home(self, feed: str) -> Home | None:
        """Return the present home of a feed."""
        homes = self.homes.get(feed) or self.homes.get("*", ())
        return homes[-1] if homes else None

    def home_at(self, feed: str, size: int) -> Home | None:
        """Return the home that signs the feed's checkpoint of ``size``."""
        homes = self.homes.get(feed, ())
        fitting = [h for h in homes if h.size < size or h.size == 0]
        return fitting[-1] if fitting else None

    def log_public(self, feed: str, size: int) -> bytes | None:
        """Return the key that signs the feed's checkpoint of ``size``."""
        home = self.home_at(feed, size)
        return home.public if home else None

    def witness(self, node: str) -> VerifierKey | None:
        """Return the cosignature key of a node."""
        for key in self.with_role("witness", f"node/{node}"):
            if key.is_open("witness"):
                return VerifierKey(self.key_name(key), COSIGNATURE_V1, key.public)
        return None

    def witnesses(self) -> Iterator[VerifierKey]:
        """Yield every witness key that a node ever had."""
        for key in self.with_role("witness"):
            yield VerifierKey(self.key_name(key), COSIGNATURE_V1, key.public)

    def cosigners(self, time: int) -> dict[VerifierKey, str]:
        """Return the witness keys whose cosignatures of ``time`` count, with nodes."""
        found = {}
        for key in self.with_role("witness"):
            closure = key.closure("witness")
            if closure is None or time < (closure.when or 0):
                vkey = VerifierKey(self.key_name(key), COSIGNATURE_V1, key.public)
                found[vkey] = key.owner.partition("/")[2]
        return found

    def check_quorum(self) -> None:
        """Refuse a state in which a feed could never reach the policy's quorum.

        Raises:
            MalformedError: Fewer other nodes can cosign than the policy asks for.
        """
        able = {node for node in self.nodes if self.witness(node)}
        for feed in self.homes:
            home = self.home(feed)
            others = len(able - {home.node if home else ""})
            if others < self.policy.quorum:
                raise _refuse(
                    f"the quorum is {self.policy.quorum} and only {others} nodes could "
                    f"cosign {feed}; lower it, or register nodes first"
                )

    def active_token_key(self, token_class: str) -> TokenKey | None:
        """Return the newest key of a class that is not retired."""
        keys = [
            k
            for k in self.token_keys.values()
            if k.token_class == token_class and k.name not in self.retired
        ]
        return max(keys, key=lambda k: k.epoch, default=None)

    # -- replay ------------------------------------------------------------------

    def apply(self, entry: Entry) -> Directory:
        """Return the directory after one more registry line.

        Raises:
            MalformedError: The entry breaks a rule of the registry.
        """
        kind = str(entry["kind"])
        rule = _RULES.get(kind)
        if self.size == 2 and kind != "alliance":
            raise _refuse("the registry starts with an alliance entry")
        try:
            # A kind that this version does not know is skipped, so that nodes can be
            # upgraded one by one.
            return rule(self, entry) if rule else self
        except KeysError as error:
            raise _refuse(f"{kind}: {error}") from None
        except KeyError as error:
            raise _refuse(f"{kind}: the field {error} is missing") from None

    def counted(self) -> Directory:
        """Return the directory after one more index of the registry."""
        return replace(self, size=self.size + 1)

    def owner_kind(self, owner: str) -> str:
        """Return the kind of an owner.

        Raises:
            MalformedError: The registry does not know it.
        """
        kind, _, name = owner.partition("/")
        known = {"member": self.members, "auditor": self.auditors, "node": self.nodes}
        if name not in known.get(kind, ()):
            raise _refuse(f"{owner} is not in the registry")
        return kind


def _alliance(state: Directory, entry: Entry) -> Directory:
    if entry["alliance"] != state.alliance:
        raise _refuse("the entry is of another alliance")
    officers = check_officers(state.alliance, entry["officers"])
    if state.size == 2 and (entry["threshold"], officers) != (
        state.threshold,
        state.officers,
    ):
        raise _refuse("the first entry is not what the pin says")
    if not 1 <= entry["threshold"] <= len(officers):
        raise _refuse("the threshold lies between 1 and the number of officers")
    before = {v.public for v in state.officer_vkeys()}
    after = {parse_vkey(v).public for v in officers}
    if after & (state.former | {k.public for k in state.keys}):
        raise _refuse("an officer's key was registered before; make a new one")
    former = state.former | (before - after)
    # The batch that holds this entry is signed by those before: it ends above.
    boards = (*state.boards, (state.size, entry["threshold"], officers))
    return replace(
        state,
        officers=officers,
        threshold=entry["threshold"],
        former=former,
        boards=boards,
    )


def _fresh(state: Directory, name: str) -> str:
    check_name(name)
    if name in state.members or name in state.auditors or name in state.nodes:
        raise _refuse(f"the name {name} is taken")
    return name


def _member(state: Directory, entry: Entry) -> Directory:
    name = _fresh(state, entry["name"])
    members = {**state.members, name: str(entry.get("title", name))}
    return replace(state, members=members)


def _member_left(state: Directory, entry: Entry) -> Directory:
    name = entry["name"]
    if name not in state.members or name in state.left:
        raise _refuse(f"{name} is not a member")
    return replace(state, left={**state.left, name: entry["reports"]})


def _auditor(state: Directory, entry: Entry) -> Directory:
    name = _fresh(state, entry["name"])
    auditors = {**state.auditors, name: str(entry.get("title", name))}
    return replace(state, auditors=auditors)


def _node(state: Directory, entry: Entry) -> Directory:
    name, url = entry["name"], str(entry["url"])
    if name not in state.nodes:
        _fresh(state, name)
    if any(url == known for node, known in state.nodes.items() if node != name):
        raise _refuse(f"another node has the URL {url}")
    # A node is named again when its URL changes.
    return replace(state, nodes={**state.nodes, name: url})


def _key(state: Directory, entry: Entry) -> Directory:
    owner, roles = entry["owner"], tuple(entry["roles"])
    kind = state.owner_kind(owner)
    public = from_base64(entry["public"], 32)
    one = len(roles) == 1 or (kind == "member" and len(set(roles)) == len(roles))
    if not one or not set(roles) <= _ROLES[kind]:
        raise _refuse(f"{owner} cannot have a key with the roles {', '.join(roles)}")
    officers = {v.public for v in state.officer_vkeys()} | state.former
    if public in officers or any(k.public == public for k in state.keys):
        raise _refuse("the public key is registered already; make a new one")
    if any((k.owner, k.label) == (owner, entry["label"]) for k in state.keys):
        raise _refuse(f"{owner} has a key called {entry['label']} already")
    _check_alone(state, owner, kind, roles[0])
    voucher = _voucher(state, owner) if roles == ("seal",) else None
    proof = from_base64(entry["proof"], 64)
    check_possession(state.alliance, owner, roles, public, proof, voucher=voucher)
    key = Key(owner, entry["label"], roles, public, state.size - 1)
    return replace(state, keys=(*state.keys, key))


def _check_alone(state: Directory, owner: str, kind: str, role: str) -> None:
    if kind != "node" or role not in _ALONE:
        return
    for key in state.with_role(role, owner):
        if key.is_open(role):
            raise _refuse(
                f"{owner} has an open {role} key, {key.label}; close it in the same "
                "batch, before the new one"
            )


def _voucher(state: Directory, owner: str) -> bytes:
    """Return the key that vouches for a seal key, which cannot sign for itself."""
    for key in state.with_role("request", owner):
        if key.is_open("request"):
            return key.public
    raise _refuse(f"{owner} has no open request key that vouches for its seal key")


def _key_closed(state: Directory, entry: Entry) -> Directory:
    wanted = (entry["owner"], entry["label"])
    for place, key in enumerate(state.keys):
        if (key.owner, key.label) != wanted:
            continue
        ends = _closures(key, entry)
        if not ends:
            break
        _check_no_home(state, key, ends)
        kept = tuple(c for c in key.closures if c.role not in {e.role for e in ends})
        closed = replace(key, closures=(*kept, *ends))
        keys = (*state.keys[:place], closed, *state.keys[place + 1 :])
        return replace(state, keys=keys)
    role = f" with the role {entry['role']}" if "role" in entry else ""
    raise _refuse(f"{wanted[0]} has no open key called {wanted[1]}{role}")


def _closures(key: Key, entry: Entry) -> tuple[Closure, ...]:
    """Return what an entry takes from a key: roles that are open, or ended later."""
    found = []
    for role in key.roles:
        if entry.get("role", role) != role:
            continue
        when = parse_time(entry.get("when", entry["at"])) if role == "witness" else None
        end = Closure(role, int(entry.get("index", 0)), when)
        known = key.closure(role)
        if known is None or end.before(known):
            found.append(end)
    return tuple(found)


def _check_no_home(state: Directory, key: Key, ends: tuple[Closure, ...]) -> None:
    if not any(end.role == "log" for end in ends):
        return
    for feed in state.homes:
        home = state.home(feed)
        if home and home.public == key.public:
            raise _refuse(
                f"{key.owner} signs {feed} with {key.label}; give {feed} another home "
                "in the same batch, before this entry"
            )


def _home(state: Directory, entry: Entry) -> Directory:
    feed, public = entry["feed"], from_base64(entry["key"], 32)
    root, size = from_base64(entry["root"], 32), entry["size"]
    if feed != REGISTRY and feed not in state.members:
        raise _refuse(f"there is no feed called {feed}")
    log_keys = state.with_role("log", f"node/{entry['node']}")
    if public not in {k.public for k in log_keys if k.is_open("log")}:
        raise _refuse("a feed's home signs with an open log key of that node")
    before = state.homes.get(feed, ())
    if not before and (size, root) != (0, EMPTY_ROOT):
        raise _refuse(f"the first home of {feed} starts from nothing")
    # Heads above the cut under an earlier key are void; the same key could not be told
    # from them.
    if public in {h.public for h in before}:
        raise _refuse(f"{feed} had that log key before; its home needs a new one")
    home = Home(feed, entry["node"], public, size, root, state.size - 1)
    return replace(state, homes={**state.homes, feed: (*before, home)})


def _suspension(state: Directory, entry: Entry) -> Directory:
    until = parse_time(entry["until"])
    names = {EntryName.parse(e): until for e in entry["entries"]}
    for name in names:
        if name.feed not in state.members:
            raise _refuse(f"there is no feed called {name.feed}")
    return replace(state, suspended={**state.suspended, **names})


def _token_key(state: Directory, entry: Entry) -> Directory:
    name = entry["key"]
    if name in state.token_keys or name != f"{entry['class']}-{entry['epoch']}":
        raise _refuse(f"the token key {name} is there already or is misnamed")
    shares = tuple(
        (s["node"], s["x"], from_base64(s["public"], 32)) for s in entry["shares"]
    )
    if not 1 <= entry["threshold"] <= len(shares):
        raise _refuse("the threshold lies between 1 and the number of shares")
    if any(node not in state.nodes for node, _, _ in shares):
        raise _refuse("a share is held by a node that the registry does not know")
    key = TokenKey(
        name,
        entry["class"],
        entry["epoch"],
        from_base64(entry["public"], 32),
        entry["threshold"],
        shares,
    )
    return replace(state, token_keys={**state.token_keys, name: key})


def _token_key_retired(state: Directory, entry: Entry) -> Directory:
    name = entry["key"]
    if name not in state.token_keys or name in state.retired:
        raise _refuse(f"there is no token key {name} to retire")
    return replace(state, retired=state.retired | {name})


def _grant(state: Directory, entry: Entry) -> Directory:
    if not state.has_access(f"member/{entry['member']}"):
        raise _refuse(f"{entry['member']} is not a member")
    return replace(state, grants=(*state.grants, dict(entry)))


def _policy(state: Directory, entry: Entry) -> Directory:
    if entry["quorum"] > max(len(state.nodes) - 1, 0):
        raise _refuse("the quorum exceeds the number of other nodes")
    return replace(
        state,
        policy=Policy(
            entry["quorum"],
            dict(entry.get("valid_days", {})),
            {**Policy().quotas, **entry.get("quotas", {})},
            int(entry.get("fresh_hours", 24)),
        ),
    )


_RULES = {
    "alliance": _alliance,
    "member": _member,
    "member-left": _member_left,
    "auditor": _auditor,
    "node": _node,
    "key": _key,
    "key-closed": _key_closed,
    "home": _home,
    "suspension": _suspension,
    "token-key": _token_key,
    "token-key-retired": _token_key_retired,
    "grant": _grant,
    "policy": _policy,
}


def origin(directory: Directory, feed: str) -> str:
    """Return the origin of a feed of this alliance."""
    return origin_of(directory.alliance, feed)
