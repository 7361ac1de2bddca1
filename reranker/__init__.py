"""diversity-reranker: slates that are relevant, varied and representative. Names load lazily."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reranker.candidates import Candidates, LabelProbabilities
    from reranker.context import Context
    from reranker.engine import rerank
    from reranker.errors import InvalidInput, QuotasInfeasible, RerankerError, UnknownPolicy, Violation
    from reranker.policy import Policy
    from reranker.slate import Slate, SlateStatus

__version__ = "0.1.0"

_HOME = {
    "Candidates": "candidates",
    "Context": "context",
    "InvalidInput": "errors",
    "LabelProbabilities": "candidates",
    "Policy": "policy",
    "QuotasInfeasible": "errors",
    "RerankerError": "errors",
    "Slate": "slate",
    "SlateStatus": "slate",
    "UnknownPolicy": "errors",
    "Violation": "errors",
    "rerank": "engine",
}

__all__ = [
    "Candidates",
    "Context",
    "InvalidInput",
    "LabelProbabilities",
    "Policy",
    "QuotasInfeasible",
    "RerankerError",
    "Slate",
    "SlateStatus",
    "UnknownPolicy",
    "Violation",
    "rerank",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'reranker' has no attribute {name!r}")
    value = getattr(import_module(f"reranker.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
