"""Similarity from several signals, as one row of features a candidate: S = sum of w_m S_m over the sum of w_m."""

from __future__ import annotations

import numpy as np

from reranker.candidates import Candidates, EmbeddingColumn
from reranker.engine.features import (
    Part,
    absent_part,
    cosine_part,
    equality_part,
    is_ordered,
    jaccard_part,
    ordinal_part,
    prefix_part,
)
from reranker.errors import Violation
from reranker.kernels.door import measure_rows
from reranker.policy.compile import CompiledPolicy
from reranker.policy.terms import Signal


def compared(rules: CompiledPolicy, candidates: Candidates) -> tuple[EmbeddingColumn | None, bool]:
    """What strategies compare, None when nobody has any of it; and whether its cosines are still to be shifted.

    Without signals, or with one embedding alone, that is an embedding as it came in. Of a mix, the rows are the parts'
    features side by side, O(N x width). Its `norms` are the root of the row's squared length and of what is the
    candidate's own direction: 1 but for float32 rounding, so that a row over its norm has the mix's similarities and
    the matrix of them stays positive semi-definite whatever was rounded. A candidate without any signal has norm 0.
    """
    unused = rules.strategy == "relevance" or rules.diversity == 0.0
    if not rules.signals or unused or not len(candidates):
        return main_embedding(candidates), rules.shifted
    if not is_mixed(rules):
        return _if_any(candidates.embeddings.get(rules.signals[0].name)), rules.shifted
    parts = [_part(rules, signal, candidates) for signal in rules.signals]
    rows = np.concatenate([part.rows for part in parts], axis=1)
    if not rows.shape[1]:
        rows = np.zeros((len(candidates), 1), np.float32)
    own = np.sum([part.own for part in parts], axis=0)
    norms = np.empty(len(rows))
    measure_rows(rows, norms)
    norms = np.sqrt(np.square(norms) + own)
    norms[~np.any([part.known for part in parts], axis=0)] = 0.0
    return _if_any(EmbeddingColumn(rows, norms)), False


def is_mixed(rules: CompiledPolicy) -> bool:
    """Whether more than one embedding as it came in is compared."""
    return bool(rules.signals) and not (len(rules.signals) == 1 and rules.signals[0].is_embedding)


def main_embedding(candidates: Candidates) -> EmbeddingColumn | None:
    """The first embedding, if any candidate has it: for bounds on likeness, explanations and distances."""
    return _if_any(next(iter(candidates.embeddings.values()), None))


def signal_violations(rules: CompiledPolicy, candidates: Candidates) -> list[Violation]:
    """Scales that the request's values leave without an order."""
    found = []
    for signal in rules.signals:
        column = candidates.attributes.get(signal.name) if signal.kind == "ordinal" else None
        declared = rules.label_rule(signal.name).domain
        if column is not None and declared is None and not is_ordered(column.values):
            reason = (
                "has values that do not start with a number, so similarity_signals of kind ordinal need "
                f"[labels.{signal.name}] values to declare their order"
            )
            found.append(Violation(f"candidates.attributes[{signal.name!r}]", reason))
    return found


def absent_embeddings(rules: CompiledPolicy, candidates: Candidates) -> list[str]:
    """The embeddings of the mix that the request does not carry."""
    names = dict.fromkeys(signal.name for signal in rules.signals if signal.is_embedding)
    return [name for name in names if name not in candidates.embeddings]


def _if_any(column: EmbeddingColumn | None) -> EmbeddingColumn | None:
    return column if column is not None and column.missing < len(column.norms) else None


def _part(rules: CompiledPolicy, signal: Signal, candidates: Candidates) -> Part:
    if signal.is_embedding:
        embedding = candidates.embeddings.get(signal.name)
        if embedding is None:
            return absent_part(len(candidates), signal.weight)
        return cosine_part(embedding, rules.shifted, signal.weight)
    attribute = candidates.attributes.get(signal.name)
    if attribute is None:
        return absent_part(len(candidates), signal.weight)
    rule = rules.label_rule(signal.name)
    column = attribute.hard(rule.threshold)
    if signal.kind == "ordinal":
        return ordinal_part(column, rule.domain, signal.weight)
    kinds = {"equality": equality_part, "jaccard": jaccard_part, "prefix": prefix_part}
    return kinds[signal.kind](column, signal.weight)
