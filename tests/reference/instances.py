"""Random small requests that provoke every corner: ties, duplicates, missing embeddings, unknown labels, guards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tree = dict[str, Any]
STRATEGIES = ("relevance", "mmr", "msd", "dpp", "ssd", "cover")
WINDOWED = ("mmr", "dpp", "ssd")
SHARES: tuple[float | str, ...] = (0.1, 0.2, 0.2, 0.25, 0.25, 0.29, "1/3", 0.4, 0.5, "2/3", 1.0)


def scores(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Scores of one of the shapes that upstream rankers send: spread, coarse with many ties, all equal, skewed."""
    shape = rng.integers(4)
    if shape == 0:
        return rng.random(count)
    if shape == 1:
        return rng.integers(1, 4, count) / 4.0
    if shape == 2:
        return np.full(count, 0.5)
    return rng.exponential(1.0, count) + 0.01


def rows(rng: np.random.Generator, count: int, width: int) -> NDArray[np.float32]:
    """Embedding rows: normal or clustered, some of them exact duplicates of others, some of them missing (zeros)."""
    if rng.random() < 0.5:
        matrix = rng.normal(size=(count, width))
    else:
        centres = rng.normal(size=(max(1, count // 3), width))
        matrix = centres[rng.integers(len(centres), size=count)] + 0.3 * rng.normal(size=(count, width))
    for i in range(1, count):
        if rng.random() < 0.15:
            matrix[i] = matrix[rng.integers(i)]
    matrix[rng.random(count) < 0.1] = 0.0
    return matrix.astype(np.float32)


def objective(rng: np.random.Generator, diversities: Sequence[float]) -> Tree:
    """A strategy at one of the diversities, every second time with a window where one means something."""
    strategy = str(rng.choice(STRATEGIES))
    words: Tree = {"strategy": strategy, "diversity": float(rng.choice(diversities))}
    if strategy in WINDOWED and rng.random() < 0.5:
        words["window"] = int(rng.choice([1, 2, 3, 4, 50]))
    return words


def column(rng: np.random.Generator, count: int, values: list[str], unknown: float = 0.15) -> list[str | None]:
    """One value or None an item; skewed towards the first value, sometimes one group alone."""
    if rng.random() < 0.08:
        return [values[0]] * count
    weights = rng.dirichlet(np.ones(len(values)) * 2.0)
    drawn = rng.choice(len(values), size=count, p=weights)
    return [None if rng.random() < unknown else values[v] for v in drawn]


def lists(rng: np.random.Generator, count: int, values: list[str]) -> list[list[str]]:
    """None, one or two values an item."""
    return [sorted(rng.choice(values, size=rng.integers(0, 3), replace=False).tolist()) for _ in range(count)]


def lower_quotas(rng: np.random.Generator, attribute: str, values: list[str], slate_size: int) -> list[Tree]:
    """One to three blocks of lower bounds on one attribute; half of the time gentle ones, that small lists can meet."""
    gentle = rng.random() < 0.5
    blocks: list[Tree] = []
    for _ in range(rng.choice([1, 1, 2, 3])):
        block: Tree = {"attribute": attribute}
        kind = rng.integers(3)
        chosen = _some(rng, values)[: 1 if gentle else None]
        if kind == 0:
            block["min_share"] = {value: 0.25 if gentle else _share(rng) for value in chosen}
        elif kind == 1:
            block["min_count"] = {value: 1 if gentle else int(rng.choice([1, 1, 1, 2, 2, 3])) for value in chosen}
        else:
            block["at_least_one_of_each"] = True
            if gentle or rng.random() < 0.5:
                block["values"] = chosen
        if rng.random() < 0.4:
            block["within"] = int(rng.integers(1 if kind == 0 else 2, slate_size + 3))
        if rng.random() < 0.3:
            block["weight"] = float(rng.choice([0.5, 2.0, 3.0]))
        blocks.append(block)
    return blocks


def upper_quotas(rng: np.random.Generator, attribute: str, values: list[str], slate_size: int) -> list[Tree]:
    """One or two blocks of upper bounds or windows on one attribute."""
    blocks: list[Tree] = []
    for kind in rng.permutation(3)[: rng.integers(1, 3)]:
        block: Tree = {"attribute": attribute}
        if kind == 0:
            block["max_share"] = {value: _share(rng) for value in _some(rng, values)}
        elif kind == 1:
            block["max_count"] = {value: int(rng.integers(0, 3)) for value in _some(rng, values)}
            if rng.random() < 0.5:
                block["within"] = int(rng.integers(1, slate_size + 2))
        else:
            block["max_per_value"] = int(rng.integers(1, 3))
            block["window"] = int(rng.choice([0, 2, 3, 4]))
        if rng.random() < 0.3:
            block["weight"] = float(rng.choice([0.5, 2.0]))
        blocks.append(block)
    return blocks


def rails(rng: np.random.Generator, values: NDArray[np.float64]) -> Tree:
    """A guard on the score in 40 % of requests, `keep_top` in 30 %."""
    tree: Tree = {}
    if len(values) and rng.random() < 0.4:
        tree["guard"] = {"min_score": float(np.quantile(values, rng.choice([0.2, 0.5, 0.8])))}
    if rng.random() < 0.3:
        tree["placement"] = {"keep_top": int(rng.integers(1, 3))}
    return tree


def _share(rng: np.random.Generator) -> float | str:
    return SHARES[rng.integers(len(SHARES))]


def _some(rng: np.random.Generator, values: list[str]) -> list[str]:
    return [str(v) for v in rng.choice(values, size=rng.integers(1, len(values) + 1), replace=False)]
