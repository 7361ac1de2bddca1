"""What variety costs: every strategy across its knob on two real corpora, beside pyversity's; `make frontier`.

Relevance is what the slate of ten keeps of the upstream top's score mass and, for books, of what the reader rated
highly later on. Variety is the mean pairwise distance 1 - cosine, and how many genres or skin tones are on the slate.
Where the peer has the strategy, its variety is compared with ours at the same relevance, read off our curve; once with
our own normalisation of scores, and once with the peer's, so that what the two do differently can be told apart.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.inputs import Work
from benchmarks.ours import Setting
from benchmarks.peers.greedy import library
from examples.catalog import Corpus
from reranker import Candidates, Policy, rerank
from reranker.engine import warm_up
from reranker.measures.distance import intra_list_distances
from reranker.strategies import STRATEGIES

RESULTS = Path(__file__).parent / "results"
KNOB = (0.0, 0.25, 0.5, 0.75, 1.0)
FINE = tuple(i / 20 for i in range(21))
SIZE = 10
SCORES = {"mmr": "none", "msd": "none", "dpp": "zscore", "cover": "none", "ssd": "zscore"}  # as the peer takes them
CORPORA = (("books", "user_home", "genre", 120), ("shades", "text_search", "skin_tone", 120))


@dataclass(frozen=True, eq=False)
class Request:
    """One list: candidates, its aspects' codes by candidate, and who was rated highly later (None: not known)."""

    candidates: Candidates
    aspects: list[list[str]]
    liked: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Point:
    """Means over requests at one setting of the knob."""

    retained: float
    liked: float | None
    distance: float
    aspects: float


def main() -> int:
    """Print both tables and write the JSON that the figures are drawn from."""
    warm_up()
    written: dict[str, Any] = {}
    for corpus, kind, attribute, most in CORPORA:
        requests = list(read(corpus, kind, attribute, most))
        print(f"\n{corpus} {kind}: {len(requests)} requests, slates of {SIZE}; variety by distance and by {attribute}")
        written[corpus] = _table(requests, attribute)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "frontier.json").write_text(json.dumps(written, indent=1) + "\n")
    return 0


def read(name: str, kind: str, attribute: str, most: int) -> Iterator[Request]:
    """Every request of the kind that offers a choice, up to `most` of them, evenly drawn."""
    corpus = Corpus(name)
    records = [record for record in corpus.records(kind) if len(record.request.candidates.item_ids) > SIZE]
    for record in records[:: max(1, len(records) // most)][:most]:
        ids = list(record.request.candidates.item_ids)
        rows = corpus.rows(record.request)
        aspects = [corpus.attributes[attribute].of(int(row)) for row in rows]
        scores = np.array(record.request.candidates.scores)
        candidates = Candidates(ids, scores, corpus.embeddings[rows].astype(np.float32), {attribute: aspects})
        relevant = corpus.words[record.request.request_id].get("relevant")
        liked = np.isin(ids, [str(item) for item in relevant]) if isinstance(relevant, list) else None
        yield Request(candidates, aspects, liked)


def _table(requests: list[Request], attribute: str) -> dict[str, Any]:
    ours_head = f"{'strategy':<13}{'knob':>5}{'kept':>8}{'liked':>8}{'distance':>10}{'aspects':>9}"
    peer_head = f"   {'peer: kept':>10}{'liked':>8}{'distance':>10}{'aspects':>9}{'ours more':>11}{'its scores':>12}"
    print(ours_head + peer_head)
    found: dict[str, Any] = {}
    for strategy in sorted(set(STRATEGIES) - {"relevance"}):
        curve = {knob: measured(requests, ours(strategy, attribute, knob)) for knob in FINE}
        found[strategy] = {"ours": [{"knob": knob, **point.__dict__} for knob, point in curve.items()], "peer": []}
        alike: list[Point] = []
        if strategy in SCORES:
            alike = [measured(requests, ours(strategy, attribute, knob, SCORES[strategy])) for knob in FINE]
        for knob in KNOB:
            beside = ""
            if strategy in SCORES:
                peer = measured(requests, theirs(strategy, knob))
                gaps = _gap(list(curve.values()), peer), _gap(alike, peer)
                found[strategy]["peer"].append({"knob": knob, **peer.__dict__, "ours_more": gaps[0]})
                beside = f"   {_cells(peer)[2:]}{_signed(gaps[0]):>11}{_signed(gaps[1]):>12}"
            print(f"{strategy:<13}{knob:>5}{_cells(curve[knob])}{beside}", flush=True)
    return found


def _signed(gap: float | None) -> str:
    return "beyond" if gap is None else f"{gap:+.4f}"


def _cells(point: Point) -> str:
    liked = "" if point.liked is None else f"{point.liked:.3f}"
    return f"{point.retained:>8.3f}{liked:>8}{point.distance:>10.4f}{point.aspects:>9.2f}"


def _gap(curve: list[Point], peer: Point) -> float | None:
    """Our distance less the peer's at its relevance; None when our knob does not reach that relevance."""
    ordered = sorted(curve, key=lambda point: point.retained)
    kept = np.array([point.retained for point in ordered])
    if not kept[0] - 1e-9 <= peer.retained <= kept[-1] + 1e-9:
        return None
    # The best that our knob has to offer at this relevance or more: a policy's owner would take that one.
    best = np.maximum.accumulate(np.array([point.distance for point in ordered])[::-1])[::-1]
    return float(np.interp(peer.retained, kept, best)) - peer.distance


def measured(requests: list[Request], select: Callable[[Request], list[int]]) -> Point:
    """Means over the requests of one selection."""
    kept, liked, distance, aspects = [], [], [], []
    for request in requests:
        picks = select(request)
        scores = np.maximum(request.candidates.scores, 0.0)
        top = np.sort(scores)[::-1][: len(picks)].sum()
        kept.append(scores[picks].sum() / top if top > 0 else 1.0)
        if request.liked is not None and request.liked.any():
            liked.append(request.liked[picks].sum() / min(SIZE, request.liked.sum()))
        embedding = request.candidates.embeddings[""]
        mean, _ = intra_list_distances(embedding.matrix, embedding.norms, np.array(picks))
        distance.append(mean or 0.0)
        aspects.append(len({value for pick in picks for value in request.aspects[pick]}))
    return Point(
        float(np.mean(kept)),
        float(np.mean(liked)) if liked else None,
        float(np.mean(distance)),
        float(np.mean(aspects)),
    )


def ours(strategy: str, attribute: str, knob: float, scores: str = "auto") -> Callable[[Request], list[int]]:
    """Our slate at one setting."""
    objective = {"strategy": strategy, "diversity": knob, "score_normalisation": scores}
    words: dict[str, Any] = {"name": "frontier", "objective": objective}
    if strategy == "calibrated":
        words["calibration"] = {"attribute": attribute, "target": "pool"}
    policy = Policy.from_dict(words)
    return lambda request: rerank(request.candidates, policy, SIZE).positions.tolist()


def theirs(strategy: str, knob: float) -> Callable[[Request], list[int]]:
    """The peer's slate at the same setting."""
    setting = Setting(strategy, knob)

    def select(request: Request) -> list[int]:
        scores = request.candidates.scores
        work = Work("", request.candidates.embeddings[""].matrix, scores, [], SIZE)
        return list(library(work, setting)())

    return select


if __name__ == "__main__":
    sys.exit(main())
