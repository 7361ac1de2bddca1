"""Slices of the traffic: what holds over all requests may fail where few of them come from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reranker.replay.results import Results, Traffic

LENGTH = "list length"
QUERY = "query"
NOT_KNOWN = "(not known)"
MOST_SLICES = 50
"""Of one dimension; the rest is one slice together, so that a dimension of ids cannot swamp a report."""
THE_REST = "(all others)"


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Some of the requests: `rows` bool (n,). The slice of all has no dimension."""

    dimension: str
    value: str
    rows: NDArray[np.bool_]

    def __str__(self) -> str:
        return f"{self.dimension} = {self.value}" if self.dimension else "all requests"

    @property
    def requests(self) -> int:
        """How many they are."""
        return int(np.count_nonzero(self.rows))


def with_queries(results: Results, queries: Mapping[str, str]) -> Results:
    """The results with what was asked, by request id, as one dimension more.

    As they are where nobody says, and where nothing was asked twice: a slice of each request divides nothing.
    """
    traffic = results.traffic
    asked = tuple(sys.intern(queries.get(name, "")) for name in traffic.names)
    if len({*asked}) == len(asked) or not any(asked):
        return results
    return replace(results, traffic=replace(traffic, dimensions={**traffic.dimensions, QUERY: asked}))


def everything(traffic: Traffic) -> Slice:
    """All requests."""
    return Slice("", "", np.ones(len(traffic), bool))


def slices_of(traffic: Traffic) -> list[Slice]:
    """By every dimension and list length: the largest first, small and unknown ones too.

    A dimension of which nothing is known, or that has one value alone, divides nothing and is left out.
    """
    found = []
    for dimension, values in [*traffic.dimensions.items(), (LENGTH, traffic.sizes())]:
        column = np.array(values, object)
        names, counts = np.unique(column.astype(str), return_counts=True)
        if len(names) < 2:
            continue
        order = np.lexsort((names, -counts))
        for place in order[:MOST_SLICES].tolist():
            name = str(names[place])
            found.append(Slice(dimension, name or NOT_KNOWN, column == name))
        rest = names[order[MOST_SLICES:]]
        if len(rest):
            found.append(Slice(dimension, THE_REST, np.isin(column.astype(str), rest)))
    return found
