"""The answer: sentences that a policy's owner can read, and values computed when somebody looks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reranker.slate import (
    BoundKind,
    ListMeasures,
    OutcomeReason,
    OutcomeStatus,
    QuotaOutcome,
    QuotaTier,
    Report,
    SignalCounts,
    Slate,
    SlateMeasures,
    SlateStatus,
)


def outcome(bound: BoundKind = BoundKind.LOWER, reason: OutcomeReason | None = None, **words: Any) -> QuotaOutcome:
    fields: dict[str, Any] = {
        "attribute": "skin_tone",
        "value": "5-6",
        "required": 2,
        "achieved": 1,
        "share": 0.1,
        "first_failing_prefix": 0,
        "status": OutcomeStatus.BROKEN if reason else OutcomeStatus.MET,
        "over_fetch": 0,
    }
    return QuotaOutcome(bound=bound, reason=reason, **{**fields, **words})


def slate(measure: Any = None) -> Slate:
    signals = SignalCounts()
    report = Report(SlateStatus.SATISFIED, QuotaTier.NONE, (), 1.0, signals, (), "default", "0123", measure)
    return Slate(np.array([2, 0], np.int32), np.array([0.5, 0.25]), report, (), ["a", "b", "c"])


def test_a_bound_that_holds_reads_as_a_fact() -> None:
    assert outcome(achieved=3).detail == "skin_tone 5-6: at least 2, has 3"
    assert outcome(BoundKind.UPPER, achieved=2).detail == "skin_tone 5-6: at most 2, has 2"
    assert outcome(BoundKind.WINDOW, value="").detail == "skin_tone: no value more often than 2, has 1"


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        (OutcomeReason.SUPPLY, "too few candidates for it came in"),
        (OutcomeReason.GUARD, "too few candidates for it pass the guard"),
        (OutcomeReason.CROWDING, "more is asked of these slots than there are slots"),
        (OutcomeReason.CONFLICT, "another bound excludes it"),
        (OutcomeReason.PINNED, "items kept in their places break it"),
        (OutcomeReason.UNKNOWN_LABELS, "candidates without a label could have met it"),
        (OutcomeReason.LOW_COVERAGE, "too few labelled candidates to go by, so it does not apply"),
        (OutcomeReason.NO_TARGET, "the request named no target, so it does not apply"),
        (OutcomeReason.REFINED, "the user chose a value, so it does not apply"),
    ],
)
def test_a_broken_bound_says_where_and_why(reason: OutcomeReason, why: str) -> None:
    text = outcome(reason=reason, first_failing_prefix=10).detail
    assert text == f"skin_tone 5-6: at least 2, has 1 in the first 10 slots: {why}"


def test_every_reason_has_words() -> None:
    assert all(": " in outcome(reason=reason).detail.partition("has 1")[2] for reason in OutcomeReason)


@pytest.mark.parametrize("words", [SlateStatus, QuotaTier, BoundKind, OutcomeStatus, OutcomeReason])
def test_words_are_plain_text(words: Any) -> None:
    assert all(word == word.name == f"{word}" for word in words)


def test_ids_follow_the_positions() -> None:
    assert slate().ids == ["c", "a"]
    assert len(slate()) == 2


def test_measures_are_computed_once_and_only_when_asked_for() -> None:
    calls = []

    def measure() -> SlateMeasures:
        calls.append(1)
        return SlateMeasures(ListMeasures(1.0, None, None, {}), ListMeasures(0.9, None, None, {}))

    answer = slate(measure)
    assert calls == []
    assert answer.report.measures.after.ndcg == 0.9
    assert answer.report.measures is answer.report.measures
    assert calls == [1]


def test_an_answer_can_be_printed_and_compared() -> None:
    answer = slate()
    assert "SATISFIED" in repr(answer)
    assert "candidate_ids" not in repr(answer)
    assert answer == answer
    assert isinstance(answer == slate(), bool)


def test_a_sentence_is_one_line_whatever_values_hold() -> None:
    text = outcome(attribute="tone\u202e", value="a\nFAKE: MET\x1b[31m").detail
    assert text.startswith(r"tone\u202e a\nFAKE: MET\x1b[31m: at least 2")
    assert text.isprintable()
    assert outcome(attribute="تون", value="می\u200cخواهم").detail.startswith("تون می\u200cخواهم: ")
