"""What each word may hold by itself: ranges of numbers, shapes of texts."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from reranker.policy.mistakes import Mistakes, listed_in_part, quoted
from reranker.policy.scalars import iso_date
from reranker.policy.vocabulary import SetWord
from reranker.texts import has_controls
from reranker.v1 import policy_pb2

MOST_SLOTS = 1_000_000  # whole numbers stay far inside 32 bits, so that sums of them do too
MOST_DENOMINATOR = 10**6
_NAME_LENGTH = 100
_FRACTION = re.compile(r"\d{1,18}(/\d{1,18}|\.\d{1,18})?\Z", re.ASCII)
CONTROLS = "must not hold control characters, nor marks that turn the direction of text"
_NO_SHARE = 'must be a share such as 0.2 or "1/5"'
_HALF_LIFE = re.compile(r"([1-9]\d{0,5})(s|m|h|d)\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`; an open end is not part of it."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, number: float | Fraction) -> bool:
        above = self.low < number if self.low_open else self.low <= number
        return above and (number < self.high if self.high_open else number <= self.high)

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"{'above' if self.low_open else 'at least'} {self.low:g}"
        if not (self.low_open or self.high_open):
            return f"between {self.low:,g} and {_plain(self.high)}"
        low = f"{'above' if self.low_open else 'at least'} {self.low:g}"
        return f"{low} and {'below' if self.high_open else 'at most'} {_plain(self.high)}"


_SHARE = Range(0, 1)
_INSIDE = Range(0, 1, low_open=True, high_open=True)
_SLOTS = Range(0, MOST_SLOTS)
_AT_LEAST_ONE = Range(1, MOST_SLOTS)
_WEIGHT = Range(0, 1e6, low_open=True)

RANGES: Mapping[str, Range] = {
    "objective.diversity": _SHARE,
    "objective.window": _SLOTS,
    "objective.relevance_floor": Range(0, 1, low_open=True),
    "objective.candidate_window": _SLOTS,
    "similarity_signals.weight": _WEIGHT,
    "guard.min_share_of_best": _SHARE,
    "placement.keep_top": _SLOTS,
    "placement.max_fall": _SLOTS,
    "quotas.min_share": _SHARE,
    "quotas.max_share": _SHARE,
    "quotas.target": _SHARE,
    "quotas.tolerance": _SHARE,
    "quotas.min_coverage": _SHARE,
    "quotas.min_count": _SLOTS,
    "quotas.max_count": _SLOTS,
    "quotas.within": _SLOTS,
    "quotas.max_per_value": _AT_LEAST_ONE,
    "quotas.window": _SLOTS,
    "quotas.max_similarity": _SHARE,
    "quotas.fair_star.proportion": _INSIDE,
    "quotas.fair_star.significance": _INSIDE,
    "quotas.weight": _WEIGHT,
    "spacings.penalty": Range(0, 1e6),
    "spacings.window": _AT_LEAST_ONE,
    "decays.factor": _SHARE,
    "decays.floor": _SHARE,
    "calibration.target": _SHARE,
    "labels.threshold": _SHARE,
    "labels.confidence": _INSIDE,
    "exposure.target": _SHARE,
    "exposure.band": _SHARE,
    "exposure.min_count": _SLOTS,
    "shadow.fraction": _SHARE,
    "routes.arms": _SHARE,
}


def check_word(word: SetWord, mistakes: Mistakes) -> None:
    """Notes what is wrong with one word by itself."""
    value = word.value
    if value is None:
        reason = "is a choice that this release does not know"
    elif isinstance(value, policy_pb2.Share):
        reason = _share_reason(word.key, value)
    elif isinstance(value, str):
        reason = _TEXTS.get(word.key, _not_empty)(value)
    elif isinstance(value, list):
        reason = "" if mistakes.misread(word.path) else _list_reason(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        reason = _number_reason(word.key, value)
    else:
        reason = ""
    if reason:
        mistakes.add(word.path, reason)


def _share_reason(key: str, share: policy_pb2.Share) -> str:
    if share.WhichOneof("form") is None:
        return _NO_SHARE
    if share.WhichOneof("form") == "number":
        return _number_reason(key, share.number)
    if not _FRACTION.match(share.fraction):
        return _NO_SHARE
    if "/" in share.fraction and not 1 <= int(share.fraction.partition("/")[2]) <= MOST_DENOMINATOR:
        return f"must have a denominator from 1 to {MOST_DENOMINATOR:,}"
    return _number_reason(key, Fraction(share.fraction))


def _number_reason(key: str, number: float | Fraction) -> str:
    allowed = RANGES.get(key)
    if isinstance(number, float) and not math.isfinite(number):
        return "must be a finite number"
    return f"must be {allowed}" if allowed is not None and number not in allowed else ""


def _list_reason(items: list[str]) -> str:
    if not items or "" in items:
        return "must list at least one value, and none that is empty"
    twice = (
        [item for item, count in sorted(Counter(items).items()) if count > 1] if len(set(items)) < len(items) else []
    )
    if twice:
        return f"must not repeat {listed_in_part(map(quoted, twice))}"
    return CONTROLS if any(map(has_controls, items)) else ""


def _not_empty(text: str) -> str:
    if not text:
        return "must not be empty"
    return CONTROLS if has_controls(text) else ""


def _name(name: str) -> str:
    if name == "upstream":
        return "must not be upstream: that name means the untouched order"
    if not 1 <= len(name) <= _NAME_LENGTH or not name.isprintable() or name != name.strip():
        return f"must be 1 to {_NAME_LENGTH} printable characters, without spaces around them"
    return ""


def _review_by(text: str) -> str:
    return "" if iso_date(text) else "must be a date such as 2027-06-30"


def _half_life(text: str) -> str:
    return "" if _HALF_LIFE.match(text) else 'must be a number with s, m, h or d, such as "30m", "24h" or "7d"'


def _anything(_text: str) -> str:
    return ""


_TEXTS: Mapping[str, Callable[[str], str]] = {
    "name": _name,
    "about.purpose": _anything,
    "about.owner": _anything,
    "about.review_by": _review_by,
    "exposure.half_life": _half_life,
}


def _plain(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:g}"
