"""`make faults-server` in short, and that its judge finds what is wrong with an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.server_faults.__main__ import main
from loadtest.server_faults.acts import FAULTS
from loadtest.server_faults.cases import HURRIED, RUNGS, Case, make_cases
from loadtest.server_faults.judge import mistake_of, rung_of
from loadtest.server_faults.run import Outcome
from reranker.v1.reranker_service_pb2 import DEGRADED_REASON_DEADLINE, RerankResponse


def test_killed_workers_and_bad_policies_make_no_slate_wrong_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    # Deadlines are generous, as a busy machine must not fail the test.
    pace = ("--seconds", "2", "--rate", "40", "--deadline-ms", "5000")
    assert main(["kill", "policy", *pace, "--output", str(path)]) == 0
    kill, policy = json.loads(path.read_text())["faults"]
    for outcome in (kill, policy):
        assert outcome["answered"] > 100
        assert outcome["acknowledged"] > 0
        ended = outcome["answered"] + outcome["shed"] + outcome["late"] + sum(outcome["failed"].values())
        assert ended == outcome["sent"]
    assert set(kill["failed"]) <= {"UNAVAILABLE"}
    assert policy["failed"] == {}


def test_a_server_that_sheds_nearly_everything_is_not_kept() -> None:
    fault = next(iter(FAULTS.values()))
    assert Outcome(fault, sent=100, answered=60, shed=40).is_kept
    assert not Outcome(fault, sent=100, answered=40, shed=60).is_kept
    assert not Outcome(fault).is_kept


def test_a_fault_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["earthquake"]) == 2
    assert "there is no earthquake" in capsys.readouterr().err


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return make_cases()


def answer_of(case: Case, rung: str) -> RerankResponse:
    """As a server gives it that is short of time for more."""
    answer = RerankResponse()
    answer.CopyFrom(case.right[rung])
    answer.request_id = "mine"
    if rung != "whole":
        answer.degraded = DEGRADED_REASON_DEADLINE
        answer.notes.append(RUNGS[rung])
    return answer


@pytest.mark.parametrize("rung", [rung for rung in RUNGS if rung not in (HURRIED, "upstream")])
def test_the_engines_own_answers_are_right(cases: list[Case], rung: str) -> None:
    for case in cases:
        answer = answer_of(case, rung)
        assert rung_of(answer) == rung
        assert mistake_of(case, "mine", answer) == ""
        assert mistake_of(case, "another", answer) == "another request's answer"


def swap(answer: RerankResponse) -> None:
    """The last two items."""
    positions, ids = answer.positions, answer.item_ids
    positions[-1], positions[-2] = positions[-2], positions[-1]
    ids[-1], ids[-2] = ids[-2], ids[-1]


def repeat(answer: RerankResponse) -> None:
    answer.positions[1], answer.item_ids[1] = answer.positions[0], answer.item_ids[0]


def rename(answer: RerankResponse) -> None:
    answer.item_ids[0] = answer.item_ids[1]


def keep_silent(answer: RerankResponse) -> None:
    del answer.notes[:]
    answer.degraded = DEGRADED_REASON_DEADLINE


def forge_a_gain(answer: RerankResponse) -> None:
    answer.gains[0] += 1.0


@pytest.mark.parametrize("spoil", [swap, repeat, rename, keep_silent, forge_a_gain])
@pytest.mark.parametrize("rung", ["whole", "mmr"])
def test_what_is_wrong_is_found(cases: list[Case], rung: str, spoil: Callable[[RerankResponse], None]) -> None:
    for case in cases:
        answer = answer_of(case, rung)
        spoil(answer)
        assert mistake_of(case, "mine", answer)


def test_a_quota_that_is_said_to_hold_is_counted(cases: list[Case]) -> None:
    found = 0
    for case in cases:
        upstream = case.right["upstream"].positions
        if case.keeps_quotas(upstream):
            continue
        answer = answer_of(case, "whole")
        answer.notes.append(RUNGS[HURRIED])  # it may be any slate, but not this one
        answer.positions[:] = upstream
        answer.item_ids[:] = [case.request.candidates.item_ids[position] for position in upstream]
        assert mistake_of(case, "mine", answer) == "a quota that is said to hold and does not"
        found += 1
    assert found
