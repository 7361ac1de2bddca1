"""Policy words under random trees: sound ones come back, garbage is refused, every mistake is listed."""

from __future__ import annotations

import copy
import string
from collections.abc import Callable
from typing import Any, cast

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reranker.errors import InvalidInput
from reranker.policy import Policy, words
from reranker.policy.locate import lines_of
from reranker.policy.mistakes import KeyPath, Mistakes
from reranker.policy.vocabulary import enum_words, keys_of
from reranker.v1 import policy_pb2 as pb

Tree = dict[str, Any]
COMMON = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = texts.filter(bool)
shares = st.one_of(st.floats(0, 1), st.integers(0, 1), st.sampled_from(["1/3", "0.25", "7/9"]))
counts = st.integers(0, 2**32 - 1)


def tables(descriptor: Descriptor) -> st.SearchStrategy[Tree]:
    """Any table that has the right types, whatever it means."""
    optional = {name: entries(field) for name, field in keys_of(descriptor).items()}
    plain = st.fixed_dictionaries({}, optional=optional)
    if descriptor.name != "Labels":
        return plain
    own = tables(cast(Descriptor, pb.AttributeLabels.DESCRIPTOR))
    by_attribute = st.dictionaries(names.filter(lambda name: name not in optional), own, max_size=2)
    return st.builds(lambda scalars, attributes: {**scalars, **attributes}, plain, by_attribute)


def entries(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Any value of the right type for a key."""
    if field.name == "target":
        return st.one_of(st.sampled_from(["request", "pool"]), by_value(shares))
    if field.full_name == "reranker.v1.About.review_by":
        return st.dates()
    if field.message_type is None:
        return st.lists(names, min_size=1, max_size=3) if field.is_repeated else scalars(field)
    kind = field.message_type.name
    if kind == "Condition":
        return by_value(st.lists(names, min_size=1, max_size=3))
    if kind in ("ValueShare", "ValueCount"):
        bound = shares if kind == "ValueShare" else counts
        return st.one_of(bound, by_value(bound))
    inner = tables(field.message_type)
    return st.lists(inner, min_size=1, max_size=2) if field.is_repeated else inner


def by_value(bound: st.SearchStrategy[Any]) -> st.SearchStrategy[Tree]:
    return st.dictionaries(names, bound, min_size=1, max_size=3)


def scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from(sorted(enum_words(field.enum_type)))
    kinds: dict[int, st.SearchStrategy[Any]] = {
        FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
        FieldDescriptor.CPPTYPE_DOUBLE: st.floats(allow_nan=False),
        FieldDescriptor.CPPTYPE_UINT32: counts,
    }
    return kinds.get(field.cpp_type, texts)


policies = tables(cast(Descriptor, pb.Policy.DESCRIPTOR))


@COMMON
@given(policies)
def test_sound_words_come_back(tree: Tree) -> None:
    mistakes = Mistakes()
    message = words.from_tree(tree, mistakes)
    assert not mistakes.violations
    assert words.to_tree(message) == tree
    assert words.from_tree(words.to_tree(message), mistakes) == message
    assert words.to_tree(pb.Policy.FromString(message.SerializeToString())) == tree


def escaped(text: str) -> str:
    special = {'"': '\\"', "\\": "\\\\"}
    return "".join(
        special.get(char, char) if " " <= char != "\x7f" and char not in "\x85\u2028\u2029" else f"\\u{ord(char):04x}"
        for char in text
    )


class Toml:
    """Writes a tree as TOML in a form of its choice, and remembers on which line it began each key."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def document(self, tree: Tree, path: KeyPath = (), header: str = "") -> None:
        own = {key: value for key, value in tree.items() if not self._is_block(value)}
        for key, value in own.items():
            self._pad()
            self._mark((*path, key))
            self.text += self._key(key) + " = "
            self._value(value, (*path, key))
            self.text += "\n"
        for key, value in tree.items():
            if key in own:
                continue
            name = f"{header}.{self._key(key)}" if header else self._key(key)
            blocks = value if isinstance(value, list) else [value]
            for index, block in enumerate(blocks):
                inner = (*path, key, index) if isinstance(value, list) else (*path, key)
                self._pad()
                self._mark((*path, key))
                self._mark(inner)
                self.text += f"[[{name}]]\n" if isinstance(value, list) else f"[{name}]\n"
                self.document(block, inner, name)

    def _is_block(self, value: Any) -> bool:
        tables_only = isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
        return (isinstance(value, dict) or bool(tables_only)) and not self._draw(st.booleans())

    def _pad(self) -> None:
        self.text += self._draw(st.sampled_from(["", "\n", '# [not] = "a key"\n', "  "]))

    def _mark(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def _key(self, key: str) -> str:
        bare = key and set(key) <= set(string.ascii_letters + string.digits + "-_") and self._draw(st.booleans())
        return key if bare else f'"{escaped(key)}"'

    def _value(self, value: Any, path: KeyPath) -> None:
        if isinstance(value, dict):
            self.text += "{ "
            for index, (key, item) in enumerate(value.items()):
                self.text += ", " if index else ""
                self._mark((*path, key))
                self.text += self._key(key) + " = "
                self._value(item, (*path, key))
            self.text += " }"
        elif isinstance(value, list):
            self.text += "["
            for index, item in enumerate(value):
                self.text += self._draw(st.sampled_from([" ", "\n", " # ]\n "]))
                self._mark((*path, index))
                self._value(item, (*path, index))
                self.text += ","
            self.text += "]"
        elif isinstance(value, str):
            self.text += f'"{escaped(value)}"'
        else:
            self.text += str(value).lower() if isinstance(value, bool) else str(value)


@COMMON
@given(policies, st.data())
def test_toml_text_gives_the_same_words_and_the_line_of_every_key(tree: Tree, data: st.DataObject) -> None:
    toml = Toml(data.draw)
    toml.document(tree)
    message, mistakes = words.parse(toml.text)
    assert not mistakes.violations, toml.text
    assert words.to_tree(message) == tree
    assert lines_of(toml.text) == toml.lines, toml.text


KEYS = sorted({key for message in ("Policy", "Objective", "Quota", "Labels", "FairStar", "Guard", "Exposure", "About")
               for key in keys_of(getattr(pb, message).DESCRIPTOR)})  # fmt: skip
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(max_size=3), st.dates()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(st.sampled_from(KEYS), st.text(max_size=5), st.integers(), st.none()), inner, max_size=6
        ),
    ),
    max_leaves=25,
)


def made(make: Callable[[], Policy]) -> Policy | None:
    """The policy, or None when it was refused as it should be: with readable violations. Nothing else may be raised."""
    refused: InvalidInput
    try:
        return make()
    except InvalidInput as error:
        refused = error
    assert refused.violations
    assert all(violation.path and violation.reason for violation in refused.violations)
    str(refused).encode()
    return None


@COMMON
@given(st.one_of(anything, st.dictionaries(st.sampled_from(KEYS), anything, max_size=8), policies))
def test_whatever_the_tree_it_is_a_policy_or_invalid_input(tree: Any) -> None:
    policy = made(lambda: Policy.from_dict(tree))
    if policy is not None:
        assert Policy.from_dict(policy.to_dict()) == policy


@COMMON
@given(st.one_of(st.text(), st.text(alphabet='ab=[]{}".,#\n 1-', max_size=60)))
def test_whatever_the_text_it_is_a_policy_or_invalid_input(text: str) -> None:
    made(lambda: Policy.from_text(text))


@COMMON
@given(
    st.one_of(st.binary(max_size=80), policies.map(lambda tree: words.from_tree(tree, Mistakes()).SerializeToString()))
)
def test_whatever_the_message_it_is_a_policy_or_invalid_input(data: bytes) -> None:
    message = pb.Policy()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return
    policy = made(lambda: Policy.from_proto(message))
    if policy is not None:
        assert policy.to_proto() == message


SOUND: Tree = {
    "name": "sound",
    "about": {"purpose": "p"},
    "objective": {"strategy": "mmr", "diversity": 0.5, "score_zero": 0.0},
    "guard": {"min_score": 0.2, "where": {"integrity": ["ok"]}},
    "placement": {"keep_top": 1},
    "quotas": [
        {"attribute": "skin_tone", "min_share": {"1-2": 0.2, "3-4": "1/5"}, "weight": 2.0},
        {"attribute": "body_type", "min_count": {"plus": 1}, "within": 10},
        {"attribute": "hair", "at_least_one_of_each": True, "values": ["coily"], "within": 10},
        {"attribute": "creator", "max_per_value": 2, "window": 10},
    ],
    "labels": {"threshold": 0.5, "skin_tone": {"values": ["1-2", "3-4"], "sensitive": True}},
    "on_infeasible": {"mode": "strict"},
}
# Each plants one mistake: where, what, and the path that the error must name.
MISTAKES: tuple[tuple[tuple[str | int, ...], Any, str], ...] = (
    (("nmae",), "x", "nmae"),
    (("about", "review_by"), "soon", "about.review_by"),
    (("objective", "strategy"), "mrm", "objective.strategy"),
    (("objective", "diversity"), 1.5, "objective.diversity"),
    (("objective", "score_zero"), "none", "objective.score_zero"),
    (("objective", "window"), -5, "objective.window"),
    (("guard", "min_score"), True, "guard.min_score"),
    (("guard", "where", "integrity"), [], "guard.where.integrity"),
    (("placement", "keep_top"), -1, "placement.keep_top"),
    (("quotas", 0, "min_share", "3-4"), "1/0", 'quotas[0].min_share."3-4"'),
    (("quotas", 0, "min_share", "9-9"), 0.1, 'quotas[0].min_share."9-9"'),
    (("quotas", 0, "weight"), 0, "quotas[0].weight"),
    (("quotas", 1, "min_count", "plus"), 1.5, "quotas[1].min_count.plus"),
    (("quotas", 1, "tolerance"), 0.1, "quotas[1].tolerance"),
    (("quotas", 2, "values"), ["coily", "coily"], "quotas[2].values"),
    (("quotas", 2, "window"), 3, "quotas[2].window"),
    (("quotas", 3, "tolerance"), 2.0, "quotas[3].tolerance"),
    (("quotas", 3, "max_per_value"), 0, "quotas[3].max_per_value"),
    (("labels", "threshold"), -0.5, "labels.threshold"),
    (("labels", "skin_tone", "count"), "soft", "labels.skin_tone.count"),
    (("on_infeasible", "mode"), "FAIL", "on_infeasible.mode"),
    (("labels", "confidence"), 1.5, "labels.confidence"),
)


def test_the_ground_that_mistakes_are_planted_in_is_sound() -> None:
    assert Policy.from_dict(SOUND).to_dict() == SOUND


@COMMON
@given(st.lists(st.sampled_from(MISTAKES), min_size=1, unique_by=lambda mistake: mistake[2]), st.data())
def test_every_planted_mistake_is_named_with_its_line(
    planted: list[tuple[tuple[str | int, ...], Any, str]], data: st.DataObject
) -> None:
    tree: Any = copy.deepcopy(SOUND)
    for (*blocks, key), wrong, _ in planted:
        block = tree
        for step in blocks:
            block = block[step]
        block[key] = wrong
    with pytest.raises(InvalidInput) as caught:
        Policy.from_dict(tree)
    assert len(caught.value.violations) >= len(planted)
    assert {path for *_, path in planted} <= {violation.path for violation in caught.value.violations}
    toml = Toml(data.draw)
    toml.document(tree)
    with pytest.raises(InvalidInput) as caught:
        Policy.from_text(toml.text)
    lines = {violation.path: violation.line for violation in caught.value.violations}
    assert {path: toml.lines[where] for where, _, path in planted}.items() <= lines.items()
