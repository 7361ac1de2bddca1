from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import generate_latest

from reranker import Candidates, Context, Policy, rerank
from reranker.observability import Observer
from reranker.observability.metrics import Metrics
from reranker.observability.tenants import MOST


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics()
    made.policies.serve([("served", "abc")])
    return made


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def slate() -> Any:
    policy = Policy.from_toml('name = "served"\n[[quotas]]\nattribute = "tone"\nmin_count = { x = 2 }')
    return rerank(Candidates(["a", "b", "c"], [3, 2, 1], None, {"tone": ["x", None, None]}), policy, 3)


def test_calls_are_counted_by_the_names_that_dashboards_know(metrics: Metrics) -> None:
    labels = {"grpc_service": "reranker.v1.RerankerService", "grpc_method": "Rerank"}
    metrics.call_started("Rerank")
    assert value(metrics, "reranker_calls_in_flight") == 1
    metrics.call_ended("Rerank", "InvalidArgument", 0.004)
    assert value(metrics, "reranker_calls_in_flight") == 0
    assert value(metrics, "grpc_server_started_total", **labels) == 1
    assert value(metrics, "grpc_server_handled_total", grpc_code="InvalidArgument", **labels) == 1
    assert value(metrics, "grpc_server_handling_seconds_sum", **labels) == pytest.approx(0.004)


def test_policies_beyond_those_that_serve_share_one_label(metrics: Metrics) -> None:
    made = slate()
    for policy in ("served", "sent along", "sent along too"):
        metrics.slate_made(policy, 3, made, {"select": 0.001})
    assert value(metrics, "reranker_slates_total", policy="served", status=made.report.status.value, arm="") == 1
    assert value(metrics, "reranker_slates_total", policy="other", status=made.report.status.value, arm="") == 2
    text = generate_latest(metrics.registry).decode()
    assert "sent along" not in text
    assert 'reranker_policy_info{policy="served",revision="abc"} 1.0' in text


def test_outcomes_missing_signals_and_stages_are_counted(metrics: Metrics) -> None:
    made = slate()
    metrics.slate_made("served", 3, made, {"select": 0.001})
    (outcome,) = made.report.quotas
    assert value(metrics, "reranker_quota_outcomes_total", status="BROKEN", reason=outcome.reason.value) == 1
    assert value(metrics, "reranker_missing_signals_total", kind="attribute_value") == 2
    assert value(metrics, "reranker_stage_seconds_count", stage="select") == 1
    assert value(metrics, "reranker_candidates_sum") == 3
    assert value(metrics, "reranker_slate_size_sum") == 3


def test_slates_that_a_late_ledger_steered_are_counted(metrics: Metrics) -> None:
    observer, timely = Observer(metrics), slate()
    observer.slate_made("default", 3, timely, {})
    assert value(metrics, "reranker_degraded_total", reason="exposure") is None
    observer.slate_made("default", 3, replace(timely, report=replace(timely.report, exposure_late=True)), {})
    assert value(metrics, "reranker_degraded_total", reason="exposure") == 1.0


def narrowed() -> Any:
    """A slate that a user narrowed to curly hair, of items that nothing else is called."""
    policy = Policy.from_toml('name = "served"\n[[quotas]]\nattribute = "hair"\nmin_count = { coily = 1 }')
    columns = {"hair": ["curly", "coily", None]}
    candidates = Candidates(["item-4711", "item-4712", "item-4713"], [3, 2, 1], None, columns)
    made = rerank(candidates, policy, 3, context=Context(refinement={"hair": ["curly"]}))
    assert made.ids == ["item-4711"]
    return made


def test_a_refined_request_is_counted_and_never_logged(metrics: Metrics, caplog: pytest.LogCaptureFixture) -> None:
    observer = Observer(metrics, log_every=1)
    with caplog.at_level(logging.DEBUG, logger="reranker"):
        logging.getLogger("reranker").propagate = True
        observer.slate_made("served", 3, narrowed(), {"select": 0.001}, "r-1", refined=True)
        assert not caplog.records
        observer.slate_made("served", 3, slate(), {"select": 0.001}, "r-2")
    assert len(caplog.records) == 1
    assert value(metrics, "reranker_refined_requests_total") == 1
    text = generate_latest(metrics.registry).decode()
    assert not any(word in text for word in ("item-47", "hair", "curly", "coily"))


def test_compilations_are_counted(metrics: Metrics) -> None:
    import numba

    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        pytest.skip("nothing compiles without the JIT")
    before = value(metrics, "reranker_jit_compilations_total")
    assert before is not None
    assert numba.njit(lambda x: x + 1)(1) == 2
    assert value(metrics, "reranker_jit_compilations_total") == before + 1


def test_refusals_are_counted_each_and_logged_once_a_second(metrics: Metrics, caplog: pytest.LogCaptureFixture) -> None:
    observer = Observer(metrics)
    with caplog.at_level(logging.INFO, logger="reranker"):
        logging.getLogger("reranker").propagate = True
        for _ in range(100):
            observer.call_refused("Rerank", "ResourceExhausted", "QUEUE_FULL")
            for code, reason in (
                ("ResourceExhausted", "NO_TIME"),
                ("DeadlineExceeded", "DEADLINE_SPENT"),
                ("ResourceExhausted", "TENANT_LIMIT"),  # in a stream, or of a certificate
            ):
                observer.request_failed("Rerank", code, reason)
        observer.request_failed("RerankStream", "ResourceExhausted", "TOO_MANY_STREAMS")
        observer.request_failed("Rerank", "InvalidArgument", "INVALID_INPUT")
    assert [record.getMessage() for record in caplog.records] == ["calls refused", "request failed", "request failed"]
    assert value(metrics, "reranker_shed_total", reason="QUEUE_FULL") == 100
    for reason in ("NO_TIME", "DEADLINE_SPENT", "TENANT_LIMIT"):
        assert value(metrics, "reranker_shed_total", reason=reason) == 100
    assert value(metrics, "reranker_shed_total", reason="TOO_MANY_STREAMS") == 1
    assert value(metrics, "reranker_shed_total", reason="INVALID_INPUT") is None
    labels = {"grpc_service": "reranker.v1.RerankerService", "grpc_method": "Rerank"}
    assert value(metrics, "grpc_server_started_total", **labels) == 100
    assert value(metrics, "grpc_server_handled_total", grpc_code="ResourceExhausted", **labels) == 100
    assert value(metrics, "reranker_calls_in_flight") == 0


def test_the_log_names_fields_without_the_names_in_brackets(metrics: Metrics, caplog: pytest.LogCaptureFixture) -> None:
    observer = Observer(metrics, log_every=2)
    with caplog.at_level(logging.INFO, logger="reranker"):
        logging.getLogger("reranker").propagate = True
        observer.request_failed(
            "Rerank", "InvalidArgument", "INVALID_INPUT", request_id="r", violations=("a[3].b['secret']", "c")
        )
        for _ in range(4):
            observer.slate_made("served", 3, slate(), {"select": 0.001})
    fields = [getattr(record, "fields", {}) for record in caplog.records]
    assert fields[0]["fields"] == ["a[3].b[*]", "c"]
    assert len(fields) == 3  # the failure and one slate in two
    assert np.all([entry["policy"] == "served" for entry in fields[1:]])
    assert "secret" not in json.dumps(fields)


def test_the_first_hundred_tenants_have_a_series_and_all_others_share_one(metrics: Metrics) -> None:
    for number in range(MOST + 50):
        metrics.tenants.answered(f"tenant-{number}", "OK")
    metrics.tenants.answered("tenant-0", "OK")
    metrics.tenants.answered("", "OK")
    count = {"grpc_code": "OK"}
    assert value(metrics, "reranker_tenant_requests_total", tenant="tenant-0", **count) == 2
    assert value(metrics, "reranker_tenant_requests_total", tenant="other", **count) == 50
    text = generate_latest(metrics.registry).decode()
    assert text.count("reranker_tenant_requests_total{") == MOST + 1
