"""docs/policies.md: every word is in it, with its default, its range's ends and whether it serves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor

from reranker.policy.defaults import DEFAULTS
from reranker.policy.later import NOT_BUILT_YET
from reranker.policy.ranges import MOST_SLOTS, RANGES, Range
from reranker.policy.vocabulary import enum_words, keys_of, places
from reranker.v1 import policy_pb2 as pb

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "policies.md").read_text()
ROWS = {
    cells[0].strip("`"): cells
    for line in TEXT.splitlines()
    if line.startswith("| `") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 5
}
KEYED = ("Condition", "ValueShare", "ValueCount")
TAKES = {
    "0 to 1": Range(0, 1),
    "value = 0 to 1": Range(0, 1),
    '"request", "pool" or value = share': Range(0, 1),
    "above 0, at most 1": Range(0, 1, low_open=True),
    "above 0, below 1": Range(0, 1, low_open=True, high_open=True),
    "above 0, at most 1,000,000": Range(0, 1e6, low_open=True),
    "0 to 1,000,000": Range(0, 1e6),
    "1 or more": Range(1, MOST_SLOTS),
    **dict.fromkeys(("slots", "items", "value = count"), Range(0, MOST_SLOTS)),
}


def words(descriptor: Descriptor) -> Iterator[tuple[str, EnumDescriptor | None]]:
    place = places()[descriptor.name]
    for name, field in keys_of(descriptor).items():
        if field.message_type is None or field.message_type.name in KEYED:
            yield (f"{place}.{name}" if place else name), field.enum_type
        else:
            yield from words(field.message_type)
    if descriptor.name == "Labels":
        yield from words(cast(Descriptor, pb.AttributeLabels.DESCRIPTOR))


WORDS = dict(words(cast(Descriptor, pb.Policy.DESCRIPTOR)))


def test_the_tables_list_every_word_and_no_other() -> None:
    assert set(ROWS) == set(WORDS)


@pytest.mark.parametrize("key", WORDS)
def test_word(key: str) -> None:
    _, takes, default, served, meaning = ROWS[key]
    assert default == (f"`{json.dumps(DEFAULTS[key])}`" if key in DEFAULTS else "–")
    enum = WORDS[key]
    if enum is not None:
        assert takes == "a choice"
        # The same choices stand once: [signals] has two words of one enum.
        spelt = meaning if key != "signals.missing_embedding" else meaning + ROWS["signals.unknown_id"][4]
        assert [word for word in enum_words(enum) if f"`{word}`" not in spelt] == []
    assert TAKES.get(takes) == RANGES.get(key)
    whole = any(key == row or key.startswith(f"{row}.") for row in NOT_BUILT_YET)
    part = any(re.match(rf"{re.escape(key)} = ", row) for row in NOT_BUILT_YET)
    assert served == ("later" if whole else "in part" if part else "now")
