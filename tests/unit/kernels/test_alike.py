"""Similarities of `alike.py`: right, symmetric, equal for equal rows wherever they stand, exact next to zero."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reranker.kernels.tiles import PANEL
from reranker.strategies import cover
from reranker.strategies.cover import CoverStrategy
from tests.reference.bare_strategies import bare, falling, hard_rows, open_gate
from tests.reference.naive_strategies import similarities

Rows = NDArray[np.float32]


def made(rows: Rows, shifted: bool = False, seen: int = 0) -> CoverStrategy:
    count = len(rows)
    gate = open_gate(np.zeros(count, np.int32), 1, min(10, count))
    strategy = bare("cover", np.linspace(1.0, 0.0, count), rows, 0.5, shifted, gate, seen=seen)
    assert isinstance(strategy, CoverStrategy)
    return strategy


def kept(rows: Rows, shifted: bool = False, seen: int = 0) -> NDArray[np.float32]:
    """All similarities in one table; the strategy has them a part of the list at a time, in memory that it borrows."""
    strategy = made(rows, shifted, seen)
    count, stride = len(rows), len(strategy._rows[0])
    table = strategy._prepared()[2]
    parts = [table[start : start + count] for start in range(0, len(table), stride)]
    size = count + -count % PANEL
    whole = np.concatenate(parts, axis=1)[:, :size]
    assert not whole[:, count:].any()
    return whole[:, :count].copy()


@pytest.mark.parametrize("shifted", [False, True])
def test_they_are_the_clipped_similarities(shifted: bool) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        rows = hard_rows(rng, int(rng.integers(1, 70)))
        expected = similarities(rows, len(rows), "cosine_shifted" if shifted else "cosine")
        table = kept(rows, shifted)
        np.testing.assert_allclose(table, np.clip(expected, 0.0, 1.0), atol=5e-7)
        np.testing.assert_array_equal(table, table.T)


def test_nobody_covers_what_was_seen() -> None:
    rows = np.random.default_rng(0).normal(size=(11, 3)).astype(np.float32)
    whole, later = kept(rows), kept(rows, seen=3)
    assert not later[:, :3].any()
    np.testing.assert_array_equal(later[:, 3:], whole[:, 3:])


@pytest.mark.parametrize("width", [1, 7, 33, 128])
def test_equal_rows_are_equally_alike_to_all(width: int) -> None:
    rng = np.random.default_rng(width)
    distinct = rng.normal(size=(30, width)).astype(np.float32)
    kinds = rng.integers(0, 30, 203)
    table = kept(distinct[kinds])
    for kind in range(30):
        copies = np.flatnonzero(kinds == kind)
        others = np.flatnonzero(kinds != kind)
        assert (table[copies][:, others] == table[copies[:1]][:, others]).all()


def test_orthogonal_rows_are_not_alike_at_all() -> None:
    """Rotated, their products are rounding, and the root of rounding is a thousand times as large."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(40, 40)))[0]
    table = kept(rotation.astype(np.float32))
    assert np.sqrt(table[~np.eye(40, dtype=bool)]).max() < 2e-4  # what float32 rows themselves are off by
    exact = similarities(rotation.astype(np.float32), 40, "cosine")
    np.testing.assert_allclose(np.sqrt(table), np.sqrt(np.clip(exact, 0.0, 1.0)), atol=1e-7)


def test_a_list_too_long_to_keep_them_gives_the_same_slate(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        count, seen = int(rng.integers(20, 90)), 3 * (seed % 2)
        relevance, rows = falling(rng, count), hard_rows(rng, count)
        picks, gains, parts = [], [], []
        for most in (cover.KEPT, 0):
            monkeypatch.setattr(cover, "KEPT", most)
            gate = open_gate(np.zeros(count, np.int32), 1, 15)
            gate.forced[:seen] = np.arange(seen)
            strategy = bare("cover", relevance, rows, 0.5, seed % 3 == 0, gate, seen=seen)
            strategy.select(0, 14)
            parts.append(strategy.parts(14)[1])
            strategy.select(14, 15)
            picks.append(gate.picks.tolist())
            gains.append(gate.gains)
            monkeypatch.undo()
        np.testing.assert_allclose(gains[0], gains[1], atol=1e-5)
        np.testing.assert_allclose(parts[0], parts[1], atol=1e-5)
        assert picks[0] == picks[1], seed


def test_a_settled_slate_compares_nothing_in_advance() -> None:
    rows = np.random.default_rng(1).normal(size=(12, 5)).astype(np.float32)
    gates = [open_gate(np.zeros(12, np.int32), 1, 5) for _ in range(2)]
    free, settled = (bare("cover", np.linspace(1.0, 0.0, 12), rows, 0.5, False, gate) for gate in gates)
    free.select(0, 5)
    gates[1].forced[:] = gates[0].picks
    settled.select(0, 5)
    assert isinstance(settled, CoverStrategy)
    assert len(settled._prepared()[2]) == settled._parts  # room for one candidate's
    np.testing.assert_allclose(gates[1].gains, gates[0].gains, atol=1e-5)
