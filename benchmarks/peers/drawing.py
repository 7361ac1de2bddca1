"""DPPy: an exact k-DPP, drawn anew each call, as a request brings a new kernel."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np

from benchmarks.inputs import Work
from benchmarks.ours import Setting
from benchmarks.peers.greedy import weighted_features
from benchmarks.peers.optional import Call, optional


def peers(work: Work, setting: Setting) -> dict[str, Call]:
    """DPPy of the kernel, and of its factor, where it works in D dimensions instead of N."""
    finite = optional("DPPy", "dppy.finite_dpps", "FiniteDPP")
    if finite is None or setting.strategy != "dpp" or setting.window:
        return {}
    random = np.random.RandomState(0)
    return {
        "DPPy": lambda: draw(finite, work, setting.diversity, random, factored=False),
        "DPPy, factor": lambda: draw(finite, work, setting.diversity, random, factored=True),
    }


def draw(finite: Any, work: Work, diversity: float, random: np.random.RandomState, factored: bool) -> list[int]:
    """One slate by chance, under the same kernel as ours."""
    rows = weighted_features(work, diversity)[0].astype(np.float64)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints which of its ways it takes
        likelihood = {"L_gram_factor": rows.T} if factored else {"L": rows @ rows.T}
        process = finite("likelihood", **likelihood)
        picks: list[int] = list(map(int, process.sample_exact_k_dpp(work.slate_size, random_state=random)))
    return picks
