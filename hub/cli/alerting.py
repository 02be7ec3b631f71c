"""Alerts of a folder: noting them, delivering them, and saying them to a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hub.delivery import Undelivered, deliver, ways_of
from hub.errors import UnavailableError
from hub.model import render_time
from hub.screening import refs_of
from hub.store.ledger import Ledger
from hub.store.locks import turn
from hub.store.watching import Watching
from hub.warning import expiring_reports, stale_feeds
from hub.watching import active_keys, news
from hub.wiring import Hub

__all__ = ["Desk", "sentence", "undelivered"]

Alert = dict[str, Any]
TERMINAL = "terminal"
_PATIENCE = 120  # Seconds that another process of this folder may deliver.


@dataclass
class Desk:
    """Where the alerts of one folder are made and sent.

    Args:
        hub: The folder's hub.
        ledger: Its open ledger.
    """

    hub: Hub
    ledger: Ledger

    def __post_init__(self) -> None:
        self.watching = Watching(self.ledger)
        outbox = self.watching.outbox
        self.ways = ways_of(self.hub.config["alerts"], self.hub.folder, outbox)
        self.names = [TERMINAL, *self.ways]

    def note_news(self) -> None:
        """Note what began and ended on the watch list."""
        hub = self.hub
        news(
            hub.store,
            hub.registry.directory,
            self.watching,
            hub.clock.now(),
            ways=self.names,
            refs=refs_of(self.ledger, hub.name),
        )

    def note_warnings(self) -> None:
        """Note which feeds went stale, and which own reports end soon."""
        hub, settings = self.hub, self.hub.config["worker"]
        now, hours = hub.clock.now(), settings["stale_hours"]
        stale = stale_feeds(hub.store, now, hours) if hours else {}
        self.watching.warn("stale", stale, self.names, now)
        if hub.role == "member" and settings["expiring_days"]:
            expiring = expiring_reports(
                hub.store,
                hub.registry.directory,
                hub.name,
                now,
                settings["expiring_days"],
                refs_of(self.ledger, hub.name),
            )
            self.watching.warn("expiring", expiring, self.names, now)

    def outdated(self) -> str:
        """Return what to say of sellers that must be added again, or nothing."""
        count = self.watching.outdated(active_keys(self.hub.directory()))
        if not count:
            return ""
        return (
            f"{count} watched sellers have tokens of a retired token key only, so new "
            "reports do not match them: add their list again with `hub watch add`."
        )

    @contextmanager
    def delivering(self) -> Iterator[tuple[list[Alert], list[Undelivered]]]:
        """Deliver by all ways; yield the alerts to print, and the ways that failed.

        One process of a folder delivers at a time, so that nothing arrives twice.

        Raises:
            UnavailableError: Another process is at it for long; the alerts wait.
        """
        outbox = self.watching.outbox
        with turn(self.hub.folder / "ledger.db.outbox", _PATIENCE):
            outbox.drop(self.names)
            failed = deliver(outbox, self.ways, self.hub.clock.now())
            waiting = outbox.waiting(TERMINAL)
            yield [alert for d in waiting for alert in d.alerts], failed
            # If we crash here, then what was printed is printed again.
            outbox.delivered(waiting)


def undelivered(failed: list[Undelivered]) -> UnavailableError:
    """Return the error that says what waits in the outbox."""
    texts = [f"{f.way}: {_waiting(f.waiting)}: {f.problem}" for f in failed]
    again = render_time(min(f.due for f in failed))
    return UnavailableError(
        "; ".join(texts),
        code="undelivered",
        advice=f"The first pull after {again} tries again.",
    )


def _waiting(count: int) -> str:
    return f"{count} deliveries wait" if count > 1 else "a delivery of alerts waits"


def sentence(alert: Alert) -> str:
    """Return an alert for a person."""
    return _SENTENCES[alert["alert"]](alert)


def _listed(alert: Alert) -> str:
    report = alert["report"]
    match = "" if alert["match"] == "exact" else f", matched by its {alert['match']}"
    disputed = ", disputed" if alert["disputed"] else ""
    return (
        f"ALERT {alert['ref']}: reported by {alert['member']} as {report['entry']} "
        f"({report['type']}, {report['basis']}, confidence {report['confidence']}"
        f"{match}{disputed})"
    )


def _ended(alert: Alert) -> str:
    why = _WHY[alert["why"]].format(reason=alert.get("reason"))
    who = f"{alert['ref']}: {alert['member']} lists it no more"
    return f"ENDED {who}: {alert['entry']} {why}"


_WHY = {
    "withdrawn": "was withdrawn ({reason})",
    "erased": "was erased",
    "key-closed": "is void, as its key was closed",
    "member-left": "counts no more, as its member left",
    "suspended": "was suspended by the officers",
    "expired": "expired",
}


def _stale(alert: Alert) -> str:
    return (
        f"STALE {alert['feed']}: nothing was pulled of it since {alert['since']}; look "
        "at the errors of `hub pull`"
    )


def _expiring(alert: Alert) -> str:
    report = alert["report"]
    ref = f"{alert['ref']}: " if alert["ref"] else ""
    return (
        f"EXPIRING {ref}your report {report['entry']} ({report['type']}) ends at "
        f"{report['valid_until']}; `hub renew {report['entry']}` renews it"
    )


_SENTENCES = {
    "listed": _listed,
    "ended": _ended,
    "stale": _stale,
    "expiring": _expiring,
}
