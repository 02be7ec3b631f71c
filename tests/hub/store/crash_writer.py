"""Append to a database until killed, telling each size after its commit."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from hub.store.base import StoredHead
from hub.store.sqlite import SqliteStore
from tests.hub.store.samples import append


def main(path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 made-up sizes
    store = SqliteStore(path)
    print("ready", flush=True)
    while True:
        with store.write() as tx:
            size = tx.objects.size("maison")
            tree = append(tx, "maison", rng.choice([1, 2, 100, 300, 1000]))
            if size > 500:
                tx.erasures.order("maison", [size - 1], "maison/0", 0)
                tx.objects.erase("maison", [size - 1])
            head = StoredHead(tree.size, tree.root(), b"note")
            tx.heads.replace("maison", size or None, head)
        print(tree.size, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
