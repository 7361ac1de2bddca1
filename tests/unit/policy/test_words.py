"""Words and messages: every shape that TOML says better, and what is said about words that are wrong."""

from __future__ import annotations

import datetime
import tomllib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reranker.errors import Violation
from reranker.policy import words
from reranker.policy.mistakes import Mistakes
from reranker.v1 import policy_pb2 as pb

EVERYTHING = """
name = "everything"
about = { purpose = "all words", owner = "tests", review_by = 2027-06-30 }

[objective]
strategy = "ssd"
diversity = 0.5
window = 4
relevance_floor = 0.95
candidate_window = 300
score_normalisation = "rank"
similarity = "cosine_shifted"
score_zero = 0.0
sample = false

[[similarity_signals]]
signal = "image"
kind = "cosine"
weight = 1.0

[guard]
min_score = 0.2
min_share_of_best = 0.4
where = { integrity = ["ok"], "two words" = ["a", "b"] }

[placement]
keep_top = 1
max_fall = 0

[[quotas]]
attribute = "skin_tone"
min_share = { "1-2" = 0.2, "3-4" = 0.2, "5-6" = "1/5" }
max_share = { "1-2" = 0.6 }

[[quotas]]
attribute = "gender"
target = "request"
tolerance = 0.1
min_coverage = 0.3

[[quotas]]
attribute = "gender"
target = { f = 0.5, m = "1/2" }
generator = "det_const_sort"

[[quotas]]
attribute = "body_type"
min_count = { plus = 1, curve = 1 }
max_count = { straight = 5 }
within = 10

[[quotas]]
attribute = "hair_pattern"
at_least_one_of_each = true
values = ["coily", "curly"]

[[quotas]]
max_similarity = 0.95
window = 10

[[quotas]]
attribute = "gender"
fair_star = { protected = ["f"], proportion = 0.4, significance = 0.1, rule = "conservative", pool = "infinite" }

[[quotas]]
where = { skin_tone = ["5-6"], body_type = ["plus"] }
min_share = 0.05
max_share = "1/3"
min_count = 1
weight = 2.0
soft = true

[[spacings]]
attribute = "category"
penalty = 0.2
window = 5
decay = "step"

[[decays]]
attribute = "creator"
factor = 0.5
floor = 0.25

[calibration]
attribute = "genre"
target = "pool"

[labels]
count = "hard"
threshold = 0.5
confidence = 0.9
unknown = "group"
[labels.skin_tone]
values = ["1-2", "3-4", "5-6", "7-8"]
sensitive = true
[labels.count]
threshold = 0.75

[on_infeasible]
mode = "relax"

[refinement]
mode = "filter"

[signals]
unknown_id = "neutral"
missing_embedding = "keep_in_place"

[[exposure]]
attribute = "skin_tone"
target = "pool"
per = ["surface", "intent"]
half_life = "24h"
band = 0.1
min_count = 100

[shadow]
policy = "candidate-policy"
fraction = 0.05
"""


def read(tree: object) -> tuple[pb.Policy, tuple[Violation, ...]]:
    mistakes = Mistakes()
    return words.from_tree(tree, mistakes), mistakes.violations


def only(tree: object) -> Violation:
    _, violations = read(tree)
    assert len(violations) == 1, violations
    return violations[0]


def quota(**block: Any) -> dict[str, Any]:
    return {"quotas": [block]}


def test_every_word_comes_back_as_it_was_written() -> None:
    # [labels.count] beside count = "hard" is no TOML: it is the one line that goes.
    text = EVERYTHING.replace('count = "hard"\n', "")
    message, mistakes = words.parse(text)
    assert not mistakes.violations
    tree = words.to_tree(message)
    assert tree == tomllib.loads(text)
    again, violations = read(tree)
    assert again == message
    assert not violations


def test_shapes_in_the_message() -> None:
    message, _ = words.parse(EVERYTHING.replace("[labels.count]", "[labels.other]"))
    assert message.about.review_by == "2027-06-30"
    assert message.objective.strategy == pb.STRATEGY_SSD
    assert [(c.attribute, list(c.values)) for c in message.guard.where] == [
        ("integrity", ["ok"]),
        ("two words", ["a", "b"]),
    ]
    shares = [(entry.value, entry.share.WhichOneof("form")) for entry in message.quotas[0].min_share]
    assert shares == [("1-2", "number"), ("3-4", "number"), ("5-6", "fraction")]
    assert message.quotas[1].target_source == pb.TARGET_SOURCE_REQUEST
    assert [entry.value for entry in message.quotas[2].target] == ["f", "m"]
    assert [entry.value for entry in message.quotas[7].min_share] == [""]
    assert message.quotas[7].min_count[0].count == 1
    assert [own.attribute for own in message.labels.attributes] == ["skin_tone", "other"]


def test_values_become_text_as_in_the_candidates() -> None:
    message, violations = read(
        {
            "guard": {"where": {"mst": [1, 2], "adult": [False], "size": [1.5], "np": [np.int64(3)]}},
            **quota(attribute="mst", min_share={1: 0.1, False: 0.1, 2.5: 0.1}, values=[1, True]),
        }
    )
    assert not violations
    assert [list(c.values) for c in message.guard.where] == [["1", "2"], ["false"], ["1.5"], ["3"]]
    assert [entry.value for entry in message.quotas[0].min_share] == ["1", "false", "2.5"]
    assert list(message.quotas[0].values) == ["1", "true"]


def test_python_trees_may_hold_fractions_and_numpy_numbers() -> None:
    tree = {
        "objective": {"diversity": np.float32(0.5), "window": np.int32(0)},
        **quota(min_share={"a": Fraction(2, 6)}),
    }
    message, violations = read(tree)
    assert not violations
    assert message.objective.diversity == 0.5
    assert message.quotas[0].min_share[0].share.fraction == "1/3"


def test_a_date_as_text_comes_back_as_a_date() -> None:
    message, violations = read({"about": {"review_by": "2027-06-30"}})
    assert not violations
    assert words.to_tree(message) == {"about": {"review_by": datetime.date(2027, 6, 30)}}


def test_an_empty_block_is_kept_and_an_empty_list_of_blocks_is_not() -> None:
    message, violations = read({"guard": {}, "quotas": []})
    assert not violations
    assert words.to_tree(message) == {"guard": {}}


def test_an_enum_set_to_unspecified_has_no_word() -> None:
    message = pb.Policy(objective=pb.Objective(strategy=pb.STRATEGY_UNSPECIFIED))
    assert words.to_tree(message) == {"objective": {}}


@pytest.mark.parametrize(
    ("tree", "path", "said"),
    [
        ({"objektive": {}}, "objektive", "did you mean objective?"),
        ({"objective": {"Diversity": 1}}, "objective.Diversity", "did you mean diversity?"),
        ({"xyzzy": 1}, "xyzzy", "known are name, about,"),
        ({5: 1}, '"5"', "not a word here"),
        ({"objective": {"target_source": 1}}, "objective.target_source", "not a word"),
        ({"quotas": [{"target_source": "pool"}]}, "quotas[0].target_source", "not a word"),
        ({"objective": {"diversity": True}}, "objective.diversity", "must be a number, is a boolean"),
        ({"objective": {"diversity": "0.5"}}, "objective.diversity", "must be a number, is text"),
        ({"objective": {"diversity": None}}, "objective.diversity", "is nothing"),
        ({"objective": {"diversity": 10**400}}, "objective.diversity", "beyond every limit"),
        ({"objective": {"strategy": "dp"}}, "objective.strategy", 'did you mean "dpp"?'),
        ({"objective": {"strategy": "unspecified"}}, "objective.strategy", "must be relevance, mmr, msd, dpp"),
        ({"objective": {"strategy": 4}}, "objective.strategy", "round_robin"),
        ({"objective": {"sample": 1}}, "objective.sample", "must be true or false, is a number"),
        ({"objective": {"window": 1.0}}, "objective.window", "must be a whole number, is a decimal"),
        ({"objective": {"window": True}}, "objective.window", "must be a whole number, is a boolean"),
        ({"placement": {"keep_top": -1}}, "placement.keep_top", "must be 0 or more"),
        ({"placement": {"keep_top": 2**40}}, "placement.keep_top", "must be at most 4294967295"),
        ({"name": 3}, "name", "must be text in quotes, is a number"),
        ({"name": "half \ud800"}, "name", "must be text"),
        ({"about": {"review_by": datetime.datetime(2027, 6, 30)}}, "about.review_by", "is a date with a time"),
        ({"about": "x"}, "about", "must be a table, is text"),
        ("x", "policy", "must be a table, is text"),
        ({"quotas": {}}, "quotas", "must be a list of tables, is a table: write [[quotas]]"),
        ({"quotas": ["x"]}, "quotas[0]", "must be a table, is text"),
        (quota(min_share={"a": [1]}), "quotas[0].min_share.a", 'must be a share such as 0.2 or "1/5", is a list'),
        (quota(min_share={"5": {"6": 0.1}}), 'quotas[0].min_share."5"', "a value with a dot in it needs quotes"),
        (quota(min_share={}), "quotas[0].min_share", "must name at least one value"),
        (quota(min_share={"": 0.1}), "quotas[0].min_share", "not empty"),
        (quota(min_share={1: 0.1, "1": 0.2}), 'quotas[0].min_share."1"', "given twice"),
        (quota(min_count={"a": 0.5}), "quotas[0].min_count.a", "must be a whole number"),
        (quota(target="both"), "quotas[0].target", 'must be "request", "pool" or a table'),
        (quota(values="a"), "quotas[0].values", "must be a list of values, is text"),
        (quota(values=[]), "quotas[0].values", "must list at least one value"),
        (quota(values=["a", None]), "quotas[0].values[1]", "not empty; is nothing"),
        (quota(values=[10**5000]), "quotas[0].values[0]", "is a number"),
        (quota(where=["a"]), "quotas[0].where", "must be a table such as"),
        (quota(where={"a": "b"}), "quotas[0].where.a", "must be a list of values"),
        (quota(where={3: ["b"]}), 'quotas[0].where."3"', "an attribute's name must be text"),
        ({"labels": {"": {}}}, 'labels.""', "an attribute's name must be text"),
        ({"labels": {"skin_tone": {"treshold": 1}}}, "labels.skin_tone.treshold", "did you mean threshold?"),
        ({"labels": {"treshold": 0.5}}, "labels.treshold", "did you mean threshold?"),
        ({10**5000: 1}, '"a number"', "not a word here"),
    ],
)
def test_a_wrong_word_is_named_with_what_is_allowed(tree: Any, path: str, said: str) -> None:
    violation = only(tree)
    assert violation.path == path
    assert said in violation.reason


def test_what_is_wrong_is_left_out_and_the_rest_keeps_its_place() -> None:
    message, violations = read({"quotas": ["x", {"attribute": "a", "weight": "heavy"}]})
    assert [v.path for v in violations] == ["quotas[0]", "quotas[1].weight"]
    assert len(message.quotas) == 2
    assert message.quotas[1].attribute == "a"


def test_long_and_strange_keys_are_shown_safely() -> None:
    violation = only({"x" * 10_000 + "\n": 1})
    assert len(violation.path) < 80
    assert "\n" not in only({"a\nb\ud800": 1}).path
    only({"a\ud800": 1}).path.encode()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('name = "x"\n[objective\n', 2, "expected ']'"),
        ("a = 1\na = 2\n", 2, "it stands there already on line 1"),
        ('name = "x"\nabout = {\n', 2, "is not TOML"),
        ("number = " + "9" * 5000, 1, "is not TOML"),
        ("\ndeep = " + "[" * 100_000, 2, "nests deeper than 16 levels"),
        ("a." * 50_000 + "a = 1", 1, "nests deeper than 16 levels"),
        ("x = 1\n[" + '"a".' * 50_000 + "a]", 2, "nests deeper than 16 levels"),
        ("# " + "\n" * 300_000, 0, "is too large: at most 262,144 bytes are read"),
        ('name = "' + "é" * 140_000 + '"', 0, "is too large: at most 262,144 bytes are read"),
    ],
)
def test_text_that_is_no_toml(text: str, line: int, said: str) -> None:
    _, mistakes = words.parse(text)
    (violation,) = mistakes.violations
    assert violation.line == line
    assert said in violation.reason


def test_windows_line_ends_and_a_byte_order_mark_are_text_like_any_other() -> None:
    message, mistakes = words.parse('\ufeffname = "x"\r\n\r\n[objective]\r\ndiversty = 1\r\n')
    assert message.name == "x"
    assert [v.line for v in mistakes] == [4]
