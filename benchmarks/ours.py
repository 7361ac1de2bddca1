"""Our side of a comparison: the whole call, the call on checked candidates, and the stages of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.inputs import Work
from reranker import Candidates, Context, Policy, rerank
from reranker.engine import rerank_traced


@dataclass(frozen=True)
class Setting:
    """One objective: `window` 0 is the whole slate; `sample` draws a k-DPP."""

    strategy: str
    diversity: float
    window: int = 0
    sample: bool = False

    @property
    def name(self) -> str:
        """The strategy and what is unusual about it."""
        window = f" w={self.window}" if self.window else ""
        return f"{self.strategy}{window}{' drawn' if self.sample else ''}"

    def policy(self, **more: Any) -> Policy:
        """The policy that asks for it; `more` are further words of the objective."""
        words = {"strategy": self.strategy, "diversity": self.diversity, "window": self.window, "sample": self.sample}
        return Policy.from_dict({"objective": words | more})


def candidates_of(work: Work, groups: bool = False) -> Candidates:
    """The checked candidates, with the groups as an attribute when asked for."""
    return Candidates(work.ids, work.scores, work.embeddings, {"group": work.groups} if groups else None)


def calls(work: Work, policy: Policy, groups: bool = False) -> dict[str, Callable[[], object]]:
    """`ours`: the whole call, as a notebook makes it, checking the candidates included; `checked`: `rerank` alone."""
    checked = candidates_of(work, groups)
    return {
        "ours": lambda: rerank(candidates_of(work, groups), policy, work.slate_size),
        "checked": lambda: rerank(checked, policy, work.slate_size),
    }


def positions(work: Work, policy: Policy, groups: bool = False, seed: int = 0) -> NDArray[np.int32]:
    """What the call picks."""
    context = Context(seed=seed)
    return rerank(candidates_of(work, groups), policy, work.slate_size, context=context).positions


class Stages:
    """A call on checked candidates whose stages are kept; `select` is the kernel with the laying out of its arrays."""

    def __init__(self, candidates: Candidates, policy: Policy, slate_size: int) -> None:
        self._request = (candidates, policy, slate_size)
        self._taken: list[dict[str, float]] = []
        self.tier = self.status = ""

    def __call__(self) -> None:
        """One call."""
        slate, trace = rerank_traced(*self._request)
        self._taken.append(trace.stages)
        self.tier, self.status = slate.report.tier.value, slate.report.status.value

    def median(self, stage: str) -> float:
        """Milliseconds; NaN where calls have no such stage."""
        times = [taken[stage] for taken in self._taken if stage in taken]
        return 1e3 * float(np.median(times)) if times else float("nan")
