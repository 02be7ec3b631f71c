"""How long a command takes that does nothing."""

from __future__ import annotations

import subprocess
import sys

from bench.table import Figure, Print, paired

__all__ = ["measure"]


def measure(show: Print, *, runs: int) -> None:
    """Measure ``hub --help`` beside Python with click alone."""

    def ours() -> None:
        _run("-m", "hub", "--help")

    def least() -> None:
        _run("-c", "import click")

    seconds, ceiling = paired([(ours, least)] * max(runs, 5))
    show(
        Figure(
            "hub --help, a process",
            1000 * seconds,
            "ms",
            ceiling=1000 * ceiling,
            bare="python -c 'import click'",
        )
    )


def _run(*words: str) -> None:
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
