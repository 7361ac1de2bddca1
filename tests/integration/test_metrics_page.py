"""What Prometheus gets from a server that was used well and badly: sound text, and no series more for whoever tries."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed

from loadtest.servers.valkey import free_port
from reranker import Policy
from reranker.client import from_columns
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from tests.integration.test_access import token_file
from tests.waiting import wait_for

POLICY = """
name = "served"
[[quotas]]
attribute = "tone"
min_count = { dark = 3 }
[[quotas]]
attribute = "maker"
min_count = { alone = 1 }
"""
TOKENS = {
    "mine": ("search", "rerank,policies", None),
    "other": ("feed", "rerank", None),
}
OURS = re.compile(r"reranker_[a-z0-9_]+|grpc_server_[a-z_]+")
DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "policies").mkdir()
    (folder / "policies" / "served.toml").write_text(POLICY)
    (folder / "tokens.toml").write_text(token_file(**TOKENS))
    settings = Settings(
        listen="127.0.0.1:0",
        admin="127.0.0.1:0",
        policies=folder / "policies",
        token_file=folder / "tokens.toml",
        measure_every=1,
        grace=1.0,
    )
    running = Server(settings)
    running.warm_up()
    use(running, "first")
    yield running
    running.drain()


def use(server: Server, word: str) -> None:
    """Requests of all kinds, in which everything that a caller may name is called something with `word`."""
    tones = ["dark", "light", f"tone-{word}"] * 4
    columns = {"tone": tones, f"attribute-{word}": [f"value-{word}"] * 12}
    candidates = from_columns([f"{word}-{i}" for i in range(12)], np.linspace(1, 0, 12), np.eye(12), columns)
    ours = messages.RerankRequest(request_id=word, candidates=candidates, slate_size=4, policy_name="served")
    unknown = messages.RerankRequest(candidates=candidates, slate_size=4, policy_name=f"policy-{word}")
    inline, usurper = (messages.RerankRequest(candidates=candidates, slate_size=4) for _ in range(2))
    quota = {"attribute": f"attribute-{word}", "min_count": {f"nobody-{word}": 2}}
    inline.inline_policy.CopyFrom(Policy.from_dict({"name": f"policy-{word}", "quotas": [quota]}).to_proto())
    usurper.inline_policy.CopyFrom(Policy.from_dict({"name": "served", "quotas": [quota]}).to_proto())
    plain = word.encode("ascii", "replace").decode()
    token = [("authorization", "Bearer mine")]
    with grpc.insecure_channel(server.address) as channel:
        stub = RerankerServiceStub(channel)
        for request in (ours, unknown, inline, usurper):
            with contextlib.suppress(grpc.RpcError):
                stub.Rerank(request, timeout=20, metadata=token)
        for metadata in ([("authorization", f"Bearer {plain}")], [*token, ("x-tenant-id", plain)]):
            with pytest.raises(grpc.RpcError):
                stub.Rerank(ours, timeout=20, metadata=metadata)
        with pytest.raises(grpc.RpcError):
            stub.GetPolicy(messages.GetPolicyRequest(name=word), timeout=20, metadata=token)
        call: Any = channel.unary_unary(f"/reranker.v1.RerankerService/{plain}")
        with pytest.raises(grpc.RpcError):
            call(b"", timeout=20, metadata=token)
    end = time.monotonic() + 60
    while page(server, "reranker_after_answer_queue")["reranker_after_answer_queue"] > 0 and time.monotonic() < end:
        time.sleep(0.01)


def text(server: Server, accept: str = "text/plain") -> str:
    request = urllib.request.Request(f"http://{server.admin_address}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(answer.read().decode())


def families(server: Server) -> dict[str, Metric]:
    return {family.name: family for family in parsed(text(server))}


def page(server: Server, prefix: str) -> dict[str, float]:
    """Sums over all series, by sample name."""
    sums: dict[str, float] = {}
    for family in families(server).values():
        for sample in family.samples:
            if sample.name.startswith(prefix):
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


def series(server: Server) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in families(server).values()
        for sample in family.samples
    }


def test_whatever_callers_name_makes_no_series(server: Server) -> None:
    before = series(server)
    hostile = ("second", "x" * 80, 'quote"brace}', "back\\slash", "été-☃")
    for word in hostile:
        use(server, word)
    assert series(server) == before
    assert not any(word in str(before) for word in ("first", "attribute-", "nobody", "mine"))


def test_what_slates_fall_short_of_is_counted_by_the_names_of_policies_that_serve(server: Server) -> None:
    value = server._metrics.registry.get_sample_value
    maker = {"policy": "served", "attribute": "maker"}
    slates = value("reranker_slates_total", {"policy": "served", "status": "SUPPLY_LIMITED", "arm": ""})
    assert slates
    assert value("reranker_quota_deficit_total", maker) == slates - foreign(server)
    assert value("reranker_over_fetch_hint_total", maker) == value("reranker_quota_deficit_total", maker)
    assert value("reranker_label_candidates_total", {**maker, "labelled": "yes"}) == 0.0
    tone = {"policy": "served", "attribute": "tone", "labelled": "yes"}
    assert value("reranker_label_candidates_total", tone) == 12.0 * (slates - foreign(server))
    assert value("reranker_quota_deficit_total", {"policy": "other", "attribute": "other"})


def foreign(server: Server) -> float:
    """Slates under a policy that was sent along in the name of one that serves."""
    found = server._metrics.registry.get_sample_value(
        "reranker_quota_deficit_total", {"policy": "served", "attribute": "other"}
    )
    return (found or 0.0) / 2


def test_slates_are_measured_after_the_answer(server: Server) -> None:
    value = server._metrics.registry.get_sample_value
    for order in ("before", "after"):
        labels = {"policy": "served", "order": order}
        assert value("reranker_slate_measure_count", {**labels, "measure": "ndcg"})
        assert value("reranker_group_measure_count", {**labels, "attribute": "tone", "measure": "div"})
    coverage = {"policy": "served", "attribute": "tone", "order": "after", "measure": "label_coverage"}
    assert value("reranker_group_measure_sum", coverage) == value("reranker_group_measure_count", coverage)


def test_the_page_parses_and_every_metric_of_ours_is_explained(server: Server) -> None:
    found = families(server)
    assert all(family.documentation for family in found.values())
    assert all(name.startswith(("reranker_", "grpc_server_", "process_", "python_")) for name in found)
    openmetrics = text(server, "application/openmetrics-text; version=1.0.0")
    read: Any = parsed_openmetrics  # carries no types
    assert {family.name for family in read(openmetrics)} >= {"reranker_slates", "reranker_slate_measure"}


def tool(name: str) -> str:
    """Where a program of Prometheus is."""
    found = os.environ.get(name.upper()) or shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name} on the PATH nor in {name.upper()}; Debian's package is prometheus")
    return found


def promtool(*arguments: str, data: str = "") -> subprocess.CompletedProcess[str]:
    command = [tool("promtool"), *arguments]
    return subprocess.run(command, input=data, capture_output=True, text=True, timeout=60, check=False)


def test_promtool_finds_nothing_wrong_with_the_page(server: Server) -> None:
    done = promtool("check", "metrics", data=text(server))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_promtool_finds_nothing_wrong_with_the_alerts() -> None:
    done = promtool("check", "rules", str(DEPLOY / "prometheus" / "alerts.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("test", "rules", str(DEPLOY / "prometheus" / "alerts_test.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def prometheus(server: Server, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """A real Prometheus that scrapes the server as `deploy` says, only more often: what its API says of a path."""
    program, port = tool("prometheus"), free_port()
    deployed = (DEPLOY / "prometheus" / "prometheus.yaml").read_text()
    for written, here in (("127.0.0.1:9090", server.admin_address), ("15s", "1s")):
        assert written in deployed
        deployed = deployed.replace(written, here)
    (tmp_path / "prometheus.yaml").write_text(deployed)
    shutil.copy(DEPLOY / "prometheus" / "alerts.yaml", tmp_path)
    command = [program, f"--config.file={tmp_path / 'prometheus.yaml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")

    def ask(path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=20) as answer:
            return json.load(answer)["data"]

    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield ask
        finally:
            process.terminate()
            process.wait(20)


def test_a_real_prometheus_scrapes_it_and_evaluates_the_rules(prometheus: Callable[[str], Any]) -> None:
    def samples(query: str) -> list[float]:
        found = prometheus("query?" + urllib.parse.urlencode({"query": query}))["result"]
        return [float(sample["value"][1]) for sample in found]

    def answers(query: str) -> bool:
        with contextlib.suppress(OSError):  # it comes up
            return any(samples(query))
        return False

    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus("rules")["groups"] for rule in group["rules"]]

    wait_for(lambda: answers('up{job="reranker"} == 1'), 60)
    (target,) = prometheus("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert samples("reranker_ready") == [1.0]
    assert samples('sum(grpc_server_handled_total{grpc_method="Rerank", grpc_code="OK"})') > [0.0]
    assert samples('sum(reranker_slates_total{policy="served"})') > [0.0]
    assert samples('histogram_quantile(0.5, sum by (le) (reranker_stage_seconds_bucket{stage="select"}))') > [0.0]
    wait_for(lambda: all(rule["health"] == "ok" for rule in rules()), 60)
    written = re.findall(r"- alert: (\w+)", (DEPLOY / "prometheus" / "alerts.yaml").read_text())
    assert sorted(rule["name"] for rule in rules()) == sorted(written)
    assert [rule["name"] for rule in rules() if rule["state"] == "firing"] == []


@pytest.mark.parametrize("name", ["prometheus/alerts.yaml", "grafana/reranker.json"])
def test_what_is_deployed_names_only_metrics_that_exist(server: Server, name: str) -> None:
    found = families(server)
    known = {sample.name for family in found.values() for sample in family.samples}
    # Families without a series yet have no samples; the last two come with several workers only.
    known |= {f"{family.name}_total" if family.type == "counter" else family.name for family in found.values()}
    known |= {"reranker_worker_up", "reranker_worker_restarts_total"}
    used = set(OURS.findall((DEPLOY / name).read_text()))
    assert used
    assert used <= known
