"""The aspects of one request: whose values they are, who carries them and in which shares they are wanted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn, Candidates
from reranker.context import Context
from reranker.policy.blocks import exact
from reranker.policy.compile import CompiledPolicy
from reranker.quotas.pool import Pool, grouped
from reranker.strategies import STRATEGIES
from reranker.strategies.aspects import Aspects
from reranker.strategies.by_aspect import AspectStrategy

_BY_ASPECT = {name for name, strategy in STRATEGIES.items() if issubclass(strategy, AspectStrategy)}
OTHER = ""  # what a target leaves open; no value of an attribute is called so
_LEAST_REST = 1e-6  # of shares: decimals that fall short of 1 by less are meant to add up to it
_Said = tuple[str, ...]


def find_aspects(
    rules: CompiledPolicy,
    candidates: Candidates,
    context: Context,
    pool: Pool,
    order: NDArray[np.int32],
    seen: int,
) -> tuple[Aspects | None, _Said]:
    """The aspects that the policy's strategy looks at, in upstream order, and notes on what the policy left open.

    None when the strategy looks at none, at diversity 0, or when nobody carries any: relevance decides then. The first
    `seen` in `order` were shown before the slate and are not in `pool`.
    """
    if not looks_at_aspects(rules) or not len(candidates):
        return None, ()
    attribute, said = aspect_attribute(rules, candidates)
    if not attribute:
        return None, said
    column = _labels(rules, candidates, order, attribute)
    shares: Mapping[str, float] = {}
    written = rules.calibration
    if written is not None and not written.pool:
        given = written.shares or {v: exact(s) for v, s in context.targets.get(attribute, {}).items()}
        shares = _with_rest({value: float(share) for value, share in given.items()})
        if not given:
            said += (f"the request has no target for {attribute}: its shares among the candidates are used instead",)
    aspects = _aspects(attribute, column, shares or _pool_shares(column, pool, seen))
    if aspects is None:
        said += (f"no candidate carries a value of {attribute} that is wanted: relevance decides",)
    return aspects, said


def looks_at_aspects(rules: CompiledPolicy) -> bool:
    """Whether what the policy maximises depends on explicit aspects."""
    return rules.strategy in _BY_ASPECT and rules.diversity > 0.0


def aspect_attribute(rules: CompiledPolicy, candidates: Candidates) -> tuple[str, _Said]:
    """The attribute whose values are the aspects, or "", and a note when the policy does not write it down."""
    if rules.calibration is not None:
        attribute = rules.calibration.attribute
        if attribute in candidates.attributes:
            return attribute, ()
        return "", (f"no candidate has the attribute {attribute}, whose values would be aspects: relevance decides",)
    named = next((name for name in rules.aspect_attributes if name in candidates.attributes), "")
    attribute = named or next(iter(candidates.attributes), "")
    if not attribute:
        return "", ("no candidate has an attribute whose values could be aspects: relevance decides",)
    first = "attribute that the policy names elsewhere" if named else "attribute of the candidates"
    return attribute, (f"aspects are the values of {attribute}, the first {first}, in the candidates' shares",)


def _labels(rules: CompiledPolicy, candidates: Candidates, order: NDArray[np.int32], attribute: str) -> AttributeColumn:
    """Hard labels in upstream order; unknown ones are a value of their own where the policy says so (rule 8)."""
    rule = rules.label_rule(attribute)
    column = candidates.attributes[attribute].hard(rule.threshold).take(order)
    return grouped(column) if rule.unknown == "group" else column


def _with_rest(shares: Mapping[str, float]) -> dict[str, float]:
    """The shares, and what they leave open for all other values together."""
    rest = 1.0 - sum(shares.values())
    return {**shares, OTHER: rest} if shares and rest > _LEAST_REST else dict(shares)


def _pool_shares(column: AttributeColumn, pool: Pool, seen: int) -> dict[str, float]:
    """Each value's part of the labelled candidates that pass the guard; several values of one item share it."""
    owners, codes = _entries(column)
    carried = np.bincount(owners, minlength=seen + len(pool))
    passing = np.concatenate([np.zeros(seen, bool), pool.passes])[owners]
    weights = 1.0 / carried[owners[passing]]
    sums = np.bincount(codes[passing], weights=weights, minlength=len(column.values) + 1)[1:]
    total = sums.sum()
    return {value: part / total for value, part in zip(column.values, sums.tolist(), strict=True) if part > 0.0}


def _entries(column: AttributeColumn) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Candidate and code of every known label, candidates in order."""
    count = len(column.codes) if column.offsets is None else len(column.offsets) - 1
    owners = np.arange(count) if column.offsets is None else np.repeat(np.arange(count), np.diff(column.offsets))
    known = column.codes > 0
    return owners[known], column.codes[known]


def _aspects(attribute: str, column: AttributeColumn, shares: Mapping[str, float]) -> Aspects | None:
    """The wanted values and who carries them; None when nobody does."""
    wanted = [value for value, share in shares.items() if share > 0.0]
    number_of = {value: number for number, value in enumerate(wanted)}
    rest = number_of.get(OTHER, -1)
    numbers = [number_of.get(value, -1 if value in shares else rest) for value in column.values]
    owners, codes = _entries(column)
    carried = np.bincount(owners, minlength=_length(column)).astype(np.float64)
    numbered = np.array([-1, *numbers], np.int64)[codes]
    keys = (owners * max(1, len(wanted)) + numbered)[numbered >= 0]
    if not len(keys):
        return None
    if rest >= 0:  # an item may carry several values of the rest
        keys = keys[np.sort(np.unique(keys, return_index=True)[1])]
    owners, aspect = keys // len(wanted), keys % len(wanted)
    found, first = np.unique(aspect, return_index=True)
    sequence = found[np.argsort(first)]
    sequence = np.concatenate([sequence, np.setdiff1d(np.arange(len(wanted)), found)])
    place = np.empty(len(wanted), np.int32)
    place[sequence] = np.arange(len(wanted))
    offsets = np.zeros(len(carried) + 1, np.int32)
    np.cumsum(np.bincount(owners, minlength=len(carried)), out=offsets[1:])
    every = np.array([shares[wanted[number]] for number in sequence.tolist()])
    return Aspects(attribute, offsets, place[aspect], np.ones(len(aspect)), carried, every / every.sum())


def _length(column: AttributeColumn) -> int:
    return len(column.codes) if column.offsets is None else len(column.offsets) - 1
