"""`make faults` in short: the real server and a real Valkey, every use of the store on, under steady load."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loadtest.faults.__main__ import main, row
from loadtest.faults.acts import FAULTS
from loadtest.faults.run import Pace, bench_with_everything, suffer
from loadtest.faults.uses import Bench, Use

# The times are generous, as a busy machine must not fail the test; what may not happen is that a request fails.
SHORT = Pace(rate=20.0, warm_up=0.1, before=0.2, during=0.8, after=0.4, deadline=10.0)
STORE_TIMEOUT = 0.3  # long enough that a store which is well is not taken for a slow one, and less than a fault takes


@pytest.fixture(scope="module")
def everything() -> Iterator[tuple[Bench, list[Use]]]:
    with bench_with_everything(STORE_TIMEOUT) as made:
        yield made


@pytest.mark.parametrize("name", ["kill", "pause", "fill", "flush", "lie"])
def test_no_request_fails_and_nothing_acknowledged_is_missing(everything: tuple[Bench, list[Use]], name: str) -> None:
    outcome = suffer(FAULTS[name], *everything, SHORT)
    assert outcome.requests == 28
    assert outcome.failed == 0
    assert outcome.missing == ()
    assert (outcome.degraded > 0) == (name in ("kill", "pause", "lie"))
    assert bool(outcome.reasons) == (name != "flush")
    assert row(outcome)[0] == name


def test_a_fault_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["earthquake"]) == 2
    assert "there is no earthquake" in capsys.readouterr().err
