"""What many slates are worth to the groups of one attribute: `reranker.measures`, done to all slates at once."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from reranker.measures import div_ceiling
from reranker.replay.columns import Column
from reranker.replay.lists import Slates
from reranker.replay.numbers import Numbers
from reranker.replay.segments import Floats, Indices, Mask, Segments

_NOISE = 1e-12  # what rounding leaves of a divergence of 0


class Listed:
    """Some slates and who on them carries what: entry e says that slot `slot[e]`, ascending, holds value `value[e]`.

    `values` are those of each slate's list, and `key` is the place of an entry's value among all of these.
    """

    def __init__(self, slates: Slates, column: Column) -> None:
        self.slates, self.column = slates, column
        items, at = column.entries.take(slates.item)
        self.slot, self.value = items.owner, column.carried[at]
        self.slate: Indices = slates.slots.owner[self.slot]
        self.values, self.of_list = column.values.take(slates.owner)
        self.key: Indices = self.values.starts[self.slate] + self.value
        self.labelled: Mask = column.labelled[slates.item]
        self.known = slates.slots.count(self.labelled)

    @cached_property
    def counts(self) -> Indices:
        """How many slots hold each value."""
        return np.bincount(self.key, minlength=self.values.total)

    @cached_property
    def reference(self) -> Floats:
        """What is due to each value."""
        return self.column.reference[self.of_list]

    @cached_property
    def supply(self) -> Indices:
        """How many candidates carry each value."""
        return self.column.supply[self.of_list]

    @cached_property
    def received(self) -> Floats:
        """The attention to each value."""
        weights = self.slates.attention[self.slot]
        return np.bincount(self.key, weights=weights, minlength=self.values.total).astype(np.float64)

    @cached_property
    def asked(self) -> Mask:
        """Which values DIV@k asks for."""
        return self.values.within < self.column.asked[self.slates.owner][self.values.owner]

    @cached_property
    def pool_entries(self) -> tuple[Indices, Indices, Indices]:
        """Of every candidate of each slate's list: the place among `Slates.pool`, the value's key, the entry."""
        pool, candidates = self.slates.pool
        entries, at = self.column.entries.take(candidates)
        keys = self.values.starts[pool.owner[entries.owner]] + self.column.carried[at]
        return entries.owner, keys, at


def add_groups(numbers: Numbers, slates: Slates, column: Column, rows: Indices, guarded: Mask | None) -> Listed:
    """The measures of one attribute, of every slate; `guarded` marks who of `Slates.pool` may be lifted into it."""
    listed = Listed(slates, column)
    small = column.is_small[slates.owner]
    if not column.is_pair:
        _add_own(numbers, listed, rows, small, guarded)
    _add_values(numbers, listed, rows, small)
    return listed


def _add_own(numbers: Numbers, listed: Listed, rows: Indices, small: Mask, guarded: Mask | None) -> None:
    slates, of = listed.slates, listed.column.attribute
    missing = listed.values.count(listed.asked & (listed.counts == 0))
    is_asked = small & (listed.column.asked[slates.owner] > 0)
    numbers.add("div", rows, missing == 0, attribute=of, where=is_asked)
    free = _ceilings(listed, small, None)
    numbers.add("div_ceiling", rows, free, attribute=of, where=small & ~np.isnan(free))
    under_guard = _ceilings(listed, small, guarded)
    said = small & ~np.isnan(under_guard) & [each.policy is not None for each in slates.made]
    numbers.add("div_ceiling_guarded", rows, under_guard, attribute=of, where=said)
    least, most = _skews(listed)
    numbers.add("min_skew", rows, least, attribute=of, where=small & np.isfinite(least))
    numbers.add("max_skew", rows, most, attribute=of, where=small & np.isfinite(most))
    for name, found in _Against(listed).measures().items():
        numbers.add(name, rows, found, attribute=of, where=small & ~np.isnan(found))
    parity = _exposure_parity(listed)
    numbers.add("exposure_parity", rows, parity, attribute=of, where=small & ~np.isnan(parity))
    fairness = _in_group_fairness(listed)
    numbers.add("in_group_fairness", rows, fairness, attribute=of, where=small & ~np.isnan(fairness))
    count = slates.slots.lengths
    numbers.add("label_coverage", rows, listed.known / np.maximum(count, 1), attribute=of, where=small & (count > 0))


def _add_values(numbers: Numbers, listed: Listed, rows: Indices, small: Mask) -> None:
    """Attention to each value that is there or due; to the unknown ones as a share of all, as they are in no other."""
    slates, of = listed.slates, listed.column.attribute
    slots, attention, labelled = slates.slots, slates.attention, listed.labelled
    filled = slots.lengths > 0
    whole = slots.sum(attention)
    unknown = slots.kept(~labelled).sum(attention[~labelled])
    numbers.add("unknown_attention", rows, unknown / np.where(filled, whole, 1.0), attribute=of, where=small & filled)
    total = slots.kept(labelled).sum(attention[labelled])
    there = total > 0.0
    share = listed.received / np.where(there, total, 1.0)[listed.values.owner]
    due = listed.reference
    with np.errstate(invalid="ignore"):
        said = (small & there)[listed.values.owner] & ((listed.supply > 0) | (due > 0.0))
    of_value, texts = rows[listed.values.owner], listed.column.texts[listed.of_list]
    numbers.add("attention", of_value, np.minimum(share, 1.0), attribute=of, values=texts, where=said)
    short = np.maximum(0.0, due - share)
    numbers.add("attention_shortfall", of_value, short, attribute=of, values=texts, where=said & ~np.isnan(due))


def _ceilings(listed: Listed, small: Mask, eligible: Mask | None) -> Floats:
    """`div_ceiling` of each slate's list; NaN where it has none or nobody knows."""
    slates, column = listed.slates, listed.column
    supply = listed.supply
    if eligible is not None:
        candidate, key, _ = listed.pool_entries
        supply = np.bincount(key[eligible[candidate]], minlength=listed.values.total)
    asked, slots = column.asked[slates.owner], slates.slots.lengths
    has_all = listed.values.count(listed.asked & (supply == 0)) == 0
    ceilings = np.where(asked > 0, has_all.astype(np.float64), np.nan)
    for at in np.flatnonzero(small & has_all & (asked > slots)).tolist():
        owner = int(slates.owner[at])
        may = None if eligible is None else slates.of_pool(at, eligible)
        found = div_ceiling(column.membership(owner).first(int(asked[at])), may, int(slots[at]))
        ceilings[at] = np.nan if found is None else found
    return ceilings


def _skews(listed: Listed) -> tuple[Floats, Floats]:
    """MinSkew and MaxSkew, infinite where there are none."""
    counts = listed.counts.astype(np.float64)
    expected = listed.reference * listed.known[listed.values.owner]
    with np.errstate(invalid="ignore"):
        counted = ((counts > 0) | (expected > 0)) & ~np.isnan(listed.reference)
    counted &= (listed.known > 0)[listed.values.owner]
    counts, expected = counts[counted], expected[counted]
    add_one = ((counts == 0) | (expected == 0)).astype(np.float64)
    skew = np.log((counts + add_one) / (expected + add_one))
    kept = listed.values.kept(counted)
    return kept.least(skew), kept.largest(skew)


class _Against:
    """Slates laid out beside their reference distributions, as `measures.groups.against` lays one out.

    Entry e says that slot `slot[e]`, ascending, belongs to class `key[e]`; the classes of a slate are its values and
    one more, for labelled items that carry no value with a share.
    """

    def __init__(self, listed: Listed) -> None:
        self.slates = listed.slates
        of_lists, targets = listed.column.targets
        self.classes, at = of_lists.take(listed.slates.owner)
        self.target: Floats = targets[at]
        keys = self.classes.starts[listed.slate] + listed.value
        named = self.target[keys] > 0.0
        slot, key = listed.slot[named], keys[named]
        others = listed.labelled.copy()
        others[slot] = False
        rest = np.flatnonzero(others)
        last = self.classes.starts + self.classes.lengths - 1
        slot, key = np.append(slot, rest), np.append(key, last[self.slates.slots.owner[rest]])
        order = np.argsort(slot, kind="stable")
        self.slot, self.key = slot[order], key[order]

    def measures(self) -> dict[str, Floats]:
        """NDKL, AWRF and the attention gap of each slate, NaN where they have no meaning."""
        weights = self.slates.attention[self.slot]
        received = np.bincount(self.key, weights=weights, minlength=self.classes.total).astype(np.float64)
        total = self.classes.sum(received)
        there = total > 0.0
        share = received / np.where(there, total, 1.0)[self.classes.owner]
        gap = np.minimum(self.classes.sum(np.abs(share - self.target)) / 2.0, 1.0)
        likeness = 1.0 - self._jensen_shannon(share)
        compared = self.target[self.key] > 0.0
        return {
            "ndkl": self._divergence(self.slot[compared], self.key[compared]),
            "awrf": np.where(there, likeness, np.nan),
            "attention_gap": np.where(there, gap, np.nan),
        }

    def _jensen_shannon(self, share: Floats) -> Floats:
        middle = (share + self.target) / 2.0
        both = np.zeros(len(self.slates))
        for side in (share, self.target):
            some = side > 0.0
            part = side[some] * np.log(side[some] / middle[some])
            both += self.classes.kept(some).sum(part)
        return np.minimum(np.maximum(both / 2.0, 0.0), float(np.log(2.0)))

    def _divergence(self, slot: Indices, key: Indices) -> Floats:
        """NDKL of entries that all have a target share, as `measures.groups` adds it up; NaN without any."""
        slots = self.slates.slots
        entries = Segments.of(slots.owner[slot], len(slots))
        seen = _earlier_equals(key).astype(np.float64)
        added = _times_log(seen + 1.0) - _times_log(seen) - np.log(self.target[key])
        running = entries.running(added)
        ends = np.cumsum(np.bincount(slot, minlength=slots.total))  # entries up to and with each slot, over all slates
        so_far = ends - entries.starts[slots.owner]
        prefixes = np.flatnonzero(so_far)
        counts = so_far[prefixes].astype(np.float64)
        divergence = running[ends[prefixes] - 1] / counts - np.log(counts)
        weights = 1.0 / np.log2(slots.within[prefixes] + 2)
        own = Segments.of(slots.owner[prefixes], len(slots))
        filled = own.lengths > 0
        mean = np.full(len(slots), np.nan)
        np.divide(own.dot(weights, divergence), own.sum(weights), out=mean, where=filled)
        return np.where(filled & ~(mean > _NOISE), 0.0, mean)


def _earlier_equals(values: Indices) -> Indices:
    order = np.argsort(values, kind="stable")
    sizes = np.bincount(values) if len(values) else np.zeros(0, np.intp)
    sizes = sizes[sizes > 0]
    earlier = np.empty(len(values), np.intp)
    earlier[order] = np.arange(len(values)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return earlier


def _times_log(counts: Floats) -> Floats:
    return counts * np.log(np.maximum(counts, 1.0))


def _exposure_parity(listed: Listed) -> Floats:
    """Least over largest mean exposure of the groups, one of them for labelled items of no value; NaN: none."""
    column, slates, values = listed.column, listed.slates, listed.values
    supply = listed.supply.astype(np.float64)
    there = supply > 0.0
    mean = listed.received[there] / supply[there]
    kept = values.kept(there)
    least, largest, groups = kept.least(mean), kept.largest(mean), kept.lengths
    others = column.others[slates.owner]
    if others.any():
        outside = listed.labelled & (column.entries.lengths[slates.item] == 0)
        received = np.bincount(
            slates.slots.owner[outside], weights=slates.attention[outside], minlength=len(slates)
        ).astype(np.float64)
        has = others > 0
        of_others = received[has] / others[has]
        least[has], largest[has] = np.minimum(least[has], of_others), np.maximum(largest[has], of_others)
        groups = groups + has
    found = np.full(len(slates), np.nan)
    np.divide(least, largest, out=found, where=(groups > 1) & (largest > 0.0))
    return found


def _in_group_fairness(listed: Listed) -> Floats:
    """The least over the groups of `in_group_fairness`; NaN where no group that is listed has relevance to share."""
    slates, lists = listed.slates, listed.slates.lists
    least, largest = np.full(listed.values.total, np.inf), np.zeros(listed.values.total)
    np.minimum.at(least, listed.key, lists.gains[slates.item[listed.slot]])
    candidate, key, at = listed.pool_entries
    off = ~slates.is_listed[candidate]
    np.maximum.at(largest, key[off], lists.gains[listed.column.entries.owner[at[off]]])
    ratio = np.ones(listed.values.total)
    np.divide(least, largest, out=ratio, where=least < largest)
    is_listed = ~np.isinf(least)
    found = listed.values.kept(is_listed).least(ratio[is_listed], np.nan)
    found[~lists.has_gains[slates.owner]] = np.nan
    return found
