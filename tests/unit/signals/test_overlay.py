"""Embeddings of stored items over those of the catalog."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker import Candidates
from reranker.candidates import EmbeddingColumn
from reranker.signals.cache import ItemCache
from reranker.signals.overlay import embedding
from reranker.signals.packed import Shape, pack, take_apart, unpack
from reranker.signals.pieces import Piece


def stored(vectors: NDArray[np.float32], at: list[int]) -> Piece:
    items = Candidates([f"s{place}" for place in at], np.zeros(len(at)), vectors)
    values = [unpack(value) for value in pack(items, 0)]
    shape = Shape.parse(values[0][0])
    return ItemCache(1 << 20).coded(shape, np.array(at), *take_apart(shape, [body for _, body in values]))


def test_lengths_are_those_of_the_rows_whoever_they_came_from() -> None:
    numbers = np.random.default_rng(3)
    matrix = numbers.standard_normal((6, 4)).astype(np.float32)
    matrix[5] = 0.0
    expected, base = matrix.copy(), EmbeddingColumn(matrix, np.linalg.norm(matrix.astype(float), axis=1))
    same, longer = numbers.standard_normal((2, 4)).astype(np.float32), np.ones((1, 7), np.float32)
    expected[[1, 5]], expected[3] = same, 0.0  # one of another length is none
    name = next(iter(Candidates(["a"], [1.0], np.ones((1, 2))).embeddings))
    pieces = [stored(same, [1, 5]), stored(longer, [3])]
    for column, wanted in (
        (embedding(name, base, pieces, 6), expected),
        (embedding(name, None, pieces, 6), expected * np.array([0, 1, 0, 0, 0, 1], np.float32)[:, None]),
    ):
        assert column is not None
        np.testing.assert_array_equal(column.matrix, wanted)
        np.testing.assert_allclose(column.norms, np.linalg.norm(wanted.astype(float), axis=1), rtol=1e-12)
        assert column.missing == np.count_nonzero(~wanted.any(axis=1))
