"""Each peer does the job that it is timed at; those that are not installed are skipped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import pyversity

from benchmarks import ours, peers, slates
from benchmarks.inputs import SHAPES, Work, best_first, queried, real, real_384, synthetic
from benchmarks.ours import Setting
from benchmarks.peers import quotas
from benchmarks.peers.greedy import LIBRARY, MAPS, greedy_map, library
from benchmarks.peers.optional import optional
from reranker import Policy


@pytest.mark.parametrize("diversity", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(5))
def test_the_plain_map_of_pyversitys_kernel_is_pyversitys_dpp(seed: int, diversity: float) -> None:
    numbers = np.random.default_rng(seed)
    rows, scores = numbers.standard_normal((80, 16)).astype(np.float32), numbers.random(80)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    weights = np.exp((1.0 - diversity) * (scores - scores.mean()) / scores.std())
    kernel = weights[:, None] * (unit @ unit.T).astype(np.float64) * weights
    theirs = pyversity.diversify(rows, scores, 10, pyversity.Strategy.DPP, diversity=diversity)
    assert greedy_map(lambda j: kernel[j], kernel.diagonal(), 10) == theirs.indices.tolist()


def test_the_plain_map_stops_where_the_rank_ends() -> None:
    rows = np.eye(3)[[0, 1, 0, 1, 2, 2]]
    kernel = rows @ rows.T
    assert greedy_map(lambda j: kernel[j], kernel.diagonal(), 6) == [0, 1, 4]
    assert greedy_map(lambda j: kernel[j], kernel.diagonal(), 0) == []


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("diversity", [0.5, 1.0])
@pytest.mark.parametrize(("strategy", "window"), [("dpp", 0), ("ssd", 0), ("ssd", 3), ("mmr", 0), ("cover", 0)])
def test_peers_that_can_be_set_alike_pick_the_same(strategy: str, window: int, diversity: float, shape: str) -> None:
    setting, work = Setting(strategy, diversity, window), best_first(synthetic(shape, 60, 24, 8))
    for name, call in peers.of(work, setting).items():
        alike = peers.alike(work, setting, name)
        assert alike is not None
        words, call_alike = alike
        picks = (call if call_alike is None else call_alike)()
        assert slates.equal(ours.positions(work, setting.policy(**words)), picks) == 1.0, name


def test_who_takes_part() -> None:
    work = synthetic("uniform", 20, 4, 3)
    assert set(peers.of(work, Setting("dpp", 0.5))) == {LIBRARY, *MAPS}
    assert set(peers.of(work, Setting("msd", 0.5))) == {LIBRARY}
    assert peers.alike(work, Setting("msd", 0.5), LIBRARY) is None


def test_a_peer_that_is_missing_is_said_once_and_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert optional("nobody", "no_such_module_at_all", "name") is None
    assert optional("nobody", "no_such_module_at_all", "name") is None
    assert capsys.readouterr().err.count("nobody does not take part") == 1


@pytest.mark.parametrize(("module", "name"), [("langchain_core", "LangChain"), ("qdrant_client", "Qdrant local")])
def test_vector_stores_pick_what_pyversity_picks(module: str, name: str) -> None:
    pytest.importorskip(module)
    work, setting = synthetic("uniform", 60, 12, 6), Setting("mmr", 0.5)
    work = queried(replace(work, embeddings=np.abs(work.embeddings)))  # they do not clip cosines below 0 as it does
    assert list(peers.of(work, setting)[name]()) == list(library(work, setting)())


def test_dppy_draws_slates_of_the_right_size() -> None:
    pytest.importorskip("dppy")
    work = synthetic("uniform", 40, 8, 5)
    found = peers.of(work, Setting("dpp", 0.5, sample=True))
    assert set(found) == {"DPPy", "DPPy, factor"}
    assert all(len(set(call())) == 5 for call in found.values())


def two_groups() -> Work:
    work = synthetic("uniform", 120, 8, 10)
    groups = [quotas.PROTECTED if i % 8 == 0 else quotas.OTHER for i in range(120)]
    return replace(work, groups=groups)


@pytest.mark.parametrize(
    ("module", "shares"),
    [("fairsearchcore", quotas.Shares(0.3, capped=False)), ("aif360", quotas.Shares(0.4, capped=True))],
)
def test_quota_libraries_keep_the_bounds_that_ours_keeps(module: str, shares: quotas.Shares) -> None:
    pytest.importorskip(module)
    work = two_groups()
    policy = Policy.from_dict({"objective": {"strategy": "relevance"}, "quotas": shares.words()})
    picks = ours.positions(work, policy, groups=True).tolist()
    assert shares.broken(work, picks) == 0
    found = quotas.peers(work, shares)
    assert found
    for call in found.values():
        theirs = list(call())
        assert shares.broken(work, theirs) == 0
        assert slates.overlap(picks, theirs) == 1.0


def test_broken_bounds_are_counted() -> None:
    work = two_groups()
    others = [row for row in range(120) if work.groups[row] == quotas.OTHER][:10]
    assert quotas.Shares(0.5, capped=False).broken(work, others) == 9
    assert quotas.Shares(0.0, capped=True).broken(work, [0, *others[:9]]) == 10


def test_slates_are_compared_by_slot_by_item_and_by_worth() -> None:
    work = synthetic("uniform", 20, 4, 3)
    assert slates.equal([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)
    assert slates.equal([1, 2, 3], [1, 2]) == pytest.approx(2 / 3)
    assert slates.overlap([1, 2, 3], [3, 1, 9]) == pytest.approx(2 / 3)
    assert slates.retained(work, np.argsort(-work.scores)[:3]) == pytest.approx(1.0)
    same = replace(work, embeddings=np.ones((20, 4), np.float32))
    assert slates.distance(same, [0, 1, 2]) == pytest.approx(0.0, abs=1e-9)


def test_real_lists_have_the_widths_they_are_named_after() -> None:
    assert real(20).size.split("/")[1:] == ["64", "20"]
    work = real_384(50)
    assert work.size == "1000/384/50"
    np.testing.assert_allclose(np.linalg.norm(work.embeddings, axis=1), 1.0, atol=1e-3)
    asked = queried(work)
    assert asked.query is not None
    first = work.embeddings[7] @ asked.query / np.linalg.norm(asked.query) / np.linalg.norm(work.embeddings[7])
    assert asked.scores[7] == pytest.approx(float(first), abs=1e-5)
