"""Strategies on their own, under a gate that a test drives, and random lists that are hard on them."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates
from reranker.kernels.gate import Gate
from reranker.strategies import STRATEGIES, Problem, Strategy
from reranker.strategies.aspects import Aspects
from reranker.strategies.sampled_dpp import SampledDppStrategy
from tests.reference import naive_aspects
from tests.reference.naive_strategies import Twin, directions, similarities

Floats = NDArray[np.float64]
NAMES = ("relevance", "mmr", "msd", "dpp", "ssd", "cover", *naive_aspects.NAMES)
SAMPLED = "sampled dpp"  # no policy word: dpp with sample = true
# Strategy and window: every strategy on the whole slate, and those that a window means something to in short ones.
MODES = [(name, 0) for name in NAMES] + [(name, window) for name in ("mmr", "dpp", "ssd") for window in (1, 2, 4)]


def open_gate(kind: NDArray[np.int32], kinds: int, slots: int) -> Gate:
    """Everybody may stand everywhere until the test says otherwise."""
    count = len(kind)
    return Gate(
        kind=kind,
        release=np.ones(count, np.int32),
        forced=np.full(slots, -1, np.int32),
        bounded=False,
        lower=np.zeros((kinds, slots + 1), np.int32),
        upper=np.full((kinds, slots + 1), slots, np.int32),
        counts=np.zeros(kinds, np.int32),
        is_open=np.ones(kinds, bool),
        taken=np.zeros(count, bool),
        picks=np.full(slots, -1, np.int32),
        gains=np.zeros(slots),
    )


def bare(
    name: str,
    relevance: Floats,
    rows: NDArray[np.float32],
    diversity: float,
    shifted: bool,
    gate: Gate,
    window: int = 0,
    seen: int = 0,
) -> Strategy:
    """The strategy on candidates in upstream order; `relevance` must fall."""
    embedding = Candidates(range(len(rows)), np.zeros(len(rows)), rows).embeddings[""]
    order = np.arange(len(rows), dtype=np.int32)
    problem = Problem(
        relevance,
        diversity,
        embedding,
        order,
        shifted,
        len(gate.picks),
        window=window,
        seed=len(rows),
        seen=seen,
        aspects=aspects_of(rows),
    )
    if name == SAMPLED:
        return SampledDppStrategy(problem, gate)
    return STRATEGIES[name].suited(problem)(problem, gate)


def twin_of(
    name: str,
    relevance: Floats,
    rows: NDArray[np.float32],
    diversity: float,
    shifted: bool,
    window: int = 0,
    seen: int = 0,
    gate: Gate | None = None,
) -> Twin:
    """The slow twin of `bare`; the rank stands in for the score, as the tie rule asks for nothing else."""
    form = "cosine_shifted" if shifted else "cosine"
    scores, count = -np.arange(len(rows), dtype=np.float64), len(rows)
    if name in naive_aspects.NAMES:
        return _aspect_twin(name, relevance, rows, diversity, gate)
    alike, vectors = similarities(rows, count, form), directions(rows, count, form)
    return Twin(name, 0.0 if name == "relevance" else diversity, scores, relevance, alike, window, vectors, seen)


def hard_rows(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Duplicates, near duplicates, zero vectors, and often fewer dimensions than slots."""
    width = int(rng.integers(1, 9))
    centres = rng.normal(size=(int(rng.integers(1, count + 1)), width))
    rows = centres[rng.integers(len(centres), size=count)]
    rows = rows + float(rng.choice([0.0, 0.05, 0.5])) * rng.normal(size=(count, width))
    rows[rng.random(count) < float(rng.choice([0.0, 0.2]))] = 0.0
    return rows.astype(np.float32)


def falling(rng: np.random.Generator, count: int) -> Floats:
    """Relevance in upstream order, with ties."""
    values = rng.normal(size=count) if rng.random() < 0.5 else rng.integers(-2, 3, count).astype(np.float64)
    return np.sort(values)[::-1].copy()


def aspects_of(rows: NDArray[np.float32]) -> Aspects:
    """Aspects that the rows decide: none, one or several a candidate, of one kind of label or in graded amounts."""
    rng = np.random.default_rng(zlib.crc32(rows.tobytes()))
    count, kinds = len(rows), int(rng.integers(1, 7))
    amounts = np.zeros((count, kinds))
    if rng.random() < 0.5:
        amounts[np.arange(count), rng.integers(kinds, size=count)] = 1.0
    else:
        amounts[rng.random((count, kinds)) < 0.4] = 1.0
    if rng.random() < 0.3:
        amounts *= rng.integers(1, 5, (count, kinds)) / 4.0
    amounts[rng.random(count) < float(rng.choice([0.0, 0.2]))] = 0.0
    amounts[0, 0] = 1.0
    seen = [c for row in amounts for c in np.flatnonzero(row).tolist()]
    order = list(dict.fromkeys([*seen, *range(kinds)]))
    amounts = amounts[:, order]
    shares = rng.integers(1, 5, kinds).astype(np.float64)
    return made_aspects(amounts, shares, amounts.sum(axis=1) + rng.integers(0, 2, count))


def made_aspects(amounts: Floats, shares: Floats, carried: Floats | None = None) -> Aspects:
    """Aspects from A(i, c) as a matrix (N, C), in upstream order."""
    listed = amounts > 0
    offsets = np.concatenate([[0], np.cumsum(listed.sum(axis=1))]).astype(np.int32)
    carried = amounts.sum(axis=1) if carried is None else carried
    aspect = np.nonzero(listed)[1].astype(np.int32)
    return Aspects("group", offsets, aspect, amounts[listed], carried, shares / shares.sum())


def _aspect_twin(
    name: str, relevance: Floats, rows: NDArray[np.float32], diversity: float, gate: Gate | None
) -> naive_aspects.AspectTwin:
    aspects = aspects_of(rows)
    count = len(rows)
    amounts = np.zeros((count, len(aspects.shares)))
    amounts[aspects.owners, aspects.aspect] = aspects.amount
    return naive_aspects.AspectTwin(
        name,
        diversity,
        -np.arange(count, dtype=np.float64),
        relevance,
        np.eye(count),
        amounts=amounts,
        carried=aspects.carried,
        shares=aspects.shares.tolist(),
        slots=0 if gate is None else len(gate.picks),
        settled=frozenset() if gate is None else frozenset(gate.forced[gate.forced >= 0].tolist()),
        listed=[np.flatnonzero(row).tolist() for row in amounts],
    )
