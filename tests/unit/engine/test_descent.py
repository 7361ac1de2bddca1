"""A request on a clock: what does not fit is not begun, what overruns gives way to the next rung, who left is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

from reranker.candidates import Candidates
from reranker.context import Context
from reranker.engine import Pace, Paces, Presence, Schedule, Trace, rerank_traced
from reranker.errors import CallerGone, DeadlinePassed, TooLittleTime
from reranker.policy import Policy
from reranker.slate import Rung, Slate

SLOTS = 5
RELEVANCE = ("relevance", False, False, (1, True, False))
WORK = (60 + 60 * SLOTS) * 8


class Clock:
    """Real time, and leaps: after so many looks it stands so many seconds later."""

    def __init__(self, leap: float = 0.0, looks: int = 0) -> None:
        self._leap, self._looks = leap, looks

    def __call__(self) -> float:
        self._looks -= 1
        return time.perf_counter() + (self._leap if self._looks < 0 else 0.0)


def listed() -> Candidates:
    rng = np.random.default_rng(5)
    tones = [("a", "b")[i % 2] for i in range(60)]
    rows = rng.normal(size=(60, 8)).astype(np.float32)
    return Candidates(list(range(60)), rng.random(60), {"": rows}, {"tone": tones})


def made(schedule: Schedule, mode: str = "relax", explain: bool = True, **objective: object) -> tuple[Slate, Trace]:
    quotas = [{"attribute": "tone", "min_count": {"a": 3}}]
    words = {"strategy": "dpp", **objective}
    policy = Policy.from_dict({"name": "p", "objective": words, "quotas": quotas, "on_infeasible": {"mode": mode}})
    return rerank_traced(listed(), policy, SLOTS, explain=explain, context=Context(), schedule=schedule)


def within(seconds: float, clock: Callable[[], float] = time.perf_counter, **words: object) -> Schedule:
    settings: dict[str, object] = {"degrades": True, "paces": Paces(), **words}
    return Schedule(deadline=time.perf_counter() + seconds, clock=clock, **settings)  # type: ignore[arg-type]


def test_one_that_overruns_gives_way_to_the_rung_below(monkeypatch: pytest.MonkeyPatch) -> None:
    """Relevance is thought to take 100 s, and twice as long is left to it; at some look the clock leaps beyond that."""
    paces = Paces()
    made(within(1e3, paces=paces))
    given_up: list[float] = []
    monkeypatch.setattr(Pace, "learn_at_least", lambda _, work, seconds: given_up.append(seconds))
    rungs = []
    for looks in range(40):
        paces.of(RELEVANCE).relearn(WORK, 100.0)
        slate, _ = made(within(1e3, Clock(850.0, looks), paces=paces))
        rungs.append(slate.report.rung)
        assert len(slate) == SLOTS
    assert set(rungs) == {Rung.QUOTAS, Rung.WHOLE}
    assert rungs == sorted(rungs, key=[Rung.QUOTAS, Rung.WHOLE].index)
    assert 0 < len(given_up) < 40
    assert max(given_up) > 800.0


@pytest.mark.parametrize("looks", range(0, 30, 3))
def test_whenever_the_clock_leaps_there_is_a_slate_or_an_error(looks: int) -> None:
    """To just before the deadline: then the last rung is always there. Beyond it: nobody waits any more."""
    schedule = within(1e6, Clock(1e6 - 100.0, looks), reserve=200.0)
    slate, _ = made(schedule)
    assert len(set(slate.positions.tolist())) == SLOTS
    with suppress(DeadlinePassed):
        slate, _ = made(within(1e6, Clock(2e6, looks)))
        assert len(slate) == SLOTS


def test_what_does_not_fit_is_not_begun_where_nothing_is_degraded() -> None:
    paces = Paces()
    slate, trace = made(within(1e3, paces=paces, degrades=False))
    assert (slate.report.rung, trace.error_ratio) == (Rung.WHOLE, None)
    assert made(within(1e3, paces=paces, degrades=False))[1].error_ratio is not None
    tight = within(1e3, paces=paces, degrades=False, reserve=1e3 - 1e-7)
    with pytest.raises((TooLittleTime, DeadlinePassed)):
        made(tight)


def test_one_bad_minute_does_not_last_for_ever() -> None:
    paces = Paces()
    made(within(1e3, paces=paces))
    for pace in paces._of.values():
        for work in range(8, 8_000, 8):
            pace.relearn(work, 1e5)
    rungs = [made(within(1e3, paces=paces))[0].report.rung for _ in range(20)]
    assert rungs[0] is Rung.UPSTREAM
    assert rungs[-1] is Rung.WHOLE


def test_nobody_works_for_a_caller_who_has_left() -> None:
    present = Presence()
    assert len(made(within(1e3, present=present))[0]) == SLOTS
    present.leave()
    for explain in (True, False):
        with pytest.raises(CallerGone, match="after 0 of 5 slots"):
            made(within(1e3, present=present), explain=explain)
        with pytest.raises(CallerGone):
            made(Schedule(present=present), explain=explain)


def test_without_paces_a_passed_deadline_is_an_error() -> None:
    with pytest.raises(DeadlinePassed):
        made(Schedule(deadline=time.perf_counter() - 1.0))


def test_a_request_without_a_deadline_is_never_degraded_and_teaches_all_the_same() -> None:
    paces = Paces()
    slate, _ = made(Schedule(paces=paces, degrades=True))
    assert slate == made(Schedule())[0]
    assert made(Schedule(paces=paces, degrades=True))[1].error_ratio is not None
