"""What `make bench` has to show: how many times faster than the best peer's whole call, by work and setting."""

from __future__ import annotations

from benchmarks.ours import Setting

# On uniform synthetic candidates, N/D/k.
GOALS: dict[tuple[str, Setting], float] = {
    ("uniform 300/64/20", Setting("dpp", 0.5)): 8.0,
    ("uniform 1000/128/50", Setting("dpp", 0.5)): 8.0,
    ("uniform 1000/128/50", Setting("dpp", 0.8)): 4.0,
    ("uniform 1000/128/50", Setting("dpp", 1.0)): 3.0,
    ("uniform 5000/256/100", Setting("dpp", 0.5)): 6.0,
    ("uniform 1000/128/50", Setting("ssd", 0.5, window=10)): 20.0,
    ("uniform 1000/128/50", Setting("mmr", 0.5)): 5.0,
    ("uniform 1000/128/50", Setting("msd", 0.5)): 2.0,
    ("uniform 1000/128/50", Setting("cover", 0.5)): 20.0,
}


def goal(work: str, setting: Setting) -> float | None:
    """The ratio asked for; None where there is none beyond not being slower."""
    return GOALS.get((work, setting))
