"""How alike candidates are, clipped to 0..1: one beside all, or all beside all.

Float32 products of unit rows. Those next to zero, where the square roots of `cover.py` would enlarge their rounding a
thousandfold, are made anew in float64. Equal rows are compared by the same instructions wherever they stand, so that
candidates alike in everything stay so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, f32, f64, i32, inner, linked, read_only
from reranker.kernels.rows import exact_similarity

PRODUCT_ERROR = 8e-6  # bound on the float32 error of a dot product of unit rows, as in `mmr.py`
_DOUBTFUL = 1e-5  # products below it, in size, are made anew
_NOTHING = 1e-15  # float64 similarities below it are rounding: orthogonal rows

# What similarities are made from.
ROWS = (
    read_only(f32, 2),  # unit rows (N rounded up to a multiple of 4, D); those beyond N are zero
    read_only(f32, 2),  # embeddings as they came in
    read_only(f64, 1),  # their lengths
    read_only(i32, 1),  # their row by upstream rank
    boolean,  # similarity is (1 + cosine) / 2
)


@inner
def _made_anew(
    i: int, c: int, matrix: NDArray[np.float32], norms: NDArray[np.float64], order: NDArray[np.int32], shifted: bool
) -> np.float32:
    """A similarity from float64."""
    exact = exact_similarity(order[i], order[c], matrix, norms, shifted)
    return np.float32(exact if exact > _NOTHING else 0.0)


@linked
def one_beside(
    i: int,
    start: int,
    stop: int,
    seen: int,
    rows: NDArray[np.float32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    row: NDArray[np.float32],
) -> None:
    """Similarities of candidate i to candidates start..stop-1 (start a multiple of 4), 1 to itself. O(D) each.

    Zero to the first `seen` candidates: nobody has to stand for what earlier pages have shown.
    """
    for c in range(start, stop, 4):
        p = q = s = t = np.float32(0.0)
        for k in range(rows.shape[1]):
            value = rows[i, k]
            p += value * rows[c, k]
            q += value * rows[c + 1, k]
            s += value * rows[c + 2, k]
            t += value * rows[c + 3, k]
        row[c] = p
        row[c + 1] = q
        row[c + 2] = s
        row[c + 3] = t
    for c in range(start, stop):
        if abs(row[c]) < _DOUBTFUL:
            size = np.float32(0.0)  # of the terms: most often all of them are zero, and so is the similarity
            for k in range(rows.shape[1]):
                size += abs(rows[i, k] * rows[c, k])
            if size > 0.0:
                row[c] = _made_anew(i, c, matrix, norms, order, shifted)
        row[c] = min(max(row[c], np.float32(0.0)), np.float32(1.0))
        if c == i:
            row[c] = np.float32(1.0)
        if c < seen:
            row[c] = np.float32(0.0)


@linked
def four_beside(i: int, rows: NDArray[np.float32], lines: NDArray[np.float32]) -> None:
    """Bare products of candidates i..i+3 with all from i on: four beside four is what vector registers just hold."""
    for c in range(i, len(rows), 4):
        p0 = p1 = p2 = p3 = np.float32(0.0)
        q0 = q1 = q2 = q3 = np.float32(0.0)
        s0 = s1 = s2 = s3 = np.float32(0.0)
        t0 = t1 = t2 = t3 = np.float32(0.0)
        for k in range(rows.shape[1]):
            p = rows[i, k]
            q = rows[i + 1, k]
            s = rows[i + 2, k]
            t = rows[i + 3, k]
            a = rows[c, k]
            b = rows[c + 1, k]
            d = rows[c + 2, k]
            e = rows[c + 3, k]
            p0 += p * a
            p1 += p * b
            p2 += p * d
            p3 += p * e
            q0 += q * a
            q1 += q * b
            q2 += q * d
            q3 += q * e
            s0 += s * a
            s1 += s * b
            s2 += s * d
            s3 += s * e
            t0 += t * a
            t1 += t * b
            t2 += t * d
            t3 += t * e
        lines[0, c] = p0
        lines[0, c + 1] = p1
        lines[0, c + 2] = p2
        lines[0, c + 3] = p3
        lines[1, c] = q0
        lines[1, c + 1] = q1
        lines[1, c + 2] = q2
        lines[1, c + 3] = q3
        lines[2, c] = s0
        lines[2, c + 1] = s1
        lines[2, c + 2] = s2
        lines[2, c + 3] = s3
        lines[3, c] = t0
        lines[3, c + 1] = t1
        lines[3, c + 2] = t2
        lines[3, c + 3] = t3


@linked
def complete(
    seen: int,
    rows: NDArray[np.float32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    similarities: NDArray[np.float32],
) -> None:
    """Make similarities, as `one_beside` does, of the bare products in the upper triangle of (N, N). O(N^2)."""
    count = len(order)
    for k in range(count):
        line = similarities[k, k + 1 : count]
        doubtful = 0
        for c in range(len(line)):
            doubtful += int(abs(line[c]) < _DOUBTFUL)
        for c in range(len(line) if doubtful > 0 else 0):
            if abs(line[c]) < _DOUBTFUL:
                size = np.float32(0.0)
                for d in range(rows.shape[1]):
                    size += abs(rows[k, d] * rows[k + 1 + c, d])
                if size > 0.0:
                    line[c] = _made_anew(k, k + 1 + c, matrix, norms, order, shifted)
        for c in range(len(line)):
            line[c] = min(max(line[c], np.float32(0.0)), np.float32(1.0))
        similarities[k, k] = np.float32(1.0)
    for i in range(0, count, 16):  # blocks, because one of the two sides is read down its columns
        for c in range(0, i + 1, 16):
            for j in range(i, min(i + 16, count)):
                for k in range(c, min(j, c + 16)):
                    similarities[j, k] = similarities[k, j]
    for i in range(count):
        similarities[i, :seen] = np.float32(0.0)
