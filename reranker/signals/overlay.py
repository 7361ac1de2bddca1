"""Columns of items from the store over those of the catalog: what a request's candidates are joined with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from itertools import count as counter

import numpy as np
from numpy.typing import NDArray

from reranker.attributes import AttributeColumn
from reranker.candidates import Candidates, EmbeddingColumn, Id
from reranker.kernels.door import measure_rows
from reranker.kernels.gather import gather_float16
from reranker.signals.columns import carried
from reranker.signals.pieces import Piece, StoredFound


def lay_over(
    bare: Candidates,
    joined: Candidates,
    rows: NDArray[np.int64],
    stored: StoredFound,
    embeddings: Iterable[str] | None,
    attributes: Iterable[str] | None,
) -> Candidates:
    """`joined`, the candidates with the catalog's columns of their `rows`, with the store's items over those.

    What `bare` has already is kept. None means every column. O(N (D + attributes)).
    """
    pieces, count = stored.pieces, len(joined)
    if embeddings is None:
        embeddings = [name for piece in pieces for name, _, _ in piece.shape.embeddings]
    if attributes is None:
        attributes = [name for piece in pieces for name in piece.shape.attributes]
    vectors, labels = dict(joined.embeddings), dict(joined.attributes)
    for name in dict.fromkeys(embeddings):
        vector = None if name in bare.embeddings else embedding(name, vectors.get(name), pieces, count)
        if vector is not None:
            vectors[name] = vector
    for name in dict.fromkeys(attributes):
        column = None if name in bare.attributes else attribute(name, labels.get(name), pieces, count)
        if column is not None:
            labels[name] = column
    unknown = (rows < 0) & ~stored.present
    return Candidates.from_columns(joined.ids, joined.scores, vectors, labels, unknown=unknown)


def spread(stored: StoredFound, distinct: Sequence[Id], ids: Sequence[Id]) -> StoredFound:
    """What was found of distinct ids, for a list that repeats some of them."""
    number = {item: at for at, item in enumerate(distinct)}
    place = np.array([number[item] for item in ids], np.int64)
    pieces = []
    for piece in stored.pieces:
        row_of = np.full(len(distinct), -1, np.int64)
        row_of[piece.at] = np.arange(len(piece.at))
        rows = row_of[place]
        at = np.flatnonzero(rows >= 0)
        pieces.append(piece.take(rows[at], at))
    return StoredFound(pieces, stored.erased[place], stored.degraded, stored.counts)


def embedding(name: str, base: EmbeddingColumn | None, pieces: Sequence[Piece], count: int) -> EmbeddingColumn | None:
    """One embedding of N candidates: the store's rows over the catalog's, float32; None where nobody has it.

    Vectors are as long as the catalog's, or as those of the piece with most items; an item with a longer or shorter one
    has none.
    """
    own = [
        (piece, f"e{n}", width)
        for piece in pieces
        for n, (each, width, _) in enumerate(piece.shape.embeddings)
        if each == name
    ]
    if not own:
        return base
    dimension = base.matrix.shape[1] if base is not None else max(own, key=lambda each: len(each[0].at))[2]
    matrix = np.zeros((count, dimension), np.float32) if base is None else base.matrix
    norms = np.zeros(count) if base is None else base.norms
    for piece, column, width in own:
        rows, lengths = np.zeros((len(piece.at), dimension), np.float32), np.zeros(len(piece.at))
        if width == dimension:
            rows = np.ascontiguousarray(_single(piece.table[column]))
            measure_rows(rows, lengths)
        matrix[piece.at], norms[piece.at] = rows, lengths
    return EmbeddingColumn(matrix, norms)


def _single(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Vectors as float32: the kernel takes a quarter of the time that NumPy does."""
    if vectors.dtype == np.float32:
        return vectors.astype(np.float32, copy=False)
    out = np.empty(vectors.shape, np.float32)
    gather_float16(np.ascontiguousarray(vectors).view(np.uint16), np.arange(len(vectors)), out)
    return out


def attribute(name: str, base: AttributeColumn | None, pieces: Sequence[Piece], count: int) -> AttributeColumn | None:
    """One attribute of N candidates: the store's values over the catalog's; None where nobody has it.

    Where some have a classifier's probabilities and others one value, that value's probability is 1; several values
    have no such form and are unknown.
    """
    labels = [piece for piece in pieces if name in piece.shape.labels]
    shares = [piece for piece in pieces if any(each == name for each, _ in piece.shape.probabilities)]
    if not labels and not shares:
        return base
    listed = None if base is not None and base.probabilities is not None else _listed(name, base, labels, count)
    if not shares and listed is not None:
        return listed
    return _shares(name, base, listed, shares, labels, count)


def _listed(name: str, base: AttributeColumn | None, pieces: Sequence[Piece], count: int) -> AttributeColumn:
    """Values and lists of values, the dictionary in the order of first occurrence."""
    code_of: dict[str, int] = {} if base is None else {text: code for code, text in enumerate(base.values, start=1)}
    sizes, flat = np.zeros(count, np.int64), [np.zeros(0, np.int32)]
    starts = np.zeros(count, np.int64)  # of each candidate's codes in the flat list
    end = 0
    if base is not None:
        offsets = base.offsets
        own = (base.codes > 0).astype(np.int64) if offsets is None else np.diff(offsets).astype(np.int64)
        sizes, starts = own, np.cumsum(own) - own
        flat.append(base.codes if offsets is not None else base.codes[base.codes > 0])
        end = len(flat[-1])
    for piece in pieces:
        n = piece.shape.labels.index(name)
        numbers = piece.codes[n].copy()
        texts = [(), *[piece.fields[n].texts[code] for code in carried(numbers).tolist()]]
        if base is None and len(pieces) == 1 and max(map(len, texts)) <= 1:  # most often: fields differ, so texts do
            single = np.zeros(count, np.int32)
            single[piece.at] = numbers
            return AttributeColumn(tuple(chain.from_iterable(texts)), single)
        each = list(chain.from_iterable(texts))
        code_of.update(zip([text for text in dict.fromkeys(each) if text not in code_of], counter(len(code_of) + 1)))
        flat.append(np.fromiter(map(code_of.__getitem__, each), np.int32, len(each)))
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        sizes[piece.at] = lengths[numbers]
        starts[piece.at] = end + (np.cumsum(lengths) - lengths)[numbers]
        end += len(each)
    joined = np.concatenate(flat)
    offsets = np.zeros(count + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    codes = joined[np.repeat(starts - offsets[:-1], sizes) + np.arange(offsets[-1])]
    if (sizes <= 1).all() and (base is None or base.offsets is None):
        single = np.zeros(count, np.int32)
        single[sizes == 1] = codes
        return AttributeColumn(_texts_of(single, tuple(code_of)), single)
    return AttributeColumn(_texts_of(codes, tuple(code_of)), codes, offsets)


def _texts_of(codes: NDArray[np.int32], values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([values[code - 1] for code in carried(codes).tolist()])


def _shares(
    name: str,
    base: AttributeColumn | None,
    listed: AttributeColumn | None,
    pieces: Sequence[Piece],
    labelled: Sequence[Piece],
    count: int,
) -> AttributeColumn:
    """A classifier's probabilities: the catalog's labels first, then those of the store."""
    own = [
        (piece, n, labels)
        for piece in pieces
        for n, (each, labels) in enumerate(piece.shape.probabilities)
        if each == name
    ]
    columns = [
        column for column in (base if base is not None and base.probabilities is not None else None, listed) if column
    ]
    if listed is None and labelled:
        columns.append(_listed(name, None, labelled, count))
    values = tuple(dict.fromkeys(chain(*(column.values for column in columns), *(labels for _, _, labels in own))))
    place = {value: at for at, value in enumerate(values)}
    matrix = np.zeros((count, len(values)), np.float32)
    for column in columns:
        at = [place[value] for value in column.values]
        if column.probabilities is not None:
            matrix[:, at] = column.probabilities
            for piece in labelled:
                matrix[piece.at] = 0.0
        else:
            _make_certain(matrix, column, np.array(at, np.int64))
    for piece, n, labels in own:
        matrix[piece.at] = 0.0
        matrix[np.ix_(piece.at, np.array([place[label] for label in labels], np.int64))] = piece.table[f"p{n}"]
    return AttributeColumn(values, np.zeros(count, np.int32), None, matrix)


def _make_certain(matrix: NDArray[np.float32], column: AttributeColumn, at: NDArray[np.int64]) -> None:
    """Probability 1 for the value of each candidate that has one."""
    sizes = (column.codes > 0).astype(np.int64) if column.offsets is None else np.diff(column.offsets).astype(np.int64)
    rows = np.flatnonzero(sizes == 1)
    codes = column.codes[rows] if column.offsets is None else column.codes[column.offsets[rows]]
    matrix[rows, at[codes - 1]] = 1.0
