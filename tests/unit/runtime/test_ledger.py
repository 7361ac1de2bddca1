"""The thread that looks at the exposure ledger: what it tells while the ledger comes, goes and comes back."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from reranker import Policy
from reranker.exposure.ledger import Changes, LedgerUnavailable, Position
from reranker.exposure.receipt import make_receipt
from reranker.exposure.sqlite import SqliteLedger
from reranker.exposure.tally import Served, TallyKey
from reranker.observability.logs import LOGGER
from reranker.observability.metrics import Metrics
from reranker.runtime.ledger import LedgerWatch, OpenLedger, TemporaryFolder

POLICY = Policy.from_toml("""
name = "steered"
[[exposure]]
attribute = "tone"
target = { a = 0.75, b = 0.25 }
half_life = "7d"
min_count = 3
[[exposure]]
attribute = "health"
target = { x = 0.5, y = 0.5 }
min_count = 1
[labels.health]
values = ["x", "y"]
sensitive = true
""")


class Moody(SqliteLedger):
    """A ledger that can be told to be away."""

    away = False

    def changes(self, since: Position, seconds: float) -> Changes:
        if self.away:
            raise LedgerUnavailable("busy")
        return super().changes(since, seconds)


def served(attribute: str, surface: str, values: Sequence[str], half_life: float) -> Served:
    shares = {"a": 0.75, "b": 0.25} if attribute == "tone" else {}
    key = TallyKey(surface, "steered", "", attribute)
    return Served(key, half_life, 0, tuple((value,) for value in values), (1.0,) * len(values), shares, {})


@pytest.fixture
def ledger(tmp_path: Path) -> Moody:
    return Moody(tmp_path)


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"reranker_exposure_{name}", labels)


def test_groups_that_the_policy_names_are_shown_when_they_are_large_enough(ledger: Moody) -> None:
    metrics = Metrics()
    watch = LedgerWatch(OpenLedger(ledger), metrics, lambda: [POLICY])
    now = time.time()
    parts = [
        served("tone", "search", "aac", 604_800.0),
        served("tone", "home", "aab", 604_800.0),
        served("health", "search", "xxx", 86_400.0),
    ]
    ledger.record([make_receipt(str(number), now, [part]) for number, part in enumerate(parts)], 60.0)
    watch.look()
    named = {"policy": "steered", "arm": "", "attribute": "tone"}
    share = sample(metrics, "share", value="a", **named)
    assert share == pytest.approx(2 * (1 + 0.6309) / (2 * (1 + 0.6309 + 0.5)), abs=1e-3)
    assert sample(metrics, "target_share", value="a", **named) == pytest.approx(0.75, abs=1e-5)
    assert sample(metrics, "share", value="b", **named) is None  # one item
    assert sample(metrics, "share", value="c", **named) is None  # a value that the policy does not name
    health = {"policy": "steered", "arm": "", "attribute": "health"}
    assert sample(metrics, "share", value="x", **health) is None  # sensitive
    assert sample(metrics, "streams") == 3
    watch.close()


def test_a_ledger_that_is_away_is_said_once_and_its_view_grows_old(
    ledger: Moody, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LOGGER, "propagate", True)  # a server in this process has turned it off
    metrics = Metrics()
    watch = LedgerWatch(OpenLedger(ledger), metrics, lambda: [POLICY])
    assert sample(metrics, "snapshot_age_seconds") == float("inf")
    watch.look()
    ledger.away = True
    with caplog.at_level(logging.INFO, "reranker"):
        for _ in range(3):
            watch.look()
        age = sample(metrics, "snapshot_age_seconds")
        assert age is not None
        assert age < (sample(metrics, "snapshot_age_seconds") or 0.0)
        ledger.away = False
        watch.look()
    assert [record.message for record in caplog.records] == [
        "the exposure ledger cannot be read",
        "the exposure ledger is read again",
    ]
    assert sample(metrics, "failures_total", operation="read", reason="busy") == 3
    watch.close()


def test_a_temporary_folder_can_be_closed_twice() -> None:
    folder = TemporaryFolder()
    assert folder.path.is_dir()
    folder.close()
    folder.close()
    assert not folder.path.exists()


def test_a_folder_that_a_killed_process_left_is_deleted_and_one_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ours = TemporaryFolder()
    # A supervisor that is killed while its fork lives on until its standard input ends.
    code = (
        "import os, signal, sys; from reranker.runtime.ledger import TemporaryFolder; folder = TemporaryFolder()\n"
        "if os.fork(): os.kill(os.getpid(), signal.SIGKILL)\n"
        "print(folder.path, flush=True); sys.stdin.read()"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert killed.stdin is not None
    assert killed.stdout is not None
    with killed.stdin, killed.stdout:
        theirs = Path(killed.stdout.readline().strip())
        assert killed.wait(60) == -signal.SIGKILL
        TemporaryFolder().close()
        assert theirs.is_dir()
        killed.stdin.close()
        assert not killed.stdout.read()  # the fork has ended
    end = time.monotonic() + 60
    while theirs.exists() and time.monotonic() < end:
        TemporaryFolder().close()
    assert list(tmp_path.iterdir()) == [ours.path]
    ours.close()
    assert not list(tmp_path.iterdir())
