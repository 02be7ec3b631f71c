"""Screening a long file: its memory, with few rows and with ten times as many.

The tokens are cached beforehand, made up under the handles that the command looks for,
so that this measures reading, looking up and writing, and no evaluation.
"""

from __future__ import annotations

import csv
import hashlib
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

from bench.memory import peak
from bench.table import Figure, Print
from bench.trial import Trial, new_trial
from hub.interop.tables import Options, read_rows
from hub.screening import forms_of

__all__ = ["measure"]

_PART = 50_000


def measure(folder: Path, show: Print, *, sellers: int) -> None:
    """Measure with a tenth of ``sellers`` rows and with all of them."""
    trial = new_trial(folder)
    with trial.served():
        trial.run("maison", "pull")
    few, _ = _screen(trial, max(1000, sellers // 10))
    many, rate = _screen(trial, sellers)
    name = f"hub screen, {sellers:,} rows"
    show(Figure(f"memory of {name}", many, "MB", ceiling=few, bare="a tenth"))
    show(Figure(f"rate of {name}", rate, "rows/s"))


def _screen(trial: Trial, count: int) -> tuple[float, float]:
    """Return the peak in MB and the rows in a second."""
    path = trial.sellers(f"sellers-{count}.csv", count)
    _cache(trial, path)
    words = ("screen", path, "--ref", "case", "--out", trial.folder / "found.csv")
    begun = time.monotonic()
    memory = peak(trial.command("maison", *words))
    seconds = time.monotonic() - begun
    with (trial.folder / "found.csv").open(newline="") as found:
        if sum(1 for _ in csv.reader(found)) != count + 1:
            raise AssertionError("every row has its line")
    return memory, count / seconds


def _cache(trial: Trial, path: Path) -> None:
    """Put a made-up token for everything in a file into the member's cache."""
    hub = trial.hub("maison")
    with closing(hub.ledger()) as ledger, path.open("rb") as stream:
        tokenizer = hub.tokenizer(ledger)
        rows = read_rows(stream, path.name, Options(ref="case"))
        while part := list(islice(rows, _PART)):
            forms = {f for row in part for f in forms_of(row, looser=True)}
            handles = (tokenizer.handle(tokenizer.key_for(f[0]), f) for f in forms)
            ledger.put_tokens({h: hashlib.sha256(h).digest() for h in handles})
    hub.close()
