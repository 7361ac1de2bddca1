"""The door's edges: memory of its own, every ordered iterable, and refusals instead of tracebacks."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Context, InvalidInput, LabelProbabilities, Policy
from reranker.candidates import AttributeColumn
from reranker.cli import main
from reranker.engine.checks import check_types

ROWS = "must be rows of numbers, all of one length"
ROW, REAL_ROW = "must be a row of numbers", "must be a row of real numbers"
REAL, REAL_NUMBER = "must be real numbers", "must be a real number"
MASK = "has masked entries: fill them in, or leave those candidates out"


# Text whose str() is the member's name, as of every enum that is not a StrEnum.
Tone = Enum("Tone", {"DARK": "dark"}, type=str)


class Size(IntEnum):
    SMALL = 1


def masked(values: Any, hidden: Any) -> Any:
    return np.ma.MaskedArray(values, np.array(hidden, bool))


def violations(build: Callable[[], Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        build()
    return [(violation.path, violation.reason) for violation in caught.value.violations]


def of(embeddings: Any = None, attributes: Any = None, scores: Any = (2.0, 1.0)) -> Candidates:
    return Candidates(["a", "b"], scores, embeddings, attributes)


def refused(**columns: Any) -> list[tuple[str, str]]:
    return violations(lambda: of(**columns))


def named(path: str, rows: list[int], reason: str) -> list[tuple[str, str]]:
    """The same violation of each of these rows; of the whole column where no row is to blame."""
    return [(f"{path}[{row}]", reason) for row in rows] or [(path, reason)]


# Memory of its own


def test_changing_the_input_changes_nothing() -> None:
    ids, scores, rows = ["a", "b"], np.array([2.0, 1.0]), np.ones((2, 3), np.float32)
    probabilities, codes = np.full((2, 1), 0.75, np.float32), np.array([1, 0], np.int32)
    attributes = {"p": LabelProbabilities(["x"], probabilities), "ready": AttributeColumn(("x",), codes)}
    candidates = Candidates(ids, scores, {"image": rows}, attributes)
    ids[0], scores[:], rows[:], probabilities[:], codes[:] = "z", math.nan, 0.0, 0.0, 0
    attributes.clear()
    assert list(candidates.ids) == ["a", "b"]
    assert candidates.scores.tolist() == [2.0, 1.0]
    assert candidates.embeddings["image"].matrix.all()
    column = candidates.attributes["p"].probabilities
    assert column is not None
    assert column.tolist() == [[0.75], [0.75]]
    assert candidates.attributes["ready"].codes.tolist() == [1, 0]


def test_checked_columns_are_taken_as_they_are() -> None:
    checked = of(np.ones((2, 3), np.float32))
    again = Candidates.from_columns(checked.ids, checked.scores, checked.embeddings, checked.attributes)
    assert again.scores is checked.scores
    assert again.embeddings[""].matrix is checked.embeddings[""].matrix


def test_a_context_keeps_tables_of_its_own() -> None:
    targets, fixed = {"gender": {"f": 0.5}}, {1: "ad"}
    refinement = {"tone": ["dark"]}
    context = Context(targets=targets, fixed=fixed, refinement=refinement)
    targets["gender"]["f"] = 7.0
    fixed[1] = "other"
    refinement["tone"].append("light")
    assert context.targets == {"gender": {"f": 0.5}}
    assert context.fixed == {1: "ad"}
    assert list(context.refinement["tone"]) == ["dark"]


# Every ordered iterable


def test_generators_and_views_are_columns() -> None:
    scored = {"a": 2.0, "b": 1.0}
    candidates = Candidates(
        scored.keys(), scored.values(), (row for row in ([1.0], None)), {"t": (t for t in "xy"), "n": range(2)}
    )
    assert list(candidates.ids) == ["a", "b"]
    assert candidates.scores.tolist() == [2.0, 1.0]
    assert candidates.embeddings[""].missing == 1
    assert [candidates.attributes[name].values for name in "tn"] == [("x", "y"), ("0", "1")]
    assert of(scores=(score for score in (2, Fraction(1, 2)))).scores.tolist() == [2.0, 0.5]


def test_an_array_of_objects_works_like_a_list() -> None:
    rows = np.empty(2, object)
    rows[:] = [None, [3.0, 4.0]]
    assert of(rows).embeddings[""].norms.tolist() == [0.0, 5.0]
    assert of(np.array([[1.0, 0.0], [3.0, 4.0]], object)).embeddings[""].norms.tolist() == [1.0, 5.0]
    rows[:] = [np.array([1.0, 0.0]), np.array([3.0, 4.0])]
    assert of(rows).embeddings[""].norms.tolist() == [1.0, 5.0]
    assert of(scores=np.array([2, 1.5], object)).scores.tolist() == [2.0, 1.5]


def test_frames_and_their_columns() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": ["a", "b"], "score": [2, 1], "size": [1, 2], "vector": [None, [3.0, 4.0]]})
    candidates = Candidates(frame["id"], frame["score"], frame["vector"], {"size": frame["size"]})
    assert candidates.attributes["size"].values == ("1", "2")
    assert list(candidates.ids) == ["a", "b"]
    assert candidates.embeddings[""].norms.tolist() == [0.0, 5.0]


def test_an_enum_is_its_value() -> None:
    dark: Any = Tone.DARK
    candidates = Candidates([dark, "b"], [2, 1], {dark: [[1.0], [1.0]]}, {dark: [dark, "dark"], "s": [Size.SMALL, 1]})
    assert [type(item) for item in candidates.ids] == [str, str]
    assert list(candidates.ids) == ["dark", "b"]
    assert candidates.attributes["dark"].values == ("dark",)
    assert candidates.attributes["s"].values == ("1",)
    assert f"{next(iter(candidates.embeddings))}" == "dark"
    assert list(Candidates([Size.SMALL, 2], [2, 1]).ids) == [1, 2]


def test_an_unmasked_masked_array_is_an_array() -> None:
    plain = masked([[1.0, 0.0], [3.0, 4.0]], False)
    assert of(plain).embeddings[""].norms.tolist() == [1.0, 5.0]


# Refusals


@pytest.mark.parametrize("ids", [None, 5, 1.5, b"ab", {"a", "b"}, frozenset("ab"), np.array(5)])
def test_ids_that_are_no_list(ids: Any) -> None:
    assert violations(lambda: Candidates(ids, [1, 2])) == [("candidates.ids", "must be a list of text or of integers")]


@pytest.mark.parametrize("attributes", [[1], 5, "tone", [("tone", ["x", "y"])], {"tone"}])
def test_attributes_that_are_no_mapping(attributes: Any) -> None:
    found = refused(attributes=attributes)
    assert found == [("candidates.attributes", "must be a mapping from names to columns")]


@pytest.mark.parametrize("column", [5, None, "zz", b"zz", {"a": 1, "b": 2}, {"a", "b"}, frozenset("ab"), np.array(3)])
def test_columns_that_are_no_list(column: Any) -> None:
    found = refused(attributes={"x": column})
    assert found == [("candidates.attributes['x']", "must be a list of values, one entry per id")]


@pytest.mark.parametrize("name", [5, None, "", b"tone"])
def test_names_are_text(name: Any) -> None:
    assert refused(attributes={name: ["x", "y"]}) == [("candidates.attributes", "names must be text, not empty")]


def test_names_of_embeddings_are_text() -> None:
    assert refused(embeddings={5: [[1.0], [2.0]]}) == [("candidates.embeddings", "names must be text")]


@pytest.mark.parametrize(
    ("rows", "wrong", "reason"),
    [
        ([None, 1], [1], ROW),
        ([None, np.array(5.0)], [1], ROW),
        ([None, "ab"], [1], ROW),
        (5, [], ROWS),
        ("ab", [], ROWS),
        ({1.0, 2.0}, [], ROWS),
        ([[1j, 1.0], [1.0, 1.0]], [0], REAL_ROW),
        (np.ones((2, 2), complex), [], REAL),
        (np.ones((2, 2), bool), [], REAL),
        (np.ones((2, 2), "datetime64[s]"), [], REAL),
        (np.array([[True, 1.0], [1.0, 1.0]], object), [0], REAL_ROW),
        (masked([[1.0, 2.0], [3.0, 4.0]], [[0, 1], [0, 0]]), [], MASK),
        ([masked([1.0, 2.0], [0, 1]), [1.0, 2.0]], [], MASK),
        ([["1.5", "2"], ["3", "4"]], [0, 1], ROW),
        ([[1.0, 2.0], [[3.0], 4.0]], [1], ROW),
        ([[1.0, 2.0], [10**400, 4.0]], [1], "must be finite"),
    ],
)  # fmt: skip
def test_embeddings_that_are_no_rows_of_real_numbers(rows: Any, wrong: list[int], reason: str) -> None:
    assert refused(embeddings=rows) == named("candidates.embeddings", wrong, reason)


@pytest.mark.parametrize(
    ("scores", "wrong", "reason"),
    [
        ([1j, 1.0], [0], REAL_NUMBER),
        (np.ones(2, complex), [], REAL),
        ([True, False], [0, 1], REAL_NUMBER),
        ([True, 0.5], [0], REAL_NUMBER),
        (np.array([True, 0.5], object), [0], REAL_NUMBER),
        (np.ones(2, "datetime64[s]"), [], REAL),
        (np.ones(2, "timedelta64[s]"), [], REAL),
        ([datetime(2026, 1, 1, tzinfo=UTC), 1.0], [0], REAL_NUMBER),
        (["1.5", "2"], [0, 1], "must be a number"),
        (np.array(["1.5", "2"], object), [0, 1], "must be a number"),
        ({1.0, 2.0}, [], "must be numbers"),
        ([[1.0], {}], [0, 1], "must be a number"),
        (None, [], "must be one-dimensional, has 0 dimensions"),
        (5, [], "must be one-dimensional, has 0 dimensions"),
        ([10**400, 1], [0], "must be finite"),
        (masked([1.0, 2.0], [0, 1]), [], MASK),
        ([np.ma.masked, 1.0], [], MASK),
        ([object(), 1.0], [0], "must be a number"),
    ],
)
def test_scores_that_are_no_real_numbers(scores: Any, wrong: list[int], reason: str) -> None:
    assert refused(scores=scores) == named("candidates.scores", wrong, reason)


def test_masked_ids_and_values_are_refused() -> None:
    hidden = masked([1, 2], [0, 1])
    assert violations(lambda: Candidates(hidden, [1, 2])) == [("candidates.ids", MASK)]
    assert refused(attributes={"x": hidden}) == [("candidates.attributes['x']", MASK)]
    assert refused(attributes={"x": ["a", hidden]}) == [("candidates.attributes['x']", MASK)]


def test_values_may_be_arrays_without_a_dimension() -> None:
    assert of(attributes={"x": [np.array("a"), np.array(3)]}).attributes["x"].values == ("a", "3")


@pytest.mark.parametrize(
    ("labels", "probabilities", "found"),
    [
        (5, [[0.5], [0.5]], [(".labels", "must be a list of labels")]),
        ("f", [[0.5], [0.5]], [(".labels", "must be a list of labels")]),
        ({"f"}, [[0.5], [0.5]], [(".labels", "must be a list of labels")]),
        (["f"], None, [(".probabilities", "must be 2 x 1, is one number")]),
        (["f"], [["0.5"], [1]], [(".probabilities[0]", ROW)]),
        (["f"], [[True], [False]], [(f".probabilities[{row}]", REAL_ROW) for row in range(2)]),
        (["f"], masked([[0.5], [0.5]], [[0], [1]]), [(".probabilities", MASK)]),
        (["f"], [[1e300], [0.5]], [(".probabilities[0]", "must be between 0 and 1")]),
        (None, "high", [(".labels", "must be a list of labels"), (".probabilities", "must be numbers")]),
    ],
)
def test_probabilities_that_are_none(labels: Any, probabilities: Any, found: list[tuple[str, str]]) -> None:
    path = "candidates.attributes['x']"
    column = LabelProbabilities(labels, probabilities)
    assert refused(attributes={"x": column}) == [(path + place, reason) for place, reason in found]


def test_labels_may_come_from_a_generator() -> None:
    labels: Any = (label for label in ("f", "m"))
    assert of(attributes={"x": LabelProbabilities(labels, np.zeros((2, 2)))}).attributes["x"].values == ("f", "m")


@pytest.mark.parametrize(
    ("codes", "offsets", "path"),
    [
        ([1], None, ""),
        ([1, 2], None, ".codes[1]"),
        ([-1, 0], None, ".codes[0]"),
        ([0.5, 1.0], None, ".codes"),
        ([1, 1], [0, 1], ""),
        ([1, 1], [0, 2, 1], ".offsets"),
        ([1, 1], [1, 1, 2], ".offsets"),
        ([1, 0], [0, 1, 2], ".codes[1]"),
        ([1, 1], [0, 2, 2], ".codes"),
        ([1, 1], ["0", "1", "2"], ".offsets"),
    ],
)
def test_ready_columns_are_held_to_their_rules(codes: Any, offsets: Any, path: str) -> None:
    column = AttributeColumn(("x",), np.array(codes), None if offsets is None else np.array(offsets))
    assert [place for place, _ in refused(attributes={"x": column})] == [f"candidates.attributes['x']{path}"]


def test_ready_columns_name_each_value_once() -> None:
    column = AttributeColumn(("x", "x"), np.array([1, 2], np.int32))
    assert [path for path, _ in refused(attributes={"x": column})] == ["candidates.attributes['x'].values"]


def test_sound_ready_columns_pass() -> None:
    lists = AttributeColumn(("x", "y"), np.array([1, 2], np.int32), np.array([0, 2, 2], np.int32))
    shares = AttributeColumn(("x",), np.zeros(2, np.int32), None, np.array([[0.5], [1.0]], np.float32))
    columns = of(attributes={"lists": lists, "shares": shares}).attributes
    assert columns["lists"].codes.tolist() == [1, 2]
    assert columns["shares"].hard(0.9).codes.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        ({"targets": {"g": {"f": "x"}}}, ["targets['g']"]),
        ({"targets": {"g": {"f": True}}}, ["targets['g']"]),
        ({"targets": {"g": {"f": None}}}, ["targets['g']"]),
        ({"targets": {"g": {None: 0.5}}}, ["targets['g']"]),
        ({"targets": {"g": {1: 0.5, "1": 0.5}}}, ["targets['g']"]),
        ({"targets": {"g": [0.5]}}, ["targets['g']"]),
        ({"targets": {5: {"f": 0.5}}}, ["targets"]),
        ({"targets": [1]}, ["targets"]),
        ({"targets": None}, ["targets"]),
        ({"fixed": [1]}, ["fixed"]),
        ({"fixed": None}, ["fixed"]),
        ({"fixed": {"alice": 1}}, ["fixed"]),
        ({"fixed": {True: "a"}}, ["fixed"]),
        ({"fixed": {1: ["a"]}}, ["fixed"]),
        ({"fixed": {1: True}}, ["fixed"]),
        ({"refinement": "tone"}, ["refinement"]),
        ({"refinement": {"tone": "dark"}}, ["refinement['tone']"]),
        ({"refinement": {"tone": 5}}, ["refinement['tone']"]),
        ({"refinement": {"tone": []}}, ["refinement['tone']"]),
        ({"refinement": {"tone": [None]}}, ["refinement['tone']"]),
        ({"recent": 5}, ["recent"]),
        ({"recent": "abc"}, ["recent"]),
        ({"recent": None}, ["recent"]),
        ({"recent": {"a"}}, ["recent"]),
        ({"cursor": "abc"}, ["cursor"]),
        ({"without_profiling": 1}, ["without_profiling"]),
        ({"seed": "x"}, ["seed"]),
        ({"seed": True}, ["seed"]),
        ({"seed": 1.5}, ["seed"]),
        ({"surface": 5, "unit": None, "seed": -1}, ["surface", "unit", "seed"]),
    ],
)
def test_contexts_that_are_refused(words: dict[str, Any], paths: list[str]) -> None:
    found = violations(lambda: Context(**words))
    assert [path for path, _ in found] == [f"context.{path}" for path in paths]
    assert not any("alice" in path + reason for path, reason in found)


def test_a_context_takes_numbers_of_any_kind() -> None:
    words: Any = {"seed": np.uint64(2**63), "targets": {"g": {2: np.float32(0.5), True: Fraction(1, 2)}}}
    context = Context(**words)
    assert context.seed == 2**63
    assert context.targets == {"g": {"2": 0.5, "true": 0.5}}


POLICY = Policy.from_toml("")


@pytest.mark.parametrize("policy", [None, "x", {}])
def test_arguments_of_another_kind(policy: Any) -> None:
    reason = "must be a Policy: Policy.from_toml, Policy.from_dict or Policy.from_proto makes one"
    assert violations(lambda: check_types(of(), policy, None)) == [("policy", reason)]
    found = violations(lambda: check_types({}, policy, {}))
    assert [path for path, _ in found] == ["candidates", "policy", "context"]


def test_arguments_of_the_right_kind() -> None:
    check_types(of(), POLICY, None)
    check_types(of(), POLICY, Context())


# The command line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"ids":5,"scores":[1]}', "candidates.ids: must be a list"),
        ('{"ids":["a"],"scores":"x"}', "candidates.scores: must be numbers"),
        ('{"ids":["a"],"scores":[1],"attributes":[1]}', "candidates.attributes: must be a mapping"),
        ('{"ids":["a"],"scores":[1],"attributes":{"t":"x"}}', "candidates.attributes['t']: must be a list"),
        ('{"ids":["a"],"scores":[1],"embeddings":5}', "candidates.embeddings: must be rows"),
        ('[{"id":"a","score":[1],"tone":{}}]', "candidates.attributes['tone'][0]"),
        ('[{"id":"a","score":true}]', "candidates.scores[0]: must be a real number"),
        ("[" * 100_000, "must be JSON"),
        (json.dumps([{"id": "a", "score": 1, "": "x"}]), "candidates.attributes: names must be text"),
    ],
)
def test_malformed_json_is_one_clear_error(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "plain.toml"
    policy.write_text("")
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["rerank", "--policy", str(policy), "--candidates", "-"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
