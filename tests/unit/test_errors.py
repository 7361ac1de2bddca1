"""What exceptions say, what a caller can catch them as, and that they survive a trip between processes."""

from __future__ import annotations

import pickle

import pytest

from reranker.errors import InvalidInput, MissingExtra, QuotasInfeasible, RerankerError, UnknownPolicy, Violation
from reranker.slate import BoundKind, OutcomeReason, OutcomeStatus, QuotaOutcome

SCORE = Violation("candidates.scores[3]", "must be finite")
SHARE = Violation("quotas[0].min_share", "must be between 0 and 1", line=7)


def outcome(status: OutcomeStatus, value: str) -> QuotaOutcome:
    reason = OutcomeReason.SUPPLY if status is OutcomeStatus.BROKEN else None
    return QuotaOutcome("tone", value, BoundKind.LOWER, 2, 1, 0.1, 10, status, reason, 1)


BROKEN = QuotasInfeasible([outcome(OutcomeStatus.BROKEN, "5-6"), outcome(OutcomeStatus.MET, "1-2")])


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (InvalidInput([SCORE]), ValueError),
        (UnknownPolicy("fast"), LookupError),
        (MissingExtra("ray", "ray"), ImportError),
        (BROKEN, Exception),
    ],
)
def test_every_error_is_ours_and_the_builtin_one(error: RerankerError, builtin: type[Exception]) -> None:
    assert isinstance(error, RerankerError)
    assert isinstance(error, builtin)


def test_a_violation_names_its_place() -> None:
    assert str(SCORE) == "candidates.scores[3]: must be finite"
    assert str(SHARE) == "line 7: quotas[0].min_share: must be between 0 and 1"


def test_one_violation_is_one_line() -> None:
    assert str(InvalidInput([SCORE])) == "candidates.scores[3]: must be finite"
    assert str(InvalidInput([SHARE], "a.toml")) == "a.toml: line 7: quotas[0].min_share: must be between 0 and 1"


def test_several_violations_are_counted_and_listed() -> None:
    assert str(InvalidInput(iter([SCORE, SHARE]), "a.toml")) == (
        "a.toml: 2 violations\n"
        "  candidates.scores[3]: must be finite\n"
        "  line 7: quotas[0].min_share: must be between 0 and 1"
    )


def test_an_unknown_policy_lists_those_that_serve() -> None:
    assert str(UnknownPolicy("fast", ["b", "a"])) == "no policy is called 'fast'; these serve: a, b"
    assert str(UnknownPolicy("fast")) == "no policy is called 'fast'; these serve: none"


def test_infeasible_quotas_say_which_bound_broke_and_why() -> None:
    assert len(BROKEN.outcomes) == 2
    assert str(BROKEN) == (
        "hard quotas cannot all hold: "
        "tone 5-6: at least 2, has 1 in the first 10 slots: too few candidates for it came in; 1 more of them would do"
    )


def test_a_missing_extra_says_how_to_get_it() -> None:
    assert str(MissingExtra("ray", "ray")) == "ray is not installed: pip install 'diversity-reranker[ray]'"


@pytest.mark.parametrize(
    "error", [InvalidInput([SCORE, SHARE], "a.toml"), UnknownPolicy("fast", ["a"]), BROKEN, MissingExtra("ray", "ray")]
)
def test_errors_cross_processes_whole(error: RerankerError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert back.__dict__ == error.__dict__
