"""A process that imports the hub once and then forks a command at a time.

It reads one JSON line a command: its words, a pipe on which the child waits until a
tracer is attached, and the file for what it says. It answers with the child's process
id and, when it ended, with how, and how much memory it had. So a test can kill a
command at each of its steps without paying for the start of Python each time.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from hub import cli


def child(order):
    Path(order["gate"]).read_bytes()
    said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.argv = ["hub", *order["words"]]
    status = 1
    try:
        cli.main()
    except SystemExit as ended:
        status = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # A process that ends properly closes what it has open; so does this one.
        os._exit(status)


def main():
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            child(order)
        print(pid, flush=True)
        _, ended, used = os.wait4(pid, 0)
        print(os.waitstatus_to_exitcode(ended), used.ru_maxrss, flush=True)


if __name__ == "__main__":
    main()
