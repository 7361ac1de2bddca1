"""A program that is killed while its clients put a server under load; it prints their process ids first."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    import numpy as np

    from loadtest.generator.fleet import hired
    from loadtest.generator.records import Order

    with hired(2, [b""]) as fleet:
        print(*fleet.pids, flush=True)
        due = np.arange(6000, dtype=np.int64) * 10_000_000
        order = Order(sys.argv[1], due, np.zeros(len(due), np.int32), 5.0, 1, 0)
        fleet.run(order, lambda _: None, lambda _: None)
