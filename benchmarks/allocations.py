"""What one call allocates, line by line of this project's own code.

`tracemalloc` sees each block of Python's and each array of NumPy's. Read before and after every line, its peak gives
what that line allocated, temporaries included as far as they lived at one time; what other libraries' code allocates
counts for the line that called it.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OWN = str(ROOT / "reranker")
LARGE = 2048  # bytes: no object of Python's own in a call is so large, so it is an array


@dataclass
class Allocations:
    """Of one call: bytes of arrays `by_place`, the most alive at once, and what its answer keeps."""

    by_place: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    kept_blocks: int = 0
    kept_bytes: int = 0

    def row(self) -> dict[str, Any]:
        """The sums."""
        return {
            "bytes": self.by_place.total(),
            "lines": len(self.by_place),
            "peak": self.peak,
            "kept_blocks": self.kept_blocks,
            "kept_bytes": self.kept_bytes,
            "largest": self.largest(5),
        }

    def largest(self, count: int) -> list[tuple[str, int]]:
        """The places that allocate most."""
        return self.by_place.most_common(count)


def traced(call: Callable[[], object]) -> Allocations:
    """The allocations of one call, after one that fills caches. Slow: every line is stopped at."""
    call()
    tracemalloc.start()
    try:
        call()
        found = Allocations()
        before = tracemalloc.take_snapshot()
        tracemalloc.reset_peak()
        start, _ = tracemalloc.get_traced_memory()
        answer = call()
        found.peak = tracemalloc.get_traced_memory()[1] - start
        for change in tracemalloc.take_snapshot().compare_to(before, "filename"):
            if change.traceback[0].filename != tracemalloc.__file__:
                found.kept_blocks += max(change.count_diff, 0)
                found.kept_bytes += max(change.size_diff, 0)
        del answer
        _by_line(call, found)
    finally:
        tracemalloc.stop()
    return found


def _by_line(call: Callable[[], object], found: Allocations) -> None:
    """Run it once more under a trace function.

    Tracing makes Python build objects of its own for each frame, a few hundred bytes a line, so only lines that
    allocate an array's worth are told.
    """
    last: list[Any] = [None, 0]  # where the last stop was, and what was allocated then

    def stop(frame: FrameType, event: str, _: object) -> Any:
        more = tracemalloc.get_traced_memory()[1] - last[1]
        if last[0] is not None and more >= LARGE:
            found.by_place[f"{Path(last[0][0]).relative_to(ROOT)}:{last[0][1]}"] += more
        here: FrameType | None = frame.f_back if event == "return" else frame
        own = here is not None and here.f_code.co_filename.startswith(OWN)
        last[0] = (here.f_code.co_filename, here.f_lineno) if here is not None and own else None
        tracemalloc.reset_peak()
        last[1] = tracemalloc.get_traced_memory()[0]
        return stop if own or event == "return" else None

    before = sys.gettrace()
    sys.settrace(stop)
    try:
        call()
    finally:
        sys.settrace(before)
