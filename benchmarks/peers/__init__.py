"""The peers: who does which job, and how each is called as its own users call it."""

from __future__ import annotations

from typing import Any

from benchmarks.inputs import Work
from benchmarks.ours import Setting
from benchmarks.peers import drawing, greedy, marginal
from benchmarks.peers.optional import Call

__all__ = ["Call", "alike", "of"]


def of(work: Work, setting: Setting) -> dict[str, Call]:
    """Every peer that is installed and does this job, by name; each call returns the picks."""
    if setting.sample:
        return drawing.peers(work, setting)
    return greedy.peers(work, setting) | (marginal.peers(work, setting) if setting.strategy == "mmr" else {})


def alike(work: Work, setting: Setting, peer: str) -> tuple[dict[str, Any], Call | None] | None:
    """How to set both sides so that they must pick the same: words for our objective, and the peer's call.

    No call: the one that is timed. None: there is no such setting. Vector stores do not clip cosines below 0 as ours
    and pyversity do, so picks may differ where those occur.
    """
    if setting.sample:
        return None
    if peer in greedy.MAPS:
        return {}, None
    words = greedy.like_the_library(setting)
    if words is None:
        return None
    return words, greedy.library(work, setting, alike=True) if peer == greedy.LIBRARY else None
