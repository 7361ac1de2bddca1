"""The context of a request as the engine's own type; every violation has its path on the wire."""

from __future__ import annotations

from reranker.candidates import Candidates
from reranker.codec.arrays import check_texts
from reranker.codec.catalog import Lookup
from reranker.codec.fixed import decode_fixed
from reranker.codec.limits import Limits
from reranker.codec.recent import decode_recent
from reranker.context import Context
from reranker.errors import InvalidInput, Violation
from reranker.v1 import context_pb2, reranker_service_pb2

_TEXTS = ("surface", "language", "country", "intent", "unit")


def decode_context(
    message: reranker_service_pb2.RerankRequest,
    candidates: Candidates | None,
    limits: Limits,
    found: list[Violation],
    lookup: Lookup,
) -> Context:
    """The request's context with the overriding seed, if any.

    `candidates` are the request's, None when they could not be read. Violations are added to `found`, and then the
    result must not be used. Complexity O(context), and O(candidates) when items are fixed.
    """
    sent = message.context
    ids = None if candidates is None else candidates.ids
    texts = {word: getattr(sent, word) for word in _TEXTS}  # read once: every look at a text makes it anew
    if max(map(len, texts.values())) > limits.text_length:
        too_long = f"must have at most {limits.text_length} characters"
        found += [Violation(f"context.{word}", too_long) for word in _TEXTS if len(texts[word]) > limits.text_length]
    seed = sent.seed if sent.HasField("seed") else None
    if message.overrides.HasField("seed"):
        seed = message.overrides.seed
    try:
        return Context(
            **texts,
            recent=decode_recent(message, candidates, limits, found, lookup) if sent.HasField("recent") else (),
            cursor=_cursor(sent, limits, found),
            refinement=_refinement(sent, limits, found) if sent.refinement else {},
            fixed=decode_fixed(message, ids, limits, found) if sent.fixed else {},
            targets=_targets(sent, limits, found) if sent.targets else {},
            without_profiling=sent.without_profiling,
            seed=seed,
        )
    except InvalidInput as error:
        found.extend(error.violations)
        return Context()


def _cursor(context: context_pb2.Context, limits: Limits, found: list[Violation]) -> bytes:
    cursor = context.cursor
    if len(cursor) > limits.cursor_bytes:
        found.append(Violation("context.cursor", f"must be at most {limits.cursor_bytes} bytes, is {len(cursor)}"))
    return cursor


def _refinement(context: context_pb2.Context, limits: Limits, found: list[Violation]) -> dict[str, tuple[str, ...]]:
    if len(context.refinement) > limits.attributes:
        reason = f"must be of at most {limits.attributes} attributes, is of {len(context.refinement)}"
        found.append(Violation("context.refinement", reason))
        return {}
    chosen: dict[str, tuple[str, ...]] = {}
    seen: set[str] = set()
    for i, narrowed in enumerate(context.refinement):
        path, values, mistakes = f"context.refinement[{i}]", tuple(narrowed.values), len(found)
        if not 1 <= len(narrowed.attribute) <= limits.text_length:
            found.append(Violation(f"{path}.attribute", f"must have 1 to {limits.text_length} characters"))
        if narrowed.attribute in seen:
            found.append(Violation(f"{path}.attribute", "must be unique within the refinement"))
        seen.add(narrowed.attribute)
        if not 1 <= len(values) <= limits.dictionary:
            reason = f"must be 1 to {limits.dictionary} values, are {len(values)}"
            found.append(Violation(f"{path}.values", reason))
        check_texts(f"{path}.values", values, limits.text_length, found)
        if len(found) == mistakes:
            chosen[narrowed.attribute] = values
    return chosen


def _targets(context: context_pb2.Context, limits: Limits, found: list[Violation]) -> dict[str, dict[str, float]]:
    if len(context.targets) > limits.attributes:
        reason = f"must be for at most {limits.attributes} attributes, are for {len(context.targets)}"
        found.append(Violation("context.targets", reason))
        return {}
    targets: dict[str, dict[str, float]] = {}
    for i, target in enumerate(context.targets):
        path = f"context.targets[{i}]"
        if not 1 <= len(target.attribute) <= limits.text_length:
            found.append(Violation(f"{path}.attribute", f"must have 1 to {limits.text_length} characters"))
        if target.attribute in targets:
            found.append(Violation(f"{path}.attribute", "must be unique among the targets"))
        if len(target.shares) > limits.dictionary:
            reason = f"must be for at most {limits.dictionary} values, are for {len(target.shares)}"
            found.append(Violation(f"{path}.shares", reason))
            continue
        check_texts(f"{path}.shares", [share.value for share in target.shares], limits.text_length, found)
        shares = {share.value: share.share for share in target.shares}
        if len(shares) < len(target.shares):
            found.append(Violation(f"{path}.shares", "must be for distinct values"))
        targets[target.attribute] = shares
    return targets
