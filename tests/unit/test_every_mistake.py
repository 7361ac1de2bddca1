"""The door names every row that is to blame, and refuses text that no message could carry."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Context, InvalidInput, LabelProbabilities
from reranker.candidates import AttributeColumn
from reranker.client import from_columns, request_context

ROW, REAL_ROW = "must be a row of numbers", "must be a row of real numbers"
REAL_NUMBER = "must be a real number"
TORN = "must be whole Unicode text: half of a surrogate pair stands alone in it"


def violations(build: Callable[[], Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        build()
    return [(violation.path, violation.reason) for violation in caught.value.violations]


def test_one_bad_row_hides_no_other() -> None:
    scores = [1.0, "x", math.nan, math.inf, None, True, 7.0]
    rows = [[1.0, 2.0], [1.0], [1.0, "x"], [1.0, math.nan], None, 5, [1.0, True]]
    assert set(violations(lambda: Candidates(range(6), scores, rows))) == {
        ("candidates.scores[1]", "must be a number"),
        *((f"candidates.scores[{row}]", "must be finite") for row in (2, 3, 4)),
        ("candidates.scores[5]", REAL_NUMBER),
        ("candidates.scores", "must have one score per id: 6, has 7"),
        ("candidates.embeddings[1]", "must have 2 numbers, as most rows have"),
        *((f"candidates.embeddings[{row}]", ROW) for row in (2, 5)),
        ("candidates.embeddings[3]", "must be finite"),
        ("candidates.embeddings[6]", REAL_ROW),
    }


def test_torn_text_is_refused_wherever_it_stands() -> None:
    half = "x\ud800"
    columns = {
        half: ["x", "y"],
        "t": ["x", half],
        "several": [["x", half], None],
        "l": LabelProbabilities([half], np.zeros((2, 1))),
        "ready": AttributeColumn((half,), np.zeros(2, np.int32)),
    }
    assert violations(lambda: Candidates(["a", half], [1, 2], {half: [[1.0], [2.0]]}, columns)) == [
        (f"candidates.{place}", TORN)
        for place in (
            "ids[1]",
            "embeddings['x\\ud800']",
            "attributes['x\\ud800']",
            "attributes['t'][1]",
            "attributes['several'][0]",
            "attributes['l'].labels",
            "attributes['ready'].values",
        )
    ]
    assert violations(lambda: Candidates([np.str_("é"), half], [1, 2])) == [("candidates.ids[1]", TORN)]
    context: dict[str, Any] = {
        "unit": half,
        "targets": {half: {"f": 0.5}, "g": {half: 0.5}},
        "refinement": {"tone": [half]},
        "fixed": {1: half},
    }
    places = ["unit", "targets['x\\ud800']", "targets['g']", "fixed[1]", "refinement['tone']"]
    found = violations(lambda: Context(**context))
    assert sorted(found) == sorted((f"context.{place}", TORN) for place in places)


def test_whole_text_of_any_script_passes() -> None:
    candidates = Candidates(["é", "日本", "🙂"], [3, 2, 1], attributes={"näme": ["\U0001f642", "a\nb", None]})
    assert candidates.attributes["näme"].values == ("🙂", "a\nb")


def test_the_client_refuses_what_it_could_not_send() -> None:
    half = "x\ud800"
    columns: dict[str, Any] = {
        half: ["x", "y"],
        "t": ["x", half],
        "l": [{half: 1.0}, {}],
    }
    assert violations(lambda: from_columns(["a", "b"], [1, 2], {half: [[1.0], [2.0]]}, columns)) == [
        ("embeddings['x\\ud800']", TORN),
        ("attributes['x\\ud800']", TORN),
        ("attributes['t'][1]", TORN),
        ("attributes['l'].labels", TORN),
    ]
    assert violations(lambda: from_columns(["a", half], [1, 2])) == [("ids[1]", TORN)]
    context: dict[str, Any] = {"unit": half, "targets": {half: {"f": 0.5}, "g": {half: 0.5}}, "fixed": {1: half}}
    assert violations(lambda: request_context(**context)) == [
        ("context.unit", TORN),
        ("context.targets['x\\ud800']", TORN),
        ("context.targets['g']", TORN),
        ("context.fixed[1]", TORN),
    ]
