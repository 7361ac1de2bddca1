"""Builds the catalogs and request logs in this folder from the source tables.

    python -m examples.data.build SOURCE

SOURCE holds one folder a corpus with `items.parquet`, `embeddings_384.parquet` and `requests_dev.parquet`, and
`arrivals/arrivals.parquet`. The same tables give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from numpy.typing import NDArray

from reranker import requestlog
from reranker.v1.request_log_pb2 import RequestLog

HERE = Path(__file__).resolve().parent
TRACES = {"code": "azure_llm_code_2023", "conversation": "azure_llm_conv_2023"}
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Corpus:
    """What is taken from one source: attribute columns, and how many requests of each kind (None = all)."""

    name: str
    requests: Mapping[str, int | None]
    attributes: Mapping[str, str]
    surfaces: Mapping[str, str]
    intent: str
    target: tuple[str, str, tuple[str, str]] | None = None
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    untouched: str = ""  # the kind of request of which one keeps its 384-dimensional vectors too


CORPORA = (
    Corpus(
        name="shades",
        requests={"text_search": None, "more_like_this": 150, "dense_search": 100},
        attributes={
            "skin_tone": "skin_tone",
            "mst": "mst",
            "undertone": "undertone",
            "depth_declared": "depth_declared",
            "creator": "creator",
            "form": "form",
            "finish": "finishes",
            "retailer": "retailer",
        },
        surfaces={"text_search": "search", "dense_search": "search", "more_like_this": "related"},
        intent="beauty",
        orders={"skin_tone": ("light", "medium", "brown", "dark")},
        untouched="text_search",
    ),
    Corpus(
        name="occupations",
        requests={"serp": None, "title_search": None},
        attributes={"gender": "gender", "creator": "creator", "occupation": "occupation"},
        surfaces={"serp": "search", "title_search": "search"},
        intent="image",
        # The share of women in the occupation by labour statistics, sent as the request's own target.
        target=("target_p_women", "gender", ("woman", "man")),
        orders={"gender": ("woman", "man")},
    ),
    Corpus(
        name="books",
        requests={"user_home": 220, "more_like_this": 40, "text_search": 40},
        attributes={
            "creator": "creator",
            "creators": "creators",
            "genre": "genres",
            "primary_genre": "primary_genre",
            "language": "language",
            "decade": "decade",
            "popularity_tier": "popularity_tier",
        },
        surfaces={"user_home": "home", "more_like_this": "related", "text_search": "search"},
        intent="books",
        orders={"popularity_tier": ("head", "mid", "tail")},
    ),
)


def main() -> None:
    """Build every corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder that holds shades/, occupations/, books/ and arrivals/")
    source = parser.parse_args().source
    for corpus in CORPORA:
        build(corpus, source / corpus.name, HERE / corpus.name)
    build_arrivals(source / "arrivals" / "arrivals.parquet", HERE / "arrivals" / "azure_llm_2023.npz")


def build(corpus: Corpus, source: Path, target: Path) -> None:
    """Write one corpus: its catalog, its requests, and what was asked in words."""
    items: list[Row] = pyarrow.parquet.read_table(source / "items.parquet").to_pylist()
    requests = chosen(corpus, pyarrow.parquet.read_table(source / "requests_dev.parquet").to_pylist())
    needed = sorted({row for request in requests for row in request["candidates"]})
    target.mkdir(exist_ok=True)
    write_catalog(corpus, [items[row] for row in needed], target / "catalog.npz")
    requestlog.write(target / "requests.rlog.gz", [record(corpus, request, items) for request in requests])
    write_words(requests, items, target / "words.json")
    if corpus.untouched:
        of_kind = [request for request in requests if request["kind"] == corpus.untouched]
        write_untouched(of_kind, source / "embeddings_384.parquet", target / "embeddings_384.npz")
    size = sum(path.stat().st_size for path in target.iterdir())
    print(f"{corpus.name}: {len(needed)} of {len(items)} items, {len(requests)} requests, {size / 1e6:.2f} MB")


def build_arrivals(source: Path, target: Path) -> None:
    """Arrival times of two services, as the milliseconds between one request and the next: gaps compress best."""
    table = pyarrow.parquet.read_table(source, columns=["trace", "t_ms"]).to_pydict()
    gaps = {}
    for name, trace in TRACES.items():
        times = sorted(time for time, of in zip(table["t_ms"], table["trace"], strict=True) if of == trace)
        gaps[f"{name}.gaps_ms"] = np.diff(times, prepend=0).astype(np.int32)
    target.parent.mkdir(exist_ok=True)
    np.savez_compressed(target, allow_pickle=False, **gaps)
    print(f"arrivals: {sum(map(len, gaps.values()))} requests, {target.stat().st_size / 1e6:.2f} MB")


def chosen(corpus: Corpus, requests: Sequence[Row]) -> list[Row]:
    """The requests to keep, in source order; a hash of the id draws them, so nobody can have picked pretty ones."""
    keep: set[str] = set()
    for kind, count in corpus.requests.items():
        ids = [request["request_id"] for request in requests if request["kind"] == kind]
        keep.update(sorted(ids, key=lambda name: hashlib.sha256(name.encode()).digest())[:count])
    return [request for request in requests if request["request_id"] in keep]


def record(corpus: Corpus, request: Row, items: Sequence[Row]) -> RequestLog:
    """One request as a pipeline sends it, without the columns that the catalog holds."""
    log = RequestLog()
    log.metadata.origin = corpus.name
    log.metadata.kind = request["kind"]
    message = log.request
    message.request_id = request["request_id"]
    message.slate_size = 10
    message.candidates.item_ids.extend(items[row]["item_id"] for row in request["candidates"])
    message.candidates.scores.extend(request["scores"])
    message.context.surface = corpus.surfaces[request["kind"]]
    message.context.intent = corpus.intent
    if corpus.target is not None:
        column, attribute, (value, other) = corpus.target
        share = request[column]
        if share is not None and not np.isnan(share):
            targets = message.context.targets.add(attribute=attribute)
            exact = round(float(share), 6)  # the source is float32: 0.555, not 0.5550000071525574
            targets.shares.add(value=value, share=exact)
            targets.shares.add(value=other, share=round(1.0 - exact, 6))
    return log


def write_catalog(corpus: Corpus, items: Sequence[Row], path: Path) -> None:
    """One `.npz` of plain arrays: no pickles, so numpy alone reads it."""
    columns: dict[str, NDArray[Any]] = {
        "ids": np.array([item["item_id"] for item in items]),
        "titles": np.array([item["title"] for item in items]),
        "embeddings": np.array([item["embedding"] for item in items], dtype=np.float16),
    }
    for attribute, source in corpus.attributes.items():
        data = [item[source] for item in items]
        for part, array in coded(data, corpus.orders.get(attribute, ())).items():
            columns[f"attribute.{attribute}.{part}"] = array
    np.savez_compressed(path, allow_pickle=False, **columns)


def coded(data: Sequence[Any], order: Sequence[str]) -> dict[str, NDArray[Any]]:
    """A column as the wire has it: distinct values, code 0 = unknown and c = values[c - 1], offsets when lists."""
    several = any(isinstance(entry, list) for entry in data)
    # The source names an author twice where a book has him in two roles; an item carries a value or it does not.
    rows = [list(dict.fromkeys(map(str, entry or ()))) if several else texts(entry) for entry in data]
    values = list(order) or sorted({value for row in rows for value in row}, key=lambda text: (len(text), text))
    code = {value: index + 1 for index, value in enumerate(values)}
    parts: dict[str, NDArray[Any]] = {"values": np.array(values, dtype=str)}
    if several:
        parts["codes"] = np.array([code[value] for row in rows for value in row], dtype=np.uint32)
        parts["offsets"] = np.cumsum([0, *(len(row) for row in rows)], dtype=np.uint32)
    else:
        parts["codes"] = np.array([code[row[0]] if row else 0 for row in rows], dtype=np.uint32)
    return parts


def write_untouched(requests: Sequence[Row], source: Path, path: Path) -> None:
    """The sentence embeddings before their PCA, float16, of the first request of 1,000 candidates, in its order."""
    request = next(request for request in requests if len(request["candidates"]) == 1000)
    vectors = pyarrow.parquet.read_table(source, columns=["embedding"])["embedding"].combine_chunks()
    matrix = vectors.flatten().to_numpy().reshape(len(vectors), -1)[list(request["candidates"])]
    name = np.array(request["request_id"])
    np.savez_compressed(path, allow_pickle=False, request_id=name, embeddings=matrix.astype(np.float16, copy=False))


def texts(entry: Any) -> list[str]:
    """One value as text, or nothing when it is unknown."""
    return [] if entry is None else [str(entry)]


def write_words(requests: Sequence[Row], items: Sequence[Row], path: Path) -> None:
    """What was asked, for people to read, and which items the user rated highly later on, where that is known."""
    words: dict[str, dict[str, Any]] = {}
    for request in requests:
        words[request["request_id"]] = entry = {"query": request["query"] or ""}
        if request["relevant"] is not None:
            entry["relevant"] = [items[row]["item_id"] for row in request["relevant"]]
            entry["relevant_total"] = int(request["n_relevant_total"])
    path.write_text(json.dumps(words, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
