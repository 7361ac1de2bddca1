"""How alike candidates are, clipped to 0..1: one beside some, or all beside all.

Float32 products of unit rows. Those next to zero, where the square roots of `cover.py` would enlarge their rounding a
thousandfold, are made anew in float64. Equal rows are compared by the same instructions wherever they stand, so that
candidates alike in everything stay so.

The list is cut into *parts* of `span` candidates, a multiple of `PANEL`; a table of similarities holds one part after
the other, for each the candidates' rows: entry (i, c) stands at [c // span * stride + i, c % span], where `stride` is
the number of rows. What is read together, a part of many rows, then lies together.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, f32, f64, i32, i64, inner, kernel, linked_borrowing, read_only, scratch, u16
from reranker.kernels.rows import exact_similarity
from reranker.kernels.tiles import PANEL, SHARE, TALL, clip, mirror, panel, transpose
from reranker.kernels.vectors import LANES, dot_four

PRODUCT_ERROR = 8e-6  # bound on the float32 error of a dot product of unit rows, as in `mmr.py`
DOUBTFUL = np.float32(1e-5)  # products below it, in size, are made anew
_NOTHING = 1e-15  # float64 similarities below it are rounding: orthogonal rows

# What similarities are made from.
ROWS = (
    read_only(f32, 2),  # unit rows (N and more, D in whole registers); those beyond N are zero
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


@inner
def _shares_terms(i: int, c: int, rows: NDArray[np.float32]) -> bool:
    """Whether any term of a product is not zero: most often none is, and zero is what the product is."""
    size = np.float32(0.0)
    for k in range(rows.shape[1]):
        size += abs(rows[i, k] * rows[c, k])
    return bool(size > 0.0)


@linked_borrowing
def mend(
    i: int,
    many: int,
    start: int,
    stop: int,
    rows: NDArray[np.float32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    lines: NDArray[np.float32],
    line: int,
    at: int,
) -> None:
    """Make doubtful products of candidates i..i+many-1 with start..stop-1 anew; they begin in lines[line, at]."""
    for r in range(min(many, len(order) - i)):
        for c in range(min(stop, len(order)) - start):
            if abs(lines[line + r, at + c]) < DOUBTFUL and _shares_terms(i + r, start + c, rows):
                lines[line + r, at + c] = _made_anew(i + r, start + c, matrix, norms, order, shifted)


@linked_borrowing
def one_beside(
    i: int,
    start: int,
    width: int,
    seen: int,
    rows: NDArray[np.float32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    lines: NDArray[np.float32],
    line: int,
) -> None:
    """Similarities of candidate i to the `width` from `start` on, 1 to itself, as row `line` of `lines`. O(D) each.

    `width` is a multiple of 4. Zero to the first `seen` candidates: nobody has to stand for what earlier pages have
    shown.
    """
    for c in range(0, width, 4):
        p, q, s, t = dot_four(rows, i, rows, start + c, rows.shape[1])
        lines[line, c] = p
        lines[line, c + 1] = q
        lines[line, c + 2] = s
        lines[line, c + 3] = t
    mend(i, 1, start, start + width, rows, matrix, norms, order, shifted, lines, line, 0)
    for c in range(width):
        lines[line, c] = min(max(lines[line, c], np.float32(0.0)), np.float32(1.0))
    if start <= i < start + width:
        lines[line, i - start] = np.float32(1.0)
    for c in range(min(width, seen - start)):
        lines[line, c] = np.float32(0.0)


@inner
def pack(rows: NDArray[np.float32], panels: NDArray[np.float32]) -> None:
    """Write the rows as `tiles.panel` takes them: PANEL at a time, transposed. O(N D)."""
    width = rows.shape[1]
    for p in range(len(panels) // width):
        for r in range(0, PANEL, LANES):
            for c in range(0, width, LANES):
                transpose(rows, p * PANEL + r, c, panels, p * width + c, r)


@kernel(types.void(i64, scratch(f32, 2), scratch(u16, 2), scratch(f32, 2), scratch(f32, 2), *ROWS), borrows=True)
def all_beside_all(
    seen: int,
    table: NDArray[np.float32],
    shorts: NDArray[np.uint16],
    panels: NDArray[np.float32],
    lines: NDArray[np.float32],
    rows: NDArray[np.float32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
) -> None:
    """Write all similarities to `table`, and rounded up to 16 bits to `shorts`, each pair once; O(N^2 D / 2).

    `panels` (panels x D, PANEL) and `lines` (TALL, PANEL) are room. A multiple of PANEL rows is written, and up to TALL
    more; those without a candidate are zero.
    """
    width, count, span = rows.shape[1], len(order), table.shape[1]
    stride = len(table) // -(-(len(panels) // width * PANEL) // span)
    pack(rows, panels)
    for p in range(len(panels) // width):
        start = p * PANEL
        first, at = start // span * stride, start % span
        for i in range(0, min(start + PANEL, count), TALL):
            if panel(rows, i, panels, p * width, width, lines, 0, 0) < DOUBTFUL:
                mend(i, TALL, start, start + PANEL, rows, matrix, norms, order, shifted, lines, 0, 0)
            clip(lines, table, shorts, first + i, at)
        for i in range(start, min(start + PANEL, count)):
            table[first + i, at + i - start] = np.float32(1.0)
            shorts[first + i, at + i - start] = np.uint16(SHARE)
        for i in range(0, start, LANES):
            for c in range(0, PANEL, LANES):
                mirror(table, first + i, at + c, shorts, i // span * stride + start + c, i % span)
    for c in range(seen):
        for i in range(count):
            table[c // span * stride + i, c % span] = np.float32(0.0)
            shorts[c // span * stride + i, c % span] = np.uint16(0)
