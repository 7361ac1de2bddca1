"""Labels that may be wrong: how often which value is taken for which, and what the true ones may be.

A label is an item's own: where it is wrong, it is wrong in every request and under every policy. So the true labels are
drawn once an item from what its label leaves possible (Bayes, with the true shares that explain the labels best), and
drawn several times: multiple imputations, whose spread is what is not known.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Id
from reranker.errors import InvalidInput, Violation

Floats = NDArray[np.float64]

IMPUTATIONS = 20
_STEPS = 500  # of the search for the true shares
_FILES = (".toml", ".json")
_FORMS = "must be rates from 0 to 1, such as 0.05,0.1, or a .toml or .json file of a confusion matrix by attribute"


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """How labels are wrong. `rate` of them, each other value alike, or as `matrices` say.

    `matrices[attribute][true][label]` is how often an item of the value `true` is labelled so: rows are divided by
    their sums, and a value without a row is always labelled rightly.
    """

    name: str
    rate: float = 0.0
    matrices: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    def concerns(self, attribute: str) -> bool:
        """Whether labels of this attribute may be wrong."""
        return attribute in self.matrices if self.matrices else True

    def values(self, attribute: str, labels: Sequence[str]) -> tuple[str, ...]:
        """The values that an item may have, where these are labels that occur."""
        rows = self.matrices.get(attribute, {})
        return tuple(dict.fromkeys((*labels, *rows, *(label for row in rows.values() for label in row))))

    def confusion(self, attribute: str, values: Sequence[str]) -> Floats:
        """P(label | true value), (V, V): rows are true values."""
        count = len(values)
        if not self.matrices:
            wrong = self.rate / (count - 1) if count > 1 else 0.0
            return np.full((count, count), wrong) + np.eye(count) * ((1.0 - self.rate if count > 1 else 1.0) - wrong)
        found = np.eye(count)
        for place, value in enumerate(values):
            row = self.matrices[attribute].get(value)
            if row:
                shares = np.array([row.get(label, 0.0) for label in values])
                found[place] = shares / shares.sum()
        return found

    def truth(self, attribute: str, values: Sequence[str], labelled: Sequence[int]) -> Floats:
        """P(true value | label), (V, V): rows are labels. `labelled` counts the items of each label."""
        confusion = self.confusion(attribute, values)
        joint = true_shares(confusion, np.asarray(labelled, np.float64))[:, None] * confusion  # (true, label)
        seen = joint.sum(axis=0)
        truth: Floats = np.where(seen > 0.0, joint / np.maximum(seen, 1e-300), np.eye(len(values))).T
        return truth


def true_shares(confusion: Floats, labelled: Floats) -> Floats:
    """The shares of true values that make these counts of labels most likely, (V,): expectation and maximisation."""
    count = len(labelled)
    shares = np.full(count, 1.0 / max(count, 1))
    total = labelled.sum()
    if not total:
        return shares
    seen = labelled / total
    for _ in range(_STEPS):
        expected = shares @ confusion
        shares = shares * (confusion @ np.divide(seen, expected, out=np.zeros(count), where=expected > 0.0))
    found: Floats = shares / shares.sum()
    return found


def drawn(
    truth: Floats, codes: NDArray[np.integer], ids: Sequence[Id], attribute: str, seed: int, imputations: int
) -> NDArray[np.int32]:
    """True values of items whose labels are `codes` (N,), places in `truth`, -1 where unknown: (imputations, N).

    What an item is drawn to be depends on its id, the attribute, seed and imputation alone.
    """
    chances = _chances(ids, attribute, seed, imputations)
    edges = np.cumsum(truth, axis=1)[:, :-1]  # (V, V - 1)
    found = (chances[:, :, None] > edges[np.maximum(codes, 0)][None]).sum(axis=2)
    return np.where(codes >= 0, found, -1).astype(np.int32)


def _chances(ids: Sequence[Id], attribute: str, seed: int, imputations: int) -> Floats:
    """A number from 0 to 1 for each imputation and item (SplitMix64)."""
    start = crc32(f"{seed}:{attribute}".encode())
    keys = np.fromiter((crc32(str(each).encode(), start) for each in ids), np.uint64, len(ids))
    with np.errstate(over="ignore"):
        mixed = (keys << np.uint64(32)) + np.arange(1, imputations + 1, dtype=np.uint64)[:, None]
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53


def read_noise(text: str) -> list[LabelNoise]:
    """`--label-noise`: rates, or a file. Raises `InvalidInput` naming every mistake, and `OSError`."""
    if text.endswith(_FILES):
        return [LabelNoise(Path(text).name, matrices=_matrices(Path(text)))]
    try:
        rates = [float(part) for part in text.split(",")]
    except ValueError:
        rates = []
    if not rates or not all(0.0 <= rate < 1.0 for rate in rates) or len(set(rates)) < len(rates):
        raise InvalidInput([Violation("--label-noise", f"{_FORMS}; rates are below 1 and differ")])
    return [LabelNoise(f"{100 * rate:g} % of the labels wrong", rate) for rate in rates]


def _matrices(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        tree = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        raise InvalidInput(
            [Violation("--label-noise", f"is not {path.suffix[1:].upper()}: {error}")], str(path)
        ) from None
    found: list[Violation] = []
    if not isinstance(tree, Mapping) or not tree:
        found.append(Violation("--label-noise", "must be tables by attribute, of tables by true value"))
        tree = {}
    for attribute, rows in tree.items():
        if not isinstance(rows, Mapping) or not rows:
            found.append(Violation(attribute, "must be a table by true value"))
            continue
        found += [
            Violation(f"{attribute}.{value}", "must be numbers by label, none below 0 and not all 0")
            for value, row in rows.items()
            if not _is_row(row)
        ]
    if found:
        raise InvalidInput(found, str(path))
    return {str(name): {str(value): dict(row) for value, row in rows.items()} for name, rows in tree.items()}


def _is_row(row: Any) -> bool:
    if not isinstance(row, Mapping):
        return False
    numbers = [value for value in row.values() if isinstance(value, int | float) and not isinstance(value, bool)]
    return len(numbers) == len(row) and all(0.0 <= n < float("inf") for n in numbers) and sum(numbers) > 0.0
