"""What an audit or a pull can find wrong: stable kinds, and what to do about each.

A finding never stops the work on other feeds. Its kind is a slug that scripts build on;
:data:`ADVICE` holds them all, each with one sentence for whoever reads the report.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ADVICE", "Finding"]

_OTHER_NODE = "Pull from another node and compare; tell the operator of this one."
_OFFICERS = "Keep this copy as it is and show it to the officers of the alliance."
_CONVICTS = "The evidence file convicts whoever signed it: give it to the officers."
_HOME = "The home should have refused it: tell its operator and the member."

ADVICE = {
    "altered-line": _OTHER_NODE,
    "altered-hash": "Pull the feed again from nothing; stored tree hashes are damaged.",
    "bad-checkpoint": _OTHER_NODE,
    "bad-cosignature": "Tell the operator of the node that is said to have signed.",
    "bad-erasure": "The order is ignored for these lines; tell whoever gave it.",
    "bad-header": _OFFICERS,
    "bad-reference": _HOME,
    "bad-signature": _OFFICERS,
    "checkpoint-between-batches": _OFFICERS,
    "dropped-batch": _OTHER_NODE,
    "erased-line-shown": "Tell its operator: nobody may be shown what was erased.",
    "erased-header": _OTHER_NODE,
    "fork": _CONVICTS,
    "invalid-line": _HOME,
    "missing-head": "Pull the feed again; without a head nobody vouches for it.",
    "moved-batch": _OFFICERS,
    "registry-rule": _OFFICERS,
    "repeated-batch": _CONVICTS,
    "rolled-back-head": "Restore the lost lines: hub restore --from-mirror.",
    "stale-head": "Ask the nodes' operators why they do not cosign: hub peers.",
    "stale-proposal": _OFFICERS,
    "tombstone-without-erasure": _OTHER_NODE,
    "too-few-officers": _OFFICERS,
    "two-successors": _CONVICTS,
    "unknown-registry-head": "Ask the member which registry its client saw.",
    "unknown-token-key": _HOME,
    "witness-rollback": _CONVICTS,
    "wrong-count": _OTHER_NODE,
    "wrong-home": _OFFICERS,
    "wrong-root": _OTHER_NODE,
    "wrong-token-class": _HOME,
}
"""What to do about each kind of finding."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: its kind, the feed, the entry it begins at, and a sentence."""

    kind: str
    feed: str
    entry: str
    detail: str

    @property
    def advice(self) -> str:
        """What to do about it."""
        return ADVICE.get(self.kind, _OFFICERS)

    def to_json(self) -> dict[str, str]:
        """Return the documented JSON form."""
        return {
            "kind": self.kind,
            "feed": self.feed,
            "entry": self.entry,
            "detail": self.detail,
        }
