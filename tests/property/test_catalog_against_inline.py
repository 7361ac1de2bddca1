"""By reference is what inline would have been: the same columns to the bit, so the same slate and the same report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Policy, rerank
from reranker.signals.sources import Names
from tests.reference.catalogs import ATTRIBUTES, catalog_of, some_rows
from tests.reference.naive_catalog import NaiveCatalog

POLICIES = [
    {"name": "plain"},
    {
        "name": "quotas",
        "objective": {"strategy": "mmr", "diversity": 0.6},
        "quotas": [
            {"attribute": "tone", "min_share": {"dark": 0.3, "light": 0.2}},
            {"attribute": "creator", "max_per_value": 1, "window": 3},
            {"attribute": "gender", "min_count": {"f": 2}, "within": 5},
        ],
    },
    {
        "name": "mixed",
        "objective": {"strategy": "dpp", "diversity": 0.7},
        "similarity_signals": [{"signal": "image"}, {"attribute": "genre", "kind": "jaccard"}],
        "spacings": [{"attribute": "tone", "penalty": 0.2, "window": 3}],
    },
]


def same_columns(found: Candidates, expected: Candidates) -> None:
    assert set(found.embeddings) == set(expected.embeddings)
    for name, vectors in expected.embeddings.items():
        assert np.array_equal(found.embeddings[name].matrix, vectors.matrix)
        assert np.array_equal(found.embeddings[name].norms, vectors.norms)
    for name, column in expected.attributes.items():
        own = found.attributes[name]
        if column.probabilities is not None:
            assert own.probabilities is not None
            order = [own.values.index(value) for value in column.values]
            assert np.array_equal(own.probabilities[:, order], column.probabilities)
        else:
            assert own.listed() == column.listed()
            if own.offsets is None or column.offsets is not None:
                assert own.values == column.values
                assert np.array_equal(own.codes, column.codes)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
@pytest.mark.parametrize("numbers", [False, True])
def test_columns_are_those_of_a_caller_who_looks_things_up_himself(
    tmp_path: Path, precision: str, numbers: bool
) -> None:
    for seed in range(8):
        rng = np.random.default_rng([seed, numbers])
        rows = some_rows(seed, int(rng.integers(1, 80)), int(rng.integers(1, 12)), numbers)
        rows = [{**row, "gender": _label(row)} for row in rows]
        catalog = catalog_of(tmp_path / str(seed), rows, precision=precision)
        twin = NaiveCatalog(rows, precision, ATTRIBUTES)
        for _ in range(10):
            known = [rows[i]["id"] for i in rng.permutation(len(rows))[: rng.integers(0, len(rows) + 1)]]
            strangers: list[Any] = [5, 6, 7] if numbers else ["x", "é", "\n"]
            ids = [*known, *strangers[: rng.integers(0, 4)]]
            rng.shuffle(ids)
            scores = rng.random(len(ids))
            found, expected = catalog.candidates(ids, scores), twin.candidates(ids, scores)
            if not expected.embeddings:
                assert not any(column.norms.any() for column in found.embeddings.values())
                found = Candidates.from_columns(ids, found.scores, {}, found.attributes)
            same_columns(found, expected)


def _label(row: dict[str, Any]) -> str | None:
    return "f" if row.get("gender", {}).get("f", 0) > 0.5 else None


@pytest.mark.parametrize("words", POLICIES, ids=lambda words: str(words["name"]))
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_slates_reports_and_explanations_are_equal(tmp_path: Path, words: dict[str, Any], precision: str) -> None:
    policy = Policy.from_dict(words)
    rows = some_rows(11, 300, 16)
    for row in rows:
        row["gender"] = _label(row)
    catalog = catalog_of(tmp_path, rows, names=Names(embeddings={"image": "embedding"}), precision=precision)
    twin = NaiveCatalog(rows, precision, catalog.attributes, "image")
    for seed in range(12):
        rng = np.random.default_rng(seed)
        ids = [rows[i]["id"] for i in rng.permutation(300)[: rng.integers(20, 200)]]
        scores = rng.random(len(ids)).round(2)  # with ties
        by_reference = rerank(catalog.candidates(ids, scores), policy, 15, explain=True)
        inline = rerank(twin.candidates(ids, scores), policy, 15, explain=True)
        assert by_reference == inline
        assert by_reference.report.measures == inline.report.measures
