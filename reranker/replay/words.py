"""The measures that a replay compares: what each is called, what range it has, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log


@dataclass(frozen=True, slots=True, order=True)
class Measure:
    """One measure: of the slate, of one `attribute`, or of one `value` of it."""

    name: str
    attribute: str = ""
    value: str = ""

    def __str__(self) -> str:
        of = f"{self.attribute} = {self.value}" if self.value else self.attribute
        return f"{self.name}[{of}]" if of else self.name


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a measure says. `better` is 1 where more is better, -1 where less is, 0 where it depends."""

    title: str
    low: float
    high: float
    better: int
    percent: bool = False


MEANINGS = {
    # of the slate
    "answered": Meaning("requests answered with a slate", 0.0, 1.0, 1, True),
    "bounds_met": Meaning("requests whose hard bounds all hold", 0.0, 1.0, 1, True),
    "relevance_retained": Meaning("relevance of the upstream top that is kept", 0.0, 1.0, 1, True),
    "ndcg": Meaning("nDCG against the upstream order", 0.0, 1.0, 1),
    "intra_list_average_distance": Meaning("mean distance within the slate", 0.0, 2.0, 1),
    "intra_list_minimum_distance": Meaning("least distance within the slate", 0.0, 2.0, 1),
    "upstream_overlap": Meaning("items of the upstream top that stay", 0.0, 1.0, 0, True),
    "upstream_rbo": Meaning("rank-biased overlap with the upstream order", 0.0, 1.0, 0),
    "mean_displacement": Meaning("slots by which an item moves, mean", 0.0, inf, 0),
    "quotas_broken": Meaning("hard bounds broken, a request", 0.0, inf, -1),
    "latency_us": Meaning("microseconds a request", 0.0, inf, -1),
    # of one attribute
    "div": Meaning("slates that hold every group (DIV@k)", 0.0, 1.0, 1, True),
    "div_ceiling": Meaning("lists that would allow it", 0.0, 1.0, 0, True),
    "div_ceiling_guarded": Meaning("lists that would allow it under the guard", 0.0, 1.0, 0, True),
    "min_skew": Meaning("skew of the group that is shortest of its share", -inf, inf, 1),
    "max_skew": Meaning("skew of the group that is farthest above it", -inf, inf, -1),
    "ndkl": Meaning("divergence from the reference (NDKL)", 0.0, inf, -1),
    "awrf": Meaning("attention as the reference wants it (AWRF)", 1.0 - log(2.0), 1.0, 1),
    "attention_gap": Meaning("attention that would have to move to match the reference", 0.0, 1.0, -1, True),
    "exposure_parity": Meaning("least over largest exposure of a group's candidate", 0.0, 1.0, 1),
    "in_group_fairness": Meaning("whether each group is represented by its best", 0.0, 1.0, 1),
    "label_coverage": Meaning("slots with a known value", 0.0, 1.0, 0, True),
    "unknown_attention": Meaning("attention to items of unknown value", 0.0, 1.0, 0, True),
    # of one value
    "attention": Meaning("share of the attention", 0.0, 1.0, 0, True),
    "attention_shortfall": Meaning("attention missing to the reference", 0.0, 1.0, -1, True),
    # of a pair of policies
    "changed": Meaning("slates that differ", 0.0, 1.0, 0, True),
    "overlap": Meaning("items that both slates hold", 0.0, 1.0, 0, True),
    "rank_biased_overlap": Meaning("rank-biased overlap of the two slates", 0.0, 1.0, 0),
    "displacement": Meaning("slots between the two places of a common item, mean", 0.0, inf, 0),
}
"""By name. Ends of `inf` are not known: their intervals rest on what was seen alone."""

OF_PAIRS = ("changed", "overlap", "rank_biased_overlap", "displacement")
"""Measures that two slates have together; all others each slate has by itself."""

IN_SHORT = ("relevance_retained", "intra_list_average_distance", "div", "attention_gap")
"""What is looked at of policies that are not themselves compared: for the price by cause and the trade-off."""
