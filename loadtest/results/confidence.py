"""How sure a ratio is that was measured in pairs: Student's t on the logarithms, which treats a/b and b/a alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# The 97.5 % quantiles of Student's t for 1, 2, 3 … degrees of freedom; beyond the table the normal one is close enough.
_T: tuple[float, ...] = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_T += (2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086)
_T += (2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
_NORMAL = 1.96
FEWEST_PAIRS = 3


@dataclass(frozen=True, slots=True)
class Ratio:
    """The geometric mean of second/first over the pairs, with its 95 % confidence interval; NaN where there is none."""

    ratio: float
    low: float
    high: float
    pairs: int

    @property
    def verdict(self) -> str:
        """Of the second beside the first: less, more, or no difference shown."""
        if self.high < 1:
            return "less"
        return "more" if self.low > 1 else "no difference shown"


def quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t for so many degrees of freedom, one at least."""
    return _T[freedom - 1] if freedom <= len(_T) else _NORMAL


def ratio_of(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """From measurements in pairs. Pairs in which either is not a finite number above 0 are left out."""
    logs = [
        math.log(b / a)
        for a, b in zip(first, second, strict=True)
        if math.isfinite(a) and math.isfinite(b) and a > 0 and b > 0
    ]
    pairs = len(logs)
    if pairs < FEWEST_PAIRS:
        return Ratio(math.nan, math.nan, math.nan, pairs)
    mean = math.fsum(logs) / pairs
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in logs) / (pairs - 1) / pairs)
    reach = quantile(pairs - 1) * spread
    return Ratio(math.exp(mean), math.exp(mean - reach), math.exp(mean + reach), pairs)


def more_by_chance(first: int, second: int) -> float:
    """How likely chance alone gives the second this many of all, or more, when both were asked alike.

    The exact binomial tail at one half: few events say nothing, whatever their ratio.
    """
    of_all = first + second
    if of_all > 1000:  # the normal curve is close enough
        return 0.5 * math.erfc((second - 0.5 - of_all / 2) / math.sqrt(of_all / 2))
    return float(sum(math.comb(of_all, k) for k in range(second, of_all + 1)) / 2**of_all)
