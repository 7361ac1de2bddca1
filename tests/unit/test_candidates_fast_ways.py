"""What most callers send takes a shorter way in: it must come out as it would by the longer one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reranker import Candidates, InvalidInput

MATRIX = np.array([[3.0, 4.0], [0.0, 0.0], [-1.0, 1e-45]], np.float32)


def misaligned(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same numbers one byte beside where numbers begin."""
    raw = np.zeros(matrix.nbytes + 1, np.uint8)
    shifted: NDArray[np.float32] = raw[1:].view(np.float32).reshape(matrix.shape)
    shifted[:] = matrix
    return shifted


def read_only(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same numbers where nobody can write."""
    copy = matrix.copy()
    copy.flags.writeable = False
    return copy


FORMS: list[Any] = [
    MATRIX,
    read_only(MATRIX),
    misaligned(MATRIX),
    np.asfortranarray(MATRIX),
    np.repeat(MATRIX, 2, axis=0)[::2],
    MATRIX.astype(">f4"),
    MATRIX.astype(np.float64),
    MATRIX.tolist(),
    list(MATRIX),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("named", [False, True])
def test_every_form_of_a_matrix_is_one_column(form: Any, named: bool) -> None:
    candidates = Candidates([1, 2, 3], [3.0, 2.0, 1.0], {"image": form} if named else form)
    column = candidates.embeddings["image" if named else ""]
    assert column.matrix.tolist() == MATRIX.tolist()
    assert column.matrix.dtype == np.float32
    assert column.matrix.flags.carray
    assert column.norms.tolist() == np.linalg.norm(MATRIX.astype(np.float64), axis=1).tolist()
    assert column.missing == 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ">f8", np.int64, np.uint8])
def test_every_form_of_scores(dtype: Any) -> None:
    candidates = Candidates("abc", np.array([3, 2, 1], dtype))
    assert candidates.scores.dtype == np.float64
    assert candidates.scores.tolist() == [3.0, 2.0, 1.0]


def test_nothing_of_the_caller_is_kept() -> None:
    ids, scores, matrix = [1, 2, 3], np.array([3.0, 2.0, 1.0]), MATRIX.copy()
    candidates = Candidates(ids, scores, matrix)
    ids[0], scores[0], matrix[0] = 7, 7.0, 7.0
    assert candidates.ids == [1, 2, 3]
    assert candidates.scores.tolist() == [3.0, 2.0, 1.0]
    assert candidates.embeddings[""].matrix.tolist() == MATRIX.tolist()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_by_its_row(bad: float) -> None:
    scores, matrix = np.array([3.0, bad, 1.0]), MATRIX.copy()
    matrix[2, 1] = bad
    with pytest.raises(InvalidInput) as refused:
        Candidates([1, 2, 3], scores, matrix)
    assert [(found.path, found.reason) for found in refused.value.violations] == [
        ("candidates.scores[1]", "must be finite"),
        ("candidates.embeddings[2]", "must be finite"),
    ]


@pytest.mark.parametrize(
    ("ids", "wanted"),
    [
        (np.array([5, 6]), [5, 6]),
        (np.array([5, 6], np.uint64), [5, 6]),
        (np.array(["x", "y"]), ["x", "y"]),
        ([np.int64(5), 6], [5, 6]),
        ([np.str_("x"), "y"], ["x", "y"]),
        (("x", "y"), ["x", "y"]),
        (range(5, 7), [5, 6]),
        ({"x": 1, "y": 2}.keys(), ["x", "y"]),
    ],
)
def test_every_form_of_ids(ids: Any, wanted: list[Any]) -> None:
    own = Candidates(ids, [1.0, 2.0]).ids
    assert own == wanted
    assert [type(item) for item in own] == [type(item) for item in wanted]


@pytest.mark.parametrize(
    ("ids", "paths"),
    [
        ([1, True], ["candidates.ids[1]"]),
        (["a", 1], ["candidates.ids"]),
        ([1, "a"], ["candidates.ids"]),
        ([1, np.ma.masked], ["candidates.ids"]),
        ([1, 1], ["candidates.ids[1]"]),
        (np.array([1, 1]), ["candidates.ids[1]"]),
        (["a", "\ud800"], ["candidates.ids[1]"]),
        (np.array([True, False]), ["candidates.ids[0]", "candidates.ids[1]"]),
        ([None, 1], ["candidates.ids[0]"]),
    ],
)
def test_what_is_wrong_with_ids(ids: Any, paths: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        Candidates(ids, [1.0, 2.0])
    assert [found.path for found in refused.value.violations] == paths
