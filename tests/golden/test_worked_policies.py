"""The worked policies on real lists: how often they hold and what they cost, as their comments say."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from statistics import fmean

import pytest

from reranker.candidates import AttributeColumn
from reranker.engine import Outlook, rerank, rerank_traced
from reranker.exposure.memory import MemoryBoard
from reranker.policy import Policy
from reranker.slate import OutcomeStatus, SlateStatus
from tests.golden.recorded import recorded
from tests.golden.worked import POLICIES, WORKED, Worked

pytestmark = pytest.mark.slow  # under coverage: full-size lists with kernels as plain Python

TONES = ("light", "medium", "brown", "dark")
# Share of lists on which every hard bound holds, and the mean share of relevance that is kept.
EXPECTED = {
    "skin-tone-range": (0.912, 0.974),
    "inclusive-search": (0.844, 0.924),
    "hair-pattern": (0.643, 0.976),
    "body-type": (0.530, 0.939),
    "occupation-balance": (0.988, 0.971),
    "occupation-statistics": (1.0, 0.994),
    "generated-images": (0.985, 0.935),
    "creator-cap": (1.0, 0.976),
    "home-mix": (0.782, 0.914),
    "reading-rhythm": (1.0, 0.962),
    "genre-mix": (1.0, 0.905),
    "brand-and-price": (1.0, 0.961),
    "tone-exposure": (0.909, 0.942),
    "ad-slots": (0.890, 0.754),
}


def test_every_worked_policy_is_tried() -> None:
    assert {path.stem for path in POLICIES.glob("*.toml")} == {*EXPECTED, "default", "routes"}
    assert [worked.name for worked in WORKED] == list(EXPECTED)


@pytest.mark.parametrize("worked", WORKED, ids=lambda worked: worked.name)
def test_it_holds_as_often_and_costs_as_much_as_it_says(worked: Worked) -> None:
    policy = worked.policy
    statuses: Counter[SlateStatus] = Counter()
    kept = []
    for candidates, context in worked.requests():
        slate = rerank(candidates, policy, worked.slots, context=context)
        assert len(set(slate.positions.tolist())) == min(worked.slots, len(candidates))
        for slot, item in context.fixed.items():
            assert slate.ids[slot - 1] == item
        assert all(o.reason is not None for o in slate.report.quotas if o.status is not OutcomeStatus.MET)
        statuses[slate.report.status] += 1
        if slate.report.relevance_retained is not None:
            kept.append(slate.report.relevance_retained)
    held, retained = EXPECTED[worked.name]
    print(worked.name, statuses, fmean(kept))
    assert statuses[SlateStatus.SATISFIED] / statuses.total() == pytest.approx(held, abs=0.005)
    assert fmean(kept) == pytest.approx(retained, abs=0.002)
    assert statuses[SlateStatus.RELAXED_MINIMAL] + statuses[SlateStatus.RELAXED_BEST_EFFORT] <= 0.02 * statuses.total()


def test_both_ceilings_are_reached_and_the_guard_saves_relevance() -> None:
    """Every skin tone in the first ten of shade search, with a guard at half of the best score and without."""
    each = {"attribute": "skin_tone", "at_least_one_of_each": True, "values": list(TONES), "within": 10}
    words = {"objective": {"strategy": "relevance"}, "quotas": [each]}
    found: dict[str, list[float]] = {}
    for name, guard in (("free", {}), ("guarded", {"guard": {"min_share_of_best": 0.5}})):
        policy = Policy.from_dict({**words, **guard})
        for request in recorded("shades", "text_search"):
            slate = rerank(request.candidates, policy, 10)
            after = slate.report.measures.after.groups["skin_tone"]
            ceiling = after.div_ceiling if name == "free" else after.div_ceiling_guarded
            assert after.div == ceiling, request.id
            found.setdefault(f"{name} div", []).append(after.div or 0.0)
            found.setdefault(f"{name} kept", []).append(slate.report.relevance_retained or 1.0)
    means = {key: fmean(values) for key, values in found.items()}
    expected = {"free div": 0.9124, "free kept": 0.9735, "guarded div": 0.5705, "guarded kept": 0.9921}
    assert means == pytest.approx(expected, abs=0.0005)


def test_spacing_decay_and_signals_change_what_follows_what() -> None:
    """The numbers in reading-rhythm's comment: neighbours by one author a page, and genres that neighbours share."""
    (worked,) = (worked for worked in WORKED if worked.name == "reading-rhythm")
    upstream = Policy.from_dict({"objective": {"strategy": "relevance"}})
    found: dict[str, list[float]] = {}
    for candidates, context in worked.requests():
        creator, genre = candidates.attributes["creator"], candidates.attributes["genre"]
        for name, policy in (("upstream", upstream), ("served", worked.policy)):
            positions = rerank(candidates, policy, worked.slots, context=context).positions.tolist()
            authors = creator.codes[positions]
            found.setdefault(f"{name} authors", []).append(
                float(((authors[1:] == authors[:-1]) & (authors[1:] > 0)).sum())
            )
            shelves = [set(values_of(genre, position)) for position in positions]
            shared = [len(a & b) / max(1, len(a | b)) for a, b in pairwise(shelves)]
            found.setdefault(f"{name} genres", []).append(fmean(shared))
    means = {key: fmean(values) for key, values in found.items()}
    expected = {"upstream authors": 0.8, "served authors": 0.005, "upstream genres": 0.363, "served genres": 0.234}
    assert means == pytest.approx(expected, abs=0.005)


def values_of(column: AttributeColumn, item: int) -> list[int]:
    if column.offsets is None:
        return [code for code in column.codes[item : item + 1].tolist() if code]
    codes: list[int] = column.codes[column.offsets[item] : column.offsets[item + 1]].tolist()
    return codes


def share_of_women(candidates: list[str | None]) -> float | None:
    known = [label for label in candidates if label]
    return known.count("woman") / len(known) if known else None


def test_a_target_from_the_request_is_nearer_to_the_statistics_than_the_pool() -> None:
    (worked,) = (worked for worked in WORKED if worked.name == "occupation-statistics")
    distance: dict[str, list[float]] = {"upstream": [], "request": [], "pool": []}
    for candidates, context in worked.requests():
        if not context.targets:
            continue
        column = candidates.attributes["gender"]
        labels = [column.values[code - 1] if code else None for code in column.codes.tolist()]
        wanted = context.targets["gender"]["woman"]
        pages = {"upstream": Policy.from_dict({"objective": {"strategy": "relevance"}})}
        for source in ("request", "pool"):
            quota = {"attribute": "gender", "target": source, "tolerance": 0.05}
            pages[source] = Policy.from_dict({"objective": {"strategy": "relevance"}, "quotas": [quota]})
        for name, policy in pages.items():
            slate = rerank(candidates, policy, 10, context=context)
            assert slate.report.status is SlateStatus.SATISFIED
            share = share_of_women([labels[position] for position in slate.positions])
            if share is not None:
                distance[name].append(abs(share - wanted))
    means = {name: fmean(found) for name, found in distance.items()}
    assert means == pytest.approx({"upstream": 0.213, "request": 0.080, "pool": 0.176}, abs=0.003)


def test_exposure_converges_over_a_day_of_searches() -> None:
    """What tone-exposure's comment says of a ledger: near the target, and at next to no cost."""
    (worked,) = (worked for worked in WORKED if worked.name == "tone-exposure")
    time, kept = [0.0], []
    board = MemoryBoard(lambda: time[0])
    requests = list(worked.requests())
    for candidates, context in requests * 2:
        time[0] += 10.0
        slate, trace = rerank_traced(candidates, worked.policy, worked.slots, context=context, outlook=Outlook(board))
        assert slate.report.status in (SlateStatus.SATISFIED, SlateStatus.SUPPLY_LIMITED)
        kept.append(slate.report.relevance_retained or 1.0)
        board.record(trace.exposure)
    tally = board.tally(trace.exposure[0].key, trace.exposure[0].half_life)
    assert tally is not None
    total = sum(group.exposure for group in tally.groups.values())
    shares = {value: group.exposure / total for value, group in tally.groups.items()}
    assert shares == pytest.approx({"light": 0.35, "medium": 0.3, "brown": 0.22, "dark": 0.13}, abs=0.005)
    assert fmean(kept) > 0.995
