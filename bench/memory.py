"""Memory: a node and its clients with few entries, and with ten times as many."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.table import Figure, Print
from bench.trial import Trial, new_trial

__all__ = ["measure", "peak"]

_SMALL = """
import os, sys
child = os.fork()
if not child:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def measure(folder: Path, show: Print, *, entries: int) -> None:
    """Measure at a tenth of ``entries`` and at all of them."""
    names = ("hub serve, after being pulled", "hub pull", "hub audit", "hub screen")
    small, large = (
        _peaks(new_trial(folder.parent / f"{folder.name}-{count}"), count)
        for count in (max(1000, entries // 10), entries)
    )
    for name, before, after in zip(names, small, large, strict=True):
        show(Figure(f"memory of {name}", after, "MB", ceiling=before, bare="a tenth"))


def _peaks(trial: Trial, count: int) -> list[float]:
    """Return the peaks of a node, a pull, an audit and a screening."""
    sellers = trial.sellers("sellers.csv", 2000)
    trial.fill(count)
    with trial.served() as server:
        pulled = peak(trial.command("reader", "pull"))
        served = _peak_of_family(server)
        trial.run("maison", "pull")
        screened = peak(trial.command("maison", "screen", str(sellers)))
    audited = peak(trial.command("reader", "audit"))
    return [served, pulled, audited, screened]


def peak(command: list[str]) -> float:
    """Run a command; return the largest memory that it had, in MB."""
    # A process counts what its parent had when it was forked, so the parent is small.
    done = subprocess.run(
        [sys.executable, "-S", "-c", _SMALL, *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int(done.stdout) / 1024


def _peak_of_family(pid: int) -> float:
    """Return the largest peak of a process and its children, in MB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    texts = [Path(f"/proc/{n}/status").read_text() for n in (str(pid), *children)]
    fields = [line.split() for text in texts for line in text.splitlines()]
    return max(int(f[1]) / 1024 for f in fields if f[:1] == ["VmHWM:"])
