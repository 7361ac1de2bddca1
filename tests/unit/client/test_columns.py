from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
import pytest

from reranker import Candidates, LabelProbabilities
from reranker.candidates import attribute_text
from reranker.client import from_columns
from reranker.client.values import as_text
from reranker.codec.candidates import decode_candidates
from reranker.codec.limits import Limits
from reranker.errors import InvalidInput

# Text whose str() is the member's name, as of every enum that is not a StrEnum.
Tone = Enum("Tone", {"DARK": "dark"}, type=str)


def paths(*arguments: Any, **more: Any) -> list[str]:
    with pytest.raises(InvalidInput) as raised:
        from_columns(*arguments, **more)
    return [violation.path for violation in raised.value.violations]


def test_the_server_reads_what_python_would_have_made() -> None:
    numbers = np.random.default_rng(2)
    arguments: dict[str, Any] = {
        "ids": ["a", "b", "c"],
        "scores": [3, 2.5, np.float32(1)],
        "embeddings": {"": [[1, 2], None, [0.5, 0]], "image": numbers.standard_normal((3, 4))},
        "attributes": {
            "tone": ["dark", None, True],
            "genre": [["x", "y", "x"], [], ["z"]],
            "size": np.array([1, 2, 1]),
            "gender": LabelProbabilities(["f", "m"], np.array([[0.5, 0.5], [0, 0], [1, 0]])),
        },
    }
    found: list[Any] = []
    decoded = decode_candidates(from_columns(**arguments), Limits(), found)
    expected = Candidates(**arguments)
    assert found == []
    assert decoded.ids == expected.ids
    assert decoded.scores.tolist() == expected.scores.tolist()
    assert list(decoded.embeddings) == list(expected.embeddings)
    for name, column in expected.embeddings.items():
        assert decoded.embeddings[name].matrix.tolist() == column.matrix.tolist()
        assert decoded.embeddings[name].norms.tolist() == column.norms.tolist()
    for name, attribute in expected.attributes.items():
        sent = decoded.attributes[name]
        assert (sent.values, sent.codes.tolist()) == (attribute.values, attribute.codes.tolist())
        assert (sent.offsets is None) == (attribute.offsets is None)
        if sent.offsets is not None and attribute.offsets is not None:
            assert sent.offsets.tolist() == attribute.offsets.tolist()
        if sent.probabilities is not None and attribute.probabilities is not None:
            assert sent.probabilities.tolist() == attribute.probabilities.tolist()


def test_mappings_are_probabilities() -> None:
    message = from_columns([1, 2, 3], [1, 2, 3], None, {"gender": [{"f": 0.75, "m": 0.25}, None, {"m": 1.0}]})
    column = message.attributes[0]
    assert list(column.dictionary) == ["f", "m"]
    assert list(column.probabilities) == [0.75, 0.25, 0, 0, 0, 1]


def test_half_precision_travels_as_float16() -> None:
    message = from_columns(["a"], [1], [[1.5, -2]], half_precision=True)
    assert message.embeddings[0].float16 == np.array([1.5, -2], "<f2").tobytes()
    assert paths(["a"], [1], [[70_000.0]], half_precision=True) == ["embeddings[0]"]


def test_number_ids_stay_numbers() -> None:
    message = from_columns(np.array([5, 2**63 + 1], np.uint64), [1, 2])
    assert list(message.item_numbers) == [5, 2**63 + 1]


def test_nothing_is_a_list_too() -> None:
    message = from_columns([], [], np.zeros((0, 8)), {"tone": []})
    assert not message.item_ids
    assert not message.embeddings


def test_missing_vectors_are_named_by_row_and_a_column_without_any_is_left_out() -> None:
    message = from_columns(["a", "b", "c"], [1, 2, 3], {"text": [None, [1, 2], float("nan")], "image": [None] * 3})
    assert [column.name for column in message.embeddings] == ["text"]
    assert list(message.embeddings[0].missing_rows) == [0, 2]


def test_every_mistake_is_named_at_once() -> None:
    found = paths(
        ["a", "b", "a", "d"],
        [1, None, np.inf, 4],
        {"text": [[1, 2], [np.nan, 1], None, [0, 0]], "image": [[1], [1, 2], [1], [1]], "short": np.zeros((3, 2))},
        {
            "tone": ["x", "", object(), None],
            "short": ["x"],
            "": ["x"] * 4,
            "gender": [{"f": 1.5}, {"f": 0.5}, None, None],
            "mixed": [{"f": 1.0}, "f", None, None],
            "labels": LabelProbabilities(["f", "f"], np.zeros((4, 2))),
        },
    )
    assert found == [
        "ids[2]",
        "scores[1]",
        "scores[2]",
        "embeddings['text'][1]",
        "embeddings['image']",
        "embeddings['short']",
        "attributes['tone'][1]",
        "attributes['tone'][2]",
        "attributes['short']",
        "attributes['']",
        "attributes['gender'].probabilities[0]",
        "attributes['mixed'][1]",
        "attributes['labels'].labels",
    ]


@pytest.mark.parametrize("ids", [["a", 1], [1.5, 2.5], [None, "a"], ["", "a"], [-1, 2], [2**64, 1], [True, False]])
def test_bad_ids(ids: list[Any]) -> None:
    assert paths(ids, [1, 2])[0].startswith("ids[")


def test_many_mistakes_of_one_kind_are_counted() -> None:
    found = paths(list(range(100)), [np.nan] * 100)
    assert len(found) == 21
    assert found[-1] == "scores"


@pytest.mark.parametrize(
    "value",
    [
        "x",
        Tone.DARK,
        "",
        True,
        np.False_,
        3,
        np.int64(-4),
        2.5,
        3.0,
        np.float32(0.1),
        float("inf"),
        float("nan"),
        b"x",
        object(),
    ],
)
def test_values_have_the_same_text_on_both_sides(value: object) -> None:
    assert as_text(value) == attribute_text(value)
