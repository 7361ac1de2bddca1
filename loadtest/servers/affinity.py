"""Which core who runs on, so that a generator at full speed takes nothing from the server it measures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def two_cores() -> tuple[int, int] | None:
    """A core for the server and one for all that asks it; None where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else None


@contextmanager
def staying_on(core: int | None) -> Iterator[None]:
    """This thread, and every process and thread that it starts meanwhile, on one core; None changes nothing."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
