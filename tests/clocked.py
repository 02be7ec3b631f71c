"""The command ``hub`` with a clock that a test sets: so many seconds off, in a file."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from hub import cli
from hub.clock import SystemClock


def main():
    offset = Path(os.environ["CLOCK_OFFSET"])

    def now(_clock):
        return int(time.time()) + int(offset.read_text())

    SystemClock.now = now
    sys.argv[0] = "hub"
    cli.main()


if __name__ == "__main__":
    main()
