"""One request through the house: candidates and policy in, slate and trace out. Knows no observer."""

from __future__ import annotations

from reranker.engine.given import exposure_given
from reranker.engine.pace import Pace, Paces
from reranker.engine.request import Trace, rerank, rerank_traced
from reranker.engine.schedule import Presence, Schedule
from reranker.engine.steer import Outlook
from reranker.engine.warm import warm_up

__all__ = [
    "Outlook",
    "Pace",
    "Paces",
    "Presence",
    "Schedule",
    "Trace",
    "exposure_given",
    "rerank",
    "rerank_traced",
    "warm_up",
]
