from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from reranker.client import CandidateBuilder, from_rows
from reranker.errors import InvalidInput

ROWS: list[dict[str, Any]] = [
    {"sku": "p1", "rank": 0.9, "vector": [1.0, 2.0], "tone": "dark", "genres": ["x", "y"], "size": 3},
    {"sku": "p2", "rank": 0.8, "vector": None, "tone": None, "genres": [], "size": 4},
    {"sku": "p3", "rank": 0.7, "vector": [0.5, 0.0], "tone": "light", "genres": ["y"], "size": 3},
]
BUILDER = CandidateBuilder(
    id_key="sku",
    score_key="rank",
    embeddings="vector",
    attributes={"skin_tone": "tone", "genres": "genres", "size": "size"},
)


@pytest.mark.parametrize("make", [list, pd.DataFrame, pa.Table.from_pylist, pa.RecordBatch.from_pylist])
def test_every_kind_of_table_gives_the_same_message(make: Any) -> None:
    assert BUILDER.build(make(ROWS)) == BUILDER.build(ROWS)


def test_the_message_says_what_the_rows_say() -> None:
    message = BUILDER.build(ROWS)
    assert list(message.item_ids) == ["p1", "p2", "p3"]
    assert list(message.scores) == [0.9, 0.8, 0.7]
    assert message.embeddings[0].dimension == 2
    assert list(message.embeddings[0].missing_rows) == [1]
    tone, genres, size = message.attributes
    assert (tone.name, list(tone.dictionary), list(tone.codes)) == ("skin_tone", ["dark", "light"], [1, 0, 2])
    assert (list(genres.codes), list(genres.offsets)) == ([1, 2, 2], [0, 2, 2, 3])
    assert list(size.dictionary) == ["3", "4"]


def test_absent_keys_and_every_missing_value_are_unknown() -> None:
    rows = [{"id": 1, "score": 1.0, "tone": value} for value in (None, float("nan"), np.nan, pd.NA, pd.NaT, "x")]
    rows.append({"id": 1, "score": 1.0})
    for i, row in enumerate(rows):
        row["id"] = i
    message = from_rows(rows, attributes=["tone"])
    assert list(message.attributes[0].codes) == [0, 0, 0, 0, 0, 1, 0]


def test_pandas_columns_with_missing_values() -> None:
    frame = pd.DataFrame({"id": [1, 2, 3], "score": pd.array([1, None, 3], dtype="Int64"), "tone": ["x", None, "y"]})
    with pytest.raises(InvalidInput, match=r"scores\[1\]: must be finite"):
        from_rows(frame, attributes="tone")
    frame["score"] = [1.0, 2.0, 3.0]
    frame["size"] = pd.array([1, None, 3], dtype="Int64")
    message = from_rows(frame, attributes=["tone", "size"])
    assert list(message.item_numbers) == [1, 2, 3]
    assert list(message.attributes[0].codes) == [1, 0, 2]
    assert list(message.attributes[1].dictionary) == ["1", "3"]


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 2), pa.large_list(pa.float64())])
def test_arrow_vectors_of_every_list_type(kind: pa.DataType) -> None:
    skus, ranks = ["a", "b", "c"], [1.0, 2.0, 3.0]
    tables: list[list[Any]] = [[[1.0, 2.0], None, [3.0, 4.0]], [[1.0, 2.0], [0.0, 1.0], [3.0, 4.0]], [None, None, None]]
    for rows in tables:
        table = pa.table({"sku": skus, "rank": ranks, "vector": pa.array(rows, kind)})
        in_chunks = pa.concat_tables([table.slice(0, 1), table.slice(1)])
        builder = CandidateBuilder(id_key="sku", score_key="rank", embeddings={"image": "vector"})
        dicts = [{"sku": s, "rank": r, "vector": v} for s, r, v in zip(skus, ranks, rows, strict=True)]
        assert builder.build(table) == builder.build(dicts)
        assert builder.build(in_chunks) == builder.build(dicts)


def test_ragged_arrow_vectors_are_refused_as_dicts_are() -> None:
    rows = [{"id": "a", "score": 1.0, "v": [1.0]}, {"id": "b", "score": 1.0, "v": [1.0, 2.0]}]
    for table in (rows, pa.Table.from_pylist(rows)):
        with pytest.raises(InvalidInput, match="embeddings: must be vectors of numbers"):
            from_rows(table, embeddings="v")


@pytest.mark.parametrize("make", [list, pd.DataFrame, pa.Table.from_pylist])
def test_absent_columns_are_all_named(make: Any) -> None:
    with pytest.raises(InvalidInput) as raised:
        from_rows(make(ROWS), attributes=["tone", "colour"], embeddings={"image": "picture"})
    assert [violation.path for violation in raised.value.violations] == ["id", "score", "picture", "colour"]


@pytest.mark.parametrize("rows", [{"id": [1]}, 5, [1, 2], "text"])
def test_other_things_are_refused(rows: Any) -> None:
    with pytest.raises(InvalidInput):
        from_rows(rows)


def test_no_rows_make_an_empty_list() -> None:
    assert not BUILDER.build([]).item_ids


def test_the_client_loads_neither_numba_nor_pandas_nor_pyarrow() -> None:
    code = (
        "import sys, reranker.client, reranker.requestlog\n"
        "reranker.client.from_rows([{'id': 1, 'score': 1.0}])\n"
        "print([name for name in ('numba', 'llvmlite', 'pandas', 'pyarrow', 'redis', 'prometheus_client')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
