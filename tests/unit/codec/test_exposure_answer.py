"""What exposure asked of a slate, on the wire."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reranker import Candidates, Policy, rerank
from reranker.codec import encode_slate
from reranker.slate import ExposureOutcome, Rung
from reranker.v1.reranker_service_pb2 import (
    DEGRADED_REASON_DEADLINE,
    DEGRADED_REASON_EXPOSURE,
    DEGRADED_REASON_SIGNALS,
    DEGRADED_REASON_UNSPECIFIED,
    DegradedReason,
    RerankRequest,
)

BEHIND = ExposureOutcome("tone", "dark", target=0.2, due=0.21, given=0.17, price=0.12, half_life="24h")
AHEAD = ExposureOutcome("tone", "light", target=0.8, due=0.79, given=0.83, price=-0.04, half_life="7d")


@pytest.mark.parametrize("late", [False, True])
def test_every_word_travels(late: bool) -> None:
    candidates = Candidates(["a", "b"], np.array([1.0, 0.5]), None, {"tone": ["dark", "light"]})
    slate = rerank(candidates, Policy.from_dict({"objective": {"strategy": "relevance"}}), 2)
    slate = replace(slate, report=replace(slate.report, exposure=(BEHIND, AHEAD), exposure_late=late))
    answer = encode_slate(slate, RerankRequest())
    assert answer.degraded == (DEGRADED_REASON_EXPOSURE if late else DEGRADED_REASON_UNSPECIFIED)
    for sent, own in zip(answer.exposure, (BEHIND, AHEAD), strict=True):
        for word in ("attribute", "value", "target", "due", "given", "price", "half_life", "detail"):
            assert getattr(sent, word) == getattr(own, word)


@pytest.mark.parametrize(
    ("rung", "signals_late", "exposure_late", "reason"),
    [
        (Rung.MMR, True, True, DEGRADED_REASON_DEADLINE),
        (Rung.WHOLE, True, True, DEGRADED_REASON_SIGNALS),
        (Rung.WHOLE, False, True, DEGRADED_REASON_EXPOSURE),
        (Rung.WHOLE, False, False, DEGRADED_REASON_UNSPECIFIED),
    ],
)
def test_of_several_reasons_the_first_is_told(
    rung: Rung, signals_late: bool, exposure_late: bool, reason: DegradedReason
) -> None:
    slate = rerank(Candidates(["a"], np.ones(1)), Policy.from_dict({"objective": {"strategy": "relevance"}}), 1)
    slate = replace(slate, report=replace(slate.report, rung=rung, exposure_late=exposure_late))
    assert encode_slate(slate, RerankRequest(), signals_late=signals_late).degraded == reason


def test_in_a_sentence() -> None:
    assert BEHIND.detail == (
        "exposure of tone dark: 4.0 points under its target over 24h; its items are lifted by 0.12 of the relevance of "
        "upstream's slate"
    )
    assert AHEAD.detail == (
        "exposure of tone light: 4.0 points over its target over 7d; its items are held back by 0.04 of the relevance "
        "of upstream's slate"
    )
