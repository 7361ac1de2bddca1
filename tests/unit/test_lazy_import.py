"""What an import costs: names load lazily, and a client process never meets the compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest

import reranker

HEAVY = ("numba", "llvmlite", "grpc", "redis", "prometheus_client", "numpy", "google.protobuf")


def loaded_by(statement: str) -> set[str]:
    """The heavy modules that a fresh process holds after the statement."""
    code = f"{statement}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement", ["import reranker", "import reranker.errors", "from reranker import InvalidInput, UnknownPolicy"]
)
def test_the_package_and_its_errors_load_nothing_heavy(statement: str) -> None:
    assert loaded_by(statement) == set()


def test_words_about_slates_and_requests_need_numpy_at_most() -> None:
    assert loaded_by("from reranker import Context, Slate, SlateStatus") <= {"numpy"}


def test_a_server_without_a_store_does_not_load_one() -> None:
    assert "redis" not in loaded_by("import reranker.runtime.server")


def test_the_client_needs_no_compiler() -> None:
    assert not loaded_by("import reranker.client") & {"numba", "llvmlite", "redis", "prometheus_client"}


def test_a_python_call_needs_no_network() -> None:
    assert not loaded_by("from reranker import rerank, Candidates") & {"grpc", "redis", "prometheus_client"}


def test_every_public_name_is_there() -> None:
    assert {name for name in reranker.__all__ if getattr(reranker, name, None) is None} == set()
    assert set(reranker.__all__) <= set(dir(reranker))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'reranker' has no attribute 'reranks'"):
        _ = reranker.reranks
