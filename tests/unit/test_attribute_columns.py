"""Attribute columns at the door: every form of values, what becomes of them, and what is refused."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from reranker.candidates import AttributeColumn, Candidates, LabelProbabilities
from reranker.errors import InvalidInput

PATH = "candidates.attributes['tone']"


def violations(*args: Any, **columns: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        Candidates(*args, **columns)
    return [(violation.path, violation.reason) for violation in caught.value.violations]


def tone(values: Any) -> AttributeColumn:
    return Candidates(range(len(values)), np.zeros(len(values)), attributes={"tone": values}).attributes["tone"]


def texts(column: AttributeColumn) -> list[list[str]]:
    """The values of each candidate, by the column's own words."""
    codes = column.codes.tolist()
    offsets = range(len(codes) + 1) if column.offsets is None else column.offsets.tolist()
    slices = itertools.pairwise(offsets)
    return [[column.values[code - 1] for code in codes[start:stop] if code] for start, stop in slices]


def test_values_become_text() -> None:
    mixed = ["1-2", None, 3, np.int64(4), True, np.bool_(False), 2.5, np.float64(1), np.str_("x"), np.float32(0.5)]
    column = tone(mixed)
    assert texts(column) == [["1-2"], [], ["3"], ["4"], ["true"], ["false"], ["2.5"], ["1.0"], ["x"], ["0.5"]]
    assert column.codes.dtype == np.int32


def test_values_that_are_equal_as_text_are_one_value() -> None:
    assert tone([3, "3", np.int8(3), True, "true"]).values == ("3", "true")


@pytest.mark.parametrize("values", [np.array([2, 1]), np.array(["2", "1"]), ("2", "1"), iter(["2", "1"]), [2, "1"]])
def test_columns_may_be_any_iterable(values: Any) -> None:
    column = Candidates(range(2), [0, 0], attributes={"tone": values}).attributes["tone"]
    assert texts(column) == [["2"], ["1"]]


def test_an_item_may_carry_several_values() -> None:
    column = tone(
        [["b", "a"], [], ("a",), {"c", "a", "b"}, frozenset(["d"]), np.array([1, 2]), None, "b", ["a", "a", None]]
    )
    assert texts(column) == [["b", "a"], [], ["a"], ["a", "b", "c"], ["d"], ["1", "2"], [], ["b"], ["a"]]
    assert column.offsets is not None
    assert column.offsets.dtype == np.int32


def test_nobody_may_carry_a_value() -> None:
    assert tone([None, None]).values == ()
    assert texts(tone([[], []])) == [[], []]


@pytest.mark.parametrize(
    "value", [math.nan, np.float32("nan"), math.inf, "", b"x", {"a": 1}, 1j, object(), ["a", ["b"]], [math.nan], [""]]
)
def test_a_value_is_text_a_finite_number_or_a_boolean(value: Any) -> None:
    reason = "must be text, a finite number or a boolean, not empty"
    assert violations(range(2), [0, 0], attributes={"tone": ["a", value]}) == [(f"{PATH}[1]", reason)]


def test_a_column_has_one_entry_an_id() -> None:
    assert violations(range(2), [0, 0], attributes={"tone": ["a"]}) == [(PATH, "must have one entry per id: 2, has 1")]


@pytest.mark.parametrize("column", [5, None, 1.5])
def test_a_column_that_is_no_column_is_a_violation(column: Any) -> None:
    assert [path for path, _ in violations(range(2), [0, 0], attributes={"tone": column})] == [PATH]


def test_label_probabilities_become_the_most_probable_label_from_the_threshold_on() -> None:
    data = LabelProbabilities(["f", "m"], [[0.7, 0.3], [0.5, 0.5], [0.2, 0.3], [0.0, 0.0], [0.0, 1.0]])
    column = tone_of(data, 5)
    assert texts(column.hard(0.5)) == [["f"], ["f"], [], [], ["m"]]
    assert texts(column.hard(0.0)) == [["f"], ["f"], ["m"], [], ["m"]]
    assert texts(column.hard(1.0)) == [[], [], [], [], ["m"]]


def test_without_labels_everybody_is_unknown() -> None:
    assert texts(tone_of(LabelProbabilities([], np.zeros((3, 0))), 3).hard(0.5)) == [[], [], []]


def tone_of(data: LabelProbabilities, count: int) -> AttributeColumn:
    return Candidates(range(count), np.zeros(count), attributes={"tone": data}).attributes["tone"]


@pytest.mark.parametrize(
    ("labels", "probabilities", "path", "reason"),
    [
        (["f", "m"], [[1.1, 0.0], [0.5, 0.5]], ".probabilities[0]", "must be between 0 and 1"),
        (["f", "m"], [[0.5, 0.0], [-0.1, 0.5]], ".probabilities[1]", "must be between 0 and 1"),
        (["f", "m"], [[0.5, math.nan], [0.1, 0.5]], ".probabilities[0]", "must be between 0 and 1"),
        (["f", "m"], [[0.5, 0.0], [0.6, 0.5]], ".probabilities[1]", "must add up to at most 1"),
        (["f", "m"], [[0.5], [0.6]], ".probabilities", "must be 2 x 2, is 2 x 1"),
        (["f", "m"], [[0.5, 0.5]], ".probabilities", "must be 2 x 2, is 1 x 2"),
        (["f", "m"], "high", ".probabilities", "must be numbers"),
        (["f", "m"], [[0.5], [0.5, 0.5]], ".probabilities[0]", "must have 2 numbers"),
        (["f", "f"], [[0.5, 0.5], [0.5, 0.5]], ".labels", "must be distinct, not empty"),
        (["f", ""], [[0.5, 0.5], [0.5, 0.5]], ".labels", "must be distinct, not empty"),
    ],
)
def test_probabilities_are_shares_of_distinct_labels(
    labels: list[str], probabilities: Any, path: str, reason: str
) -> None:
    data = {"tone": LabelProbabilities(labels, probabilities)}
    assert violations(range(2), [0, 0], attributes=data) == [(PATH + path, reason)]


def test_probabilities_may_add_up_to_a_little_more_than_one() -> None:
    assert len(tone_of(LabelProbabilities(["f", "m"], [[0.5001, 0.5002]]), 1).values) == 2
