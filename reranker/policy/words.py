"""The only translator between policy words (TOML text, or the tree it parses to) and the policy message, both ways.

Driven by the proto descriptors: a new field is a new key. Only what TOML says better has code of its own: `where`,
bounds by value, `target`, `[labels.<attribute>]` and the date of review.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from reranker.policy.locate import DEEPEST, key_before, lines_of, too_deep
from reranker.policy.mistakes import MOST_BYTES, TOO_LARGE, KeyPath, Mistakes, clipped, listed
from reranker.policy.scalars import is_text, iso_date, kind_of, scalar, share, value_text, whole
from reranker.policy.vocabulary import keys_of, word_of
from reranker.v1 import policy_pb2

_TOML_LINE = re.compile(r"\s*\(at line (\d+), column (\d+)\)\Z")
_REPEATED = re.compile(r"Cannot (declare|overwrite|mutate|redefine)|Duplicate")  # what tomllib says of a key again
_GUESSES = 100  # words that are guessed at; a text with more mistakes than that is no misspelt policy
_TARGET_WORDS = {"request": policy_pb2.TARGET_SOURCE_REQUEST, "pool": policy_pb2.TARGET_SOURCE_POOL}


def parse(text: str) -> tuple[policy_pb2.Policy, Mistakes]:
    """A TOML text as a message, with every word in it that the vocabulary does not know; nothing else is checked."""
    policy = policy_pb2.Policy()
    return policy, parse_into(policy, text, "policy")


def parse_into(message: Message, text: str, whole: str) -> Mistakes:
    """`parse` for a message of any kind that words describe; mistakes of the text as a whole are called `whole`'s."""
    if len(text) > MOST_BYTES or len(text.encode(errors="replace")) > MOST_BYTES:
        mistakes = Mistakes(whole=whole)
        mistakes.add((), TOO_LARGE)
        return mistakes
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if line := too_deep(text):  # before the parser, which would need a stack or a memory without end
        mistakes = Mistakes(whole=whole)
        mistakes.add_at((), f"nests deeper than {DEEPEST} levels", line)
        return mistakes
    mistakes = Mistakes(lines_of(text), whole)
    try:
        tree = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError is one, and so are numbers of thousands of digits
        _add_syntax_error(str(error), text, mistakes)
    else:
        read_into(message, tree, mistakes)
    return mistakes


def from_tree(tree: object, mistakes: Mistakes) -> policy_pb2.Policy:
    """A tree of words as a message. What is wrong goes to `mistakes` and is left out; the rest is kept in its place."""
    policy = policy_pb2.Policy()
    read_into(policy, tree, mistakes)
    return policy


def read_into(message: Message, tree: object, mistakes: Mistakes) -> None:
    """`from_tree` for a message of any kind that words describe."""
    _read_table(message, tree, (), mistakes)


def to_tree(message: Message) -> dict[str, Any]:
    """The words of a message; `from_tree` makes the same message of them."""
    return _table(message)


# ---- words -> message ------------------------------------------------------------------------------------------------


def _add_syntax_error(error: str, text: str, mistakes: Mistakes) -> None:
    where = _TOML_LINE.search(error)
    line = int(where.group(1)) if where else text.rstrip().count("\n") + 1
    said = clipped(error[: where.start()] if where else error)
    column = f" (column {where.group(2)})" if where else ""
    key = key_before(text, line, int(where.group(2))) if where and _REPEATED.match(said) else ()
    if key:
        before = f" on line {first}" if 0 < (first := mistakes.line_of(key)) < line else ""
        mistakes.add_at(key, f"is not TOML: it stands there already{before} and cannot be given again{column}", line)
    else:
        mistakes.add_at((), f"is not TOML: {said[:1].lower()}{said[1:]}{column}", line)


def _read_table(message: Message, tree: object, path: KeyPath, mistakes: Mistakes) -> None:
    if not isinstance(tree, Mapping):
        mistakes.add_misread_block(path, f"must be a table, is {kind_of(tree)}")
        return
    keys = keys_of(message.DESCRIPTOR)
    for key, value in tree.items():
        field = keys.get(key) if isinstance(key, str) else None
        if isinstance(message, policy_pb2.Labels) and isinstance(value, Mapping):
            _read_attribute_labels(message, key, value, path, mistakes)
        elif field is None:
            name = _key_text(key)
            guess = _suggestion(name, keys) if len(mistakes) < _GUESSES else ""
            mistakes.add_unknown_key((*path, name), f"is not a word here{guess}")
        elif field.name == "target":
            _read_target(message, value, (*path, "target"), mistakes)
        elif field.is_repeated:
            _read_repeated(field, getattr(message, field.name), value, (*path, field.name), mistakes)
        elif field.message_type is not None:
            block = getattr(message, field.name)
            block.SetInParent()  # an empty table is still a table
            _read_table(block, value, (*path, field.name), mistakes)
        else:
            _read_scalar(message, field, value, (*path, field.name), mistakes)


def _read_attribute_labels(
    labels: policy_pb2.Labels, key: object, table: object, path: KeyPath, mistakes: Mistakes
) -> None:
    attribute = _attribute_name(key, path, mistakes)
    if attribute:
        _read_table(labels.attributes.add(attribute=attribute), table, (*path, attribute), mistakes)


def _read_repeated(field: FieldDescriptor, items: Any, value: object, path: KeyPath, mistakes: Mistakes) -> None:
    kind = field.message_type.name if field.message_type is not None else ""
    if kind == "Condition":
        _read_conditions(items, value, path, mistakes)
    elif kind in ("ValueShare", "ValueCount"):
        _read_bounds(kind, items, value, path, mistakes)
    elif kind:
        for index, table in _list_items(value, "tables", path, mistakes):
            _read_table(items.add(), table, (*path, index), mistakes)
    else:
        items.extend(_value_texts(value, path, mistakes))


def _read_conditions(items: Any, value: object, path: KeyPath, mistakes: Mistakes) -> None:
    if not isinstance(value, Mapping):
        mistakes.add(path, f'must be a table such as {{ attribute = ["value"] }}, is {kind_of(value)}')
        return
    for key, values in value.items():
        attribute = _attribute_name(key, path, mistakes)
        if attribute:
            items.add(attribute=attribute, values=_value_texts(values, (*path, attribute), mistakes))


def _read_bounds(kind: str, items: Any, value: object, path: KeyPath, mistakes: Mistakes) -> None:
    """`{ value = bound }`, or the bare bound of a quota with `where`: the entry without a value."""
    if not isinstance(value, Mapping):
        _read_bound(kind, items, "", value, path, mistakes)
        return
    if not value:
        mistakes.add(path, "must name at least one value")
    seen: set[str] = set()
    for key, bound in value.items():
        text = value_text(key)
        if not text:
            mistakes.add(path, f"values must be text, numbers or booleans, not empty; one is {kind_of(key)}")
        elif text in seen:
            mistakes.add((*path, text), "is given twice: values are compared as text")
        else:
            _read_bound(kind, items, text, bound, (*path, text), mistakes)
        seen.add(text)


def _read_bound(kind: str, items: Any, value: str, bound: object, path: KeyPath, mistakes: Mistakes) -> None:
    if kind == "ValueCount":
        count = whole(bound, path, mistakes)
        if count is not None:
            items.add(value=value, count=count)
    elif (read := share(bound, path, mistakes)) is not None:
        items.add(value=value, share=read)


def _read_target(message: Message, value: object, path: KeyPath, mistakes: Mistakes) -> None:
    target: Any = message  # a Quota, Calibration or Exposure: each has both fields
    if isinstance(value, Mapping):
        _read_bounds("ValueShare", target.target, value, path, mistakes)
    elif isinstance(value, str) and value in _TARGET_WORDS:
        target.target_source = _TARGET_WORDS[value]
    else:
        mistakes.add(path, 'must be "request", "pool" or a table of shares such as { a = 0.5, b = 0.5 }')


def _read_scalar(message: Message, field: FieldDescriptor, value: object, path: KeyPath, mistakes: Mistakes) -> None:
    read = scalar(field, value, path, mistakes)
    if read is not None:
        setattr(message, field.name, read)


def _list_items(value: object, of: str, path: KeyPath, mistakes: Mistakes) -> Iterator[tuple[int, object]]:
    if isinstance(value, list | tuple):
        yield from enumerate(value)
    else:
        hint = f": write [[{path[-1]}]]" if isinstance(value, Mapping) else ""
        mistakes.add(path, f"must be a list of {of}, is {kind_of(value)}{hint}")


def _value_texts(value: object, path: KeyPath, mistakes: Mistakes) -> list[str]:
    texts = []
    for index, item in _list_items(value, "values", path, mistakes):
        text = value_text(item)
        if text:
            texts.append(text)
        else:
            mistakes.add((*path, index), f"must be text, a number or a boolean, not empty; is {kind_of(item)}")
    if isinstance(value, list | tuple) and not value:
        mistakes.add(path, "must list at least one value")
    return texts


def _attribute_name(key: object, path: KeyPath, mistakes: Mistakes) -> str:
    if is_text(key) and key:
        return str(key)
    mistakes.add((*path, _key_text(key)), "an attribute's name must be text, not empty")
    return ""


def _key_text(key: object) -> str:
    if isinstance(key, str):
        return key
    try:
        return str(key)
    except ValueError:
        return kind_of(key)


def _suggestion(key: str, keys: Iterable[str]) -> str:
    guess = difflib.get_close_matches(clipped(key).lower(), keys, 1, 0.6)
    return f"; did you mean {guess[0]}?" if guess else f"; known are {listed(keys, 'and')}"


# ---- message -> words ------------------------------------------------------------------------------------------------


def _table(message: Message) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, field in keys_of(message.DESCRIPTOR).items():
        value = getattr(message, name)
        if field.is_repeated:
            if value:
                tree[name] = _repeated_word(field, value)
        elif not message.HasField(name):
            continue
        elif field.message_type is not None:
            tree[name] = _table(value)
        elif field.enum_type is None:
            tree[name] = value
        elif word := word_of(message, field):
            tree[name] = word
    if isinstance(message, policy_pb2.About) and message.HasField("review_by"):
        tree["review_by"] = iso_date(message.review_by) or message.review_by
    if isinstance(message, policy_pb2.Labels):
        tree |= {own.attribute: _table(own) for own in message.attributes}
    source = message.DESCRIPTOR.fields_by_name.get("target_source")
    if source is not None and (word := word_of(message, cast(FieldDescriptor, source))):
        tree["target"] = word
    return tree


def _repeated_word(field: FieldDescriptor, items: Any) -> Any:
    kind = field.message_type.name if field.message_type is not None else ""
    if not kind:
        return list(items)
    if kind == "Condition":
        return {item.attribute: list(item.values) for item in items}
    if kind not in ("ValueShare", "ValueCount"):
        return [_table(item) for item in items]
    bounds = {item.value: item.count if kind == "ValueCount" else _share_word(item.share) for item in items}
    return bounds[""] if list(bounds) == [""] else bounds


def _share_word(share: policy_pb2.Share) -> float | str:
    return share.fraction if share.WhichOneof("form") == "fraction" else share.number
