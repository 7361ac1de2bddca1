"""The exposure benchmark at a tiny size: its rules, its account of who was shown, and its figure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import exposure
from benchmarks.exposure_rules import FairCo, Ours, Stateless, Upstream
from benchmarks.exposure_traffic import Account, Traffic, drawn, without
from reranker import Candidates

TARGET = {"x": 0.5, "y": 0.5}


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    """Forty lists in which y is a third of the candidates and scores less."""
    random = np.random.default_rng(2)
    lists = []
    for _ in range(40):
        tones = ["y" if i % 3 == 2 else "x" for i in range(30)]
        scores = random.uniform(0.5, 1.0, 30) - np.array([0.1 if tone == "y" else 0.0 for tone in tones])
        lists.append(Candidates(list(range(30)), scores, None, {"tone": tones}))
    return drawn("made up", lists, "tone", TARGET, 1_200)


def test_an_account_is_of_attention() -> None:
    account = Account(("x", "y"), TARGET)
    candidates = Candidates([1, 2, 3], [3.0, 2.0, 1.0], None, {"tone": ["x", None, "y"]})
    account.add(candidates, "tone", np.array([2, 1, 0], np.int32), np.array([0, 1, 2]))
    assert account.shares() == pytest.approx({"y": 1 / 1.5, "x": 0.5 / 1.5})
    points, relative = account.worst()
    assert (points, relative) == pytest.approx((100 / 6, 1 / 3))
    assert account.peak() == pytest.approx(100 / 6)
    assert account.kept == 1.0
    assert account.series(1)["y"] == [0.6667]


def test_rules_differ_as_they_should(traffic: Traffic) -> None:
    upstream, quota = traffic.run(Upstream("relevance")), traffic.run(Stateless("relevance", traffic))
    fair = traffic.run(FairCo(0.003, traffic))
    accounts = []
    for every in (1, 20):
        with Ours("relevance", traffic, every) as ours:
            accounts.append(traffic.run(ours))
    assert upstream.kept == pytest.approx(1.0)
    assert upstream.worst()[1] > quota.worst()[1] > 0.05
    for account in (fair, *accounts):
        assert account.worst()[1] < 0.05
        assert account.kept > quota.kept


def test_a_value_that_is_away(traffic: Traffic) -> None:
    gone = without(traffic, "y", 100, 200)
    with Ours("relevance", gone, 1) as ours:
        account = gone.run(ours)
    assert not any(given[1] for given in account.given[100:200])
    assert account.since(1_000).worst()[1] < 0.1


def test_the_command_writes_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traffic: Traffic, capsys: pytest.CaptureFixture[str]
) -> None:
    short = replace(traffic, requests=traffic.requests[:150])
    monkeypatch.setattr(exposure, "compared", lambda requests: [(short, ("relevance", "mmr"))])
    monkeypatch.setattr(exposure, "trials", lambda requests: [("by itself", short.run(Upstream("relevance")))])
    output = tmp_path / "exposure.json"
    assert exposure.main(["--output", str(output)]) == 0
    found = json.loads(output.read_text())
    rules = [row["rule"] for row in found["compared"] if row["strategy"] == "relevance"]
    assert rules[0] == "nothing asked"
    assert sum(rule.startswith("FairCo") for rule in rules) == 2
    assert [trial["name"] for trial in found["trials"]] == ["by itself"]
    assert "[[exposure]], read every 50 requests" in capsys.readouterr().out
    pytest.importorskip("matplotlib")
    from benchmarks import exposure_figure

    assert "<svg" in exposure_figure.write(found, tmp_path).read_text()
