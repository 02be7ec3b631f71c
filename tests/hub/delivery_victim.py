"""Deliver what is in an outbox, and die at one moment of it as in a power cut."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hub.delivery import Command, File, Webhook, deliver
from hub.store.ledger import Ledger
from hub.store.outbox import Outbox


def run(folder: Path, url: str, now: int, moment: str = "") -> list[object]:
    """Deliver; with a moment, end there with status 9."""
    outbox = Outbox(Ledger(folder / "ledger.db"))
    if moment:
        _plant(outbox, moment)
    ways = {
        "file": File(folder / "alerts.jsonl", outbox),
        "command": Command(f"echo $HUB_DELIVERY >> {folder / 'heard'}"),
        "webhook": Webhook(url),
    }
    return list(deliver(outbox, ways, now))


def _plant(outbox: Outbox, moment: str) -> None:
    mark, done = outbox.mark, outbox.delivered

    def marked(*words):
        mark(*words)
        os._exit(9)

    def delivered(deliveries):
        if deliveries[0].way == moment:
            os._exit(9)
        done(deliveries)

    if moment == "mark":
        outbox.mark = marked
    elif moment == "write":
        os.fsync = lambda _file: os._exit(9)
    else:
        outbox.delivered = delivered


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
