"""What items in the store cost: `python -m benchmarks.items [items] [dimensions]`, or `make bench-items`.

Puts them into a Valkey of its own, and looks 1,000 random ids up: all of them remembered, then none.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from loadtest.servers.valkey import running_valkey
from reranker import Candidates
from reranker.signals.cache import ItemCache
from reranker.signals.overlay import lay_over
from reranker.signals.stored import StoredItems, StoredSettings
from reranker.store import StoreAddress
from reranker.store.store import Store

ASKED, ROUNDS, BATCH, PATIENT = 1_000, 300, 5_000, 30.0
TONES = ("1-2", "3-4", "5-6", "7-8")


def main() -> int:
    """Print all of it."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    dimension = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    ids = [f"item-{row:09d}" for row in range(count)]
    print(f"{count:,} items x {dimension} float16, two attributes, {ASKED:,} asked for")
    with running_valkey() as valkey:
        store = Store(StoreAddress.parse(valkey.url))
        store.start(PATIENT)
        items = StoredItems(store, StoredSettings())
        started = time.perf_counter()
        for first in range(0, count, BATCH):
            items.put(_some(ids[first : first + BATCH], dimension, first), PATIENT)
        print(f"  put, in batches of {BATCH:,}: {(time.perf_counter() - started) / count * 1e6:.0f} µs an item")
        rng = np.random.default_rng(1)
        asked = [[ids[row] for row in rng.choice(count, ASKED, replace=False)] for _ in range(ROUNDS)]
        _report("read from the store", asked, lambda own: _look_up(items, own, remembered=False))
        _report("remembered", asked, lambda own: _look_up(items, own, remembered=True))
        found = items.find(asked[0], lambda: PATIENT)
        bare, rows = Candidates.from_columns(asked[0], np.zeros(ASKED), {}, {}), np.full(ASKED, -1)
        _report("laid out as columns", asked, lambda _: _timed(lambda: lay_over(bare, bare, rows, found, None, None)))
        print(f"  remembered in {items.cache.size / max(1, len(items.cache)):.0f} bytes an item")
        store.close()
    return 0


def _some(ids: list[str], dimension: int, seed: int) -> Candidates:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((len(ids), dimension)).astype(np.float16).astype(np.float32)
    attributes = {
        "skin_tone": [TONES[code] for code in rng.integers(0, 4, len(ids)).tolist()],
        "creator": [f"creator {code}" for code in rng.integers(0, 5_000, len(ids)).tolist()],
    }
    return Candidates(ids, np.zeros(len(ids)), vectors, attributes)


def _look_up(items: StoredItems, own: list[str], *, remembered: bool) -> float:
    if remembered:
        items.find(own, lambda: PATIENT)
    else:
        items.cache = ItemCache(1 << 24)
    return _timed(lambda: items.find(own, lambda: PATIENT))


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _report(what: str, asked: list[list[str]], work: Callable[[list[str]], float]) -> None:
    seconds = [work(own) for own in asked]
    p50, p99 = np.percentile(seconds, (50, 99)) * 1e6
    print(f"  {what}, p50 / p99: {p50:,.0f} / {p99:,.0f} µs")


if __name__ == "__main__":
    sys.exit(main())
