"""The report: status, outcomes, relevance kept, what was missing; measures wait until someone looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates
from reranker.context import Context
from reranker.engine.aspects import looks_at_aspects
from reranker.engine.listing import Listing
from reranker.engine.mix import absent_embeddings
from reranker.engine.steer import Steer
from reranker.measures.relevance import relevance_retained
from reranker.measures.summary import measure_slate
from reranker.policy.compile import CompiledPolicy
from reranker.quotas.pool import Pool
from reranker.slate import (
    QuotaOutcome,
    QuotaTier,
    RelevanceFloor,
    Report,
    Rung,
    SignalCounts,
    SlateMeasures,
    SlateStatus,
)
from reranker.texts import escaped

_MEASURED_VALUES = 32  # an attribute the policy does not name is measured only if it has no more values than this


def build_report(
    rules: CompiledPolicy,
    listing: Listing,
    positions: NDArray[np.int32],
    pool: Pool,
    *,
    status: SlateStatus,
    tier: QuotaTier,
    outcomes: tuple[QuotaOutcome, ...],
    notes: tuple[str, ...],
    floor: RelevanceFloor | None,
    compared: bool,
    steer: Steer,
    rung: Rung,
) -> Report:
    """The report of one slate: `positions` among the candidates that take part, `pool` those in upstream order.

    `compared`: there was something to compare candidates by; `steer` is what earlier requests asked; `rung` made it.
    """
    candidates, context = listing.candidates, listing.context
    order = listing.upstream
    zero = rules.score_zero if rules.score_zero_given else None
    retained = relevance_retained(candidates.scores, positions, order, zero)
    signals = _signal_counts(rules, candidates, pool)

    def measure() -> SlateMeasures:
        guarded = np.empty(len(pool), bool)
        guarded[listing.order] = pool.passes
        return measure_slate(
            candidates,
            positions,
            order,
            len(positions),
            attributes=_measured(rules, candidates),
            declared=context.targets,
            threshold_by_attribute={name: rules.label_rule(name).threshold for name in candidates.attributes},
            guarded=guarded if rules.guard is not None else None,
            embedding=next(iter(candidates.embeddings.values()), None),
            score_zero=zero,
            domains=rules.wanted_values(),
        )

    return Report(
        status=status,
        tier=tier,
        quotas=outcomes,
        relevance_retained=retained,
        signals=signals,
        notes=notes + _notes(rules, candidates, context, signals, compared),
        policy_name=rules.name,
        policy_revision=rules.revision,
        measure=measure,
        floor=floor,
        exposure=steer.outcomes(),
        exposure_late=steer.is_late,
        rung=rung,
    )


def _measured(rules: CompiledPolicy, candidates: Candidates) -> list[str]:
    """The attributes that the policy names, carried or not; when it names none, every small one that is carried."""
    return list(rules.named_attributes) or [
        name for name, column in candidates.attributes.items() if len(column.values) <= _MEASURED_VALUES
    ]


def _signal_counts(rules: CompiledPolicy, candidates: Candidates, pool: Pool) -> SignalCounts:
    embedding = next(iter(candidates.embeddings.values()), None)
    unknown, absent = {}, []
    for name in rules.read_attributes:
        if name in pool.columns:
            unknown[name] = pool.columns[name].unknown
        elif name in candidates.attributes:
            unknown[name] = candidates.attributes[name].hard(rules.label_rule(name).threshold).unknown
        else:
            absent.append(name)
    missing = embedding.missing if embedding is not None else len(candidates)
    ids = 0 if candidates.unknown is None else int(np.count_nonzero(candidates.unknown))
    return SignalCounts(missing, ids, tuple(absent), unknown)


def _notes(
    rules: CompiledPolicy, candidates: Candidates, context: Context, signals: SignalCounts, compared: bool
) -> tuple[str, ...]:
    notes = []
    count = len(candidates)
    compares = rules.strategy != "relevance" and rules.diversity > 0 and not looks_at_aspects(rules)
    if count and compares and not compared:
        what = "any of the similarity's signals" if rules.signals else "an embedding"
        notes.append(f"no candidate has {what}: diversity has nothing to compare, relevance decides")
    absent = signals.absent_attributes if count else ()
    if count and rules.signals:
        notes += [
            f"no candidate carries the embedding {escaped(name)} that the policy names"
            for name in absent_embeddings(rules, candidates)
        ]
    if absent:
        notes += [f"no candidate carries the attribute {escaped(name)} that the policy names" for name in absent]
    if rules.sample and compares and context.seed is None:
        notes.append("the request has no seed: the slate is drawn with seed 0")
    if context.without_profiling:
        notes.append("context and history of the user were not used")
    return tuple(notes)
