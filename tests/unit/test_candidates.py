"""The door: every form of input that is accepted, every one that is not, and what a refusal says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reranker.candidates import Candidates, LabelProbabilities
from reranker.errors import InvalidInput


def violations(*args: Any, **columns: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        Candidates(*args, **columns)
    return [(violation.path, violation.reason) for violation in caught.value.violations]


def matrix(rows: Any, count: int = 2) -> np.ndarray[Any, Any]:
    return Candidates(range(count), np.zeros(count), rows).embeddings[""].matrix


@pytest.mark.parametrize("ids", [["a", "b"], ("a", "b"), iter(["a", "b"]), np.array(["a", "b"]), {"a": 1, "b": 2}])
def test_ids_may_be_any_iterable_of_text(ids: Any) -> None:
    assert list(Candidates(ids, [1, 2]).ids) == ["a", "b"]


@pytest.mark.parametrize("ids", [[3, 4], range(3, 5), np.array([3, 4]), np.array([3, 4], np.uint64), [3, np.int64(4)]])
def test_ids_may_be_any_iterable_of_integers(ids: Any) -> None:
    ours = Candidates(ids, [1, 2]).ids
    assert list(ours) == [3, 4]
    assert {type(item) for item in ours} == {int}


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["a", "b", "a"], [("candidates.ids[2]", "must be unique, repeats candidates.ids[0]")]),
        ([1, 1, 1], [(f"candidates.ids[{i}]", "must be unique, repeats candidates.ids[0]") for i in (1, 2)]),
        (["a", 1, 2], [("candidates.ids", "must be all text or all integers")]),
        ([True, 2, 3], [("candidates.ids[0]", "must be text or an integer")]),
        ([1, None, 2.5], [(f"candidates.ids[{i}]", "must be text or an integer") for i in (1, 2)]),
        ([["a"], b"b", "c"], [(f"candidates.ids[{i}]", "must be text or an integer") for i in (0, 1)]),
        ([np.bool_(True), 2, 3], [("candidates.ids[0]", "must be text or an integer")]),
    ],
)
def test_ids_are_unique_and_all_of_one_kind(ids: list[Any], expected: list[tuple[str, str]]) -> None:
    assert violations(ids, [1, 2, 3]) == expected


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8, np.int64, np.uint8, list, tuple])
def test_scores_may_be_any_numbers(kind: Any) -> None:
    scores = kind([3, 1]) if kind in (list, tuple) else np.array([3, 1], kind)
    ours = Candidates(["a", "b"], scores).scores
    assert ours.dtype == np.float64
    assert ours.tolist() == [3.0, 1.0]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1.0, math.nan], [("candidates.scores[1]", "must be finite")]),
        ([-math.inf, math.inf], [(f"candidates.scores[{i}]", "must be finite") for i in range(2)]),
        ([1.0, None], [("candidates.scores[1]", "must be finite")]),
        ([1.0], [("candidates.scores", "must have one score per id: 2, has 1")]),
        ([], [("candidates.scores", "must have one score per id: 2, has 0")]),
        ([1.0, "much"], [("candidates.scores[1]", "must be a number")]),
        ([[1.0, 2.0]], [("candidates.scores", "must be one-dimensional, has 2 dimensions")]),
        ([[1.0], [2.0, 3.0]], [(f"candidates.scores[{i}]", "must be a number") for i in range(2)]),
        ({"a": 1}, [("candidates.scores", "must be numbers")]),
    ],
)
def test_scores_are_finite_and_as_many_as_ids(scores: Any, expected: list[tuple[str, str]]) -> None:
    assert violations(["a", "b"], scores) == expected


BASE = np.arange(12, dtype=np.float32).reshape(2, 6)


@pytest.mark.parametrize(
    "rows",
    [BASE, BASE.tolist(), tuple(map(tuple, BASE.tolist())), list(BASE), BASE.astype(np.float64),
     BASE.astype(np.float16), BASE.astype(np.int8), np.asfortranarray(BASE), np.repeat(BASE, 2, axis=1)[:, ::2],
     np.repeat(BASE, 3, axis=0)[::3], BASE[::-1][::-1], BASE.astype(">f4")],
)  # fmt: skip
def test_embeddings_may_be_any_rows_of_numbers(rows: Any) -> None:
    ours = matrix(rows)
    assert ours.dtype == np.float32
    assert ours.flags.c_contiguous
    assert ours.tolist() == BASE.tolist()


def test_inputs_are_never_written_and_may_be_read_only() -> None:
    rows, scores = BASE.copy(), np.array([2.0, 1.0])
    rows.flags.writeable = scores.flags.writeable = False
    candidates = Candidates(["a", "b"], scores, rows)
    assert candidates.embeddings[""].norms == pytest.approx(np.linalg.norm(BASE, axis=1))
    assert candidates.embeddings[""].missing == 0


@pytest.mark.parametrize("rows", [[None, [3.0, 4.0]], [[0.0, 0.0], [3.0, 4.0]], [[-0.0, 0.0], (3, 4)]])
def test_none_and_rows_of_zeros_are_missing_embeddings(rows: Any) -> None:
    column = Candidates(["a", "b"], [1, 2], rows).embeddings[""]
    assert column.norms.tolist() == [0.0, 5.0]
    assert column.missing == 1


def test_all_rows_may_be_missing() -> None:
    assert Candidates(["a", "b"], [1, 2], [None, None]).embeddings[""].missing == 2


def test_very_long_and_very_short_rows_are_neither_infinite_nor_missing() -> None:
    column = Candidates(["a", "b"], [1, 2], [[3e38, 3e38], [1e-38, 1e-45]]).embeddings[""]
    assert np.isfinite(column.norms).all()
    assert column.missing == 0


ROW = "must be a row of numbers"


@pytest.mark.parametrize(
    ("rows", "path", "reason"),
    [
        ([[1.0, math.nan], [1.0, 1.0]], "candidates.embeddings[0]", "must be finite"),
        ([[1.0, 1.0], [math.inf, 1.0]], "candidates.embeddings[1]", "must be finite"),
        (np.array([[1.0, 1.0], [1e39, 1.0]]), "candidates.embeddings[1]", "must be finite"),
        ([None, [math.nan]], "candidates.embeddings[1]", "must be finite"),
        ([[1.0], [1.0, 2.0]], "candidates.embeddings[1]", "must have 1 number, as most rows have"),
        ([[1.0, 2.0], [1.0], [3.0, 4.0]], "candidates.embeddings[1]", "must have 2 numbers, as most rows have"),
        ([None, [1.0, 2.0], [1.0]], "candidates.embeddings[2]", "must have 2 numbers, as most rows have"),
        ([None, 5.0], "candidates.embeddings[1]", ROW),
        ([["x"], [1.0]], "candidates.embeddings[0]", ROW),
        (np.zeros((2, 0)), "candidates.embeddings", "must be 2 rows of at least one number, is 2 x 0"),
        (np.zeros((3, 4)), "candidates.embeddings", "must be 2 rows of at least one number, is 3 x 4"),
        (np.zeros(2), "candidates.embeddings", "must be 2 rows of at least one number, is 2"),
        (np.zeros((2, 2, 2)), "candidates.embeddings", "must be 2 rows of at least one number, is 2 x 2 x 2"),
        (
            {"image": np.zeros((1, 3))},
            "candidates.embeddings['image']",
            "must be 2 rows of at least one number, is 1 x 3",
        ),
    ],
)
def test_embeddings_are_finite_rows_of_one_length(rows: Any, path: str, reason: str) -> None:
    count = len(rows) if isinstance(rows, list) and len(rows) == 3 else 2
    found = violations(range(count), np.ones(count), rows)
    assert found == [(path, reason)]


def test_several_embeddings_have_names() -> None:
    candidates = Candidates(["a"], [1], {"image": [[1.0, 2.0]], "text": [[1.0]], "sound": None})
    assert list(candidates.embeddings) == ["image", "text"]


MANY: dict[str, Callable[[], list[tuple[str, str]]]] = {
    "scores": lambda: violations(range(100), np.full(100, math.nan)),
    "embeddings": lambda: violations(range(100), np.zeros(100), np.full((100, 3), math.inf)),
    "duplicates": lambda: violations([7] * 101, np.zeros(101)),
    "ids": lambda: violations([None] * 100, np.zeros(100)),
    "values": lambda: violations(range(100), np.zeros(100), attributes={"tone": [math.nan] * 100}),
    "probabilities": lambda: violations(
        range(100), np.zeros(100), attributes={"tone": LabelProbabilities(["a"], np.full((100, 1), 2.0))}
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", MANY)
def test_many_violations_of_one_kind_are_capped_and_counted(kind: str) -> None:
    found = MANY[kind]()
    assert len(found) == 21
    assert "80 more" in found[-1][1]


def test_every_column_is_checked_before_anything_is_refused() -> None:
    found = violations(["a", "a"], [math.nan, 1], [[1.0]], {"tone": ["x"], "shape": [math.nan, "y"]})
    rooms = [path.removeprefix("candidates.").partition("[")[0] for path, _ in found]
    assert rooms == ["ids", "scores", "embeddings", "attributes", "attributes"]


def test_a_refusal_quotes_no_value_of_a_person() -> None:
    values = ["alice@example.org", {"gender": "secret"}, math.nan, ["secret", 1j]]
    with pytest.raises(InvalidInput) as caught:
        Candidates(["alice", "alice", "bob", 7], [1, 2, 3, math.inf], attributes={"tone": values})
    assert not any(word in str(caught.value) for word in ("alice", "bob", "secret", "inf"))


@pytest.mark.parametrize("embeddings", [None, [], np.zeros((0, 8)), {"image": []}, {}])
def test_an_empty_list_is_fine(embeddings: Any) -> None:
    candidates = Candidates([], [], embeddings, {"tone": [], "gender": LabelProbabilities(["f"], np.zeros((0, 1)))})
    assert len(candidates) == 0
    assert candidates.scores.shape == (0,)


def test_one_item_is_fine() -> None:
    candidates = Candidates(["a"], [1.0], [[1.0]], {"tone": ["x"]})
    assert len(candidates) == 1
    assert repr(candidates) == "Candidates(1 items, embeddings [''], attributes ['tone'])"
