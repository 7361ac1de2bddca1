"""What a policy will do, in plain sentences: for the people who own it."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import Message

from reranker.policy import defaults
from reranker.policy.aspects import BY_ASPECT
from reranker.policy.binding import exact, shares_of, subject
from reranker.policy.exposure import target_shares
from reranker.policy.model import Policy
from reranker.policy.terms import compile_signals
from reranker.policy.vocabulary import enum_word, fraction_of
from reranker.v1 import policy_pb2 as pb

_STRATEGY = {
    "relevance": "keeps to upstream relevance",
    "mmr": "weighs relevance against likeness to what stands above (MMR)",
    "msd": "weighs relevance against the mean distance to what stands above (MSD)",
    "dpp": "weighs relevance against what each item adds to those above it (DPP)",
    "ssd": "weighs relevance against what each item adds to those above it (SSD)",
    "cover": "weighs relevance against how much of the whole list the slate stands for (COVER)",
    "xquad": "weighs relevance against aspects that nothing above covers (xQuAD)",
    "pm2": "weighs relevance against aspects that have fewer slots than their share (PM-2)",
    "dum": "takes the most relevant items of aspects that are not covered yet (DUM)",
    "calibrated": "weighs relevance against how far the slate's aspects are from their target (calibration)",
    "round_robin": "takes the most relevant item of each aspect in turn (round robin)",
}
_REFINED = {
    "filter": "only what was chosen takes part",
    "boost": "what was chosen comes first",
    "ignore": "nobody moves",
}
_LIKE = {
    "cosine": "the embedding ",
    "equality": "equal ",
    "jaccard": "shared ",
    "ordinal": "near ",
    "prefix": "kindred ",
}
_FADES = {
    "reciprocal": "1/d of that d slots apart",
    "exponential": "exp((1 - d) / {0}) of that d slots apart",
    "step": "as much",
}
_MODES = {
    "relax": "comes as close as can be and says where it falls short",
    "strict": "gives the upstream order and says why",
    "fail": "answers with an error",
}


def described(policy: Policy) -> list[str]:
    """The policy's main parameters in plain sentences, one a line."""
    message = policy.message
    return [
        f"{policy.name}, revision {policy.revision}",
        *_about(message.about),
        _objective(message.objective),
        *_limits(message),
        *_signals(message),
        *_aspects(message),
        *_rails(message),
        *(sentence for quota in message.quotas for sentence in _quota(quota)),
        *(_spacing(spacing) for spacing in message.spacings),
        *(_decay(decay) for decay in message.decays),
        *(sentence for exposure in message.exposure for sentence in _exposure(exposure)),
        *_labels(message.labels),
        *_shadow(message.shadow),
        f"When the bounds cannot all hold, it {_MODES[_word(message.on_infeasible, 'mode')]}.",
    ]


def _about(about: pb.About) -> list[str]:
    lines = [f"Purpose: {' '.join(about.purpose.split())}."] if about.purpose else []
    if about.owner:
        review = f", who look at it again by {about.review_by}" if about.review_by else ""
        lines.append(f"It belongs to {about.owner}{review}.")
    return lines


def _objective(objective: pb.Objective) -> str:
    strategy = _word(objective, "strategy")
    sentence = f"It {_STRATEGY.get(strategy, f'uses the strategy {strategy}')}"
    if strategy == "relevance":
        return f"{sentence}."
    diversity = defaults.get(objective, "diversity")
    sentence = f"{sentence}, at diversity {diversity:g} (0 is the upstream order, 1 variety alone)"
    window = defaults.get(objective, "window")
    if window and strategy in ("mmr", "dpp"):
        back = window - 1
        beside = f"the last {back} {_plural('item', back)} alone" if back else "nothing, so that relevance decides"
        return f"{sentence}, beside {beside}."
    if window and strategy == "ssd":
        return f"{sentence}, with a window of {window} {_plural('slot', window)}."
    return f"{sentence}."


def _limits(message: pb.Policy) -> Iterator[str]:
    """What holds variety back."""
    objective = message.objective
    if objective.HasField("relevance_floor"):
        share = f"{objective.relevance_floor:.4g}"
        yield f"It takes less diversity where it must, to keep {share} of the relevance that the bounds allow."
    window = defaults.get(objective, "candidate_window")
    if window:
        yield f"Only the best {window} candidates are diversified; others stand only where a bound needs them."
    if message.refinement.HasField("mode"):
        yield f"Where a user narrows an attribute, {_REFINED[_word(message.refinement, 'mode')]}; quotas on it rest."


def _signals(message: pb.Policy) -> Iterator[str]:
    if _word(message.objective, "strategy") == "relevance" or not message.similarity_signals:
        return
    parts = [f"{_LIKE[s.kind]}{s.name} ({s.weight:.3g})" for s in compile_signals(message)]
    yield f"Likeness is that of {', '.join(parts[:-1])}{' and ' if len(parts) > 1 else ''}{parts[-1]}."


def _spacing(spacing: pb.Spacing) -> str:
    paid = f"{spacing.attribute}: an item loses {spacing.penalty:g} for each value that it shares with the one above it"
    if spacing.window == 1:
        return f"{paid}."
    fades = _FADES[_word(spacing, "decay")].format(spacing.window)
    return f"{paid}, and {fades}, up to {spacing.window} slots apart."


def _decay(decay: pb.Decay) -> str:
    least = defaults.get(decay, "floor")
    floor = f"{least:g} + {1 - least:g} x " if least else ""
    return f"{decay.attribute}: behind n items of a value, relevance above the least counts {floor}{decay.factor:g}^n."


def _aspects(message: pb.Policy) -> Iterator[str]:
    """Where aspects come from, for strategies that look at them; and whether slates are drawn."""
    if message.objective.sample:
        yield "Slates are drawn at random with the request's seed; the same seed draws the same slate."
    if not message.HasField("calibration"):
        if _word(message.objective, "strategy") in BY_ASPECT:
            yield "Aspects are the values of the first attribute that the policy names, or else that candidates have."
        return
    block = message.calibration
    shares = ", ".join(f"{entry.value} {fraction_of(entry.share)}" for entry in block.target)
    if block.target_source == pb.TARGET_SOURCE_POOL:
        shares = "as among the labelled candidates that pass the guard"
    elif block.target_source == pb.TARGET_SOURCE_REQUEST:
        shares = "as the request asks, or else as among the labelled candidates that pass the guard"
    yield f"Aspects are the values of {block.attribute}, wanted in these shares: {shares}."


def _rails(message: pb.Policy) -> Iterator[str]:
    guard = message.guard
    conditions = []
    if guard.HasField("min_score"):
        conditions.append(f"a score of at least {guard.min_score:g}")
    if guard.HasField("min_share_of_best"):
        conditions.append(f"at least {guard.min_share_of_best:.4g} of the best score")
    conditions += [f"{where.attribute} {' or '.join(where.values)}" for where in guard.where]
    if conditions:
        yield f"Only items with {', and '.join(conditions)} may be lifted above their upstream rank."
    keep_top = defaults.get(message.placement, "keep_top")
    if keep_top:
        yield f"The first {'item keeps its slot' if keep_top == 1 else f'{keep_top} items keep their slots'}."
    max_fall = defaults.get(message.placement, "max_fall")
    if max_fall:
        yield f"No item falls more than {max_fall} {_plural('slot', max_fall)} below its upstream rank."
    for key, lack in (("unknown_id", "that the catalog does not know"), ("missing_embedding", "without embedding")):
        rule = _word(message.signals, key)
        if rule == "keep_in_place":
            yield f"Items {lack} stand at their upstream rank and nowhere else."
        elif rule == "reject":
            yield f"A request with an item {lack} is refused."


def _quota(quota: pb.Quota) -> Iterator[str]:
    """The block's sentences; what holds for all of them is said once, after the last."""
    yield from _likeness(quota)
    yield from _shares(quota)
    yield from _counts(quota)
    coverage = defaults.get(quota, "min_coverage")
    if coverage:
        yield f"  It applies where at least {coverage:.4g} of the candidates have a known {quota.attribute}."
    weight = defaults.get(quota, "weight")
    if defaults.get(quota, "soft"):
        yield f"  It is soft: each unit weighs {weight:g} beside relevance and variety; the status never depends on it."
    elif weight != 1:
        yield f"  Where something has to give, one unit of it counts {weight:g}."


def _likeness(quota: pb.Quota) -> Iterator[str]:
    if quota.HasField("max_similarity"):
        window = defaults.get(quota, "window")
        where = f"fewer than {window} slots apart" if window else "of the slate"
        yield f"No two items {where} have embeddings with a cosine above {quota.max_similarity:g}."


def _shares(quota: pb.Quota) -> Iterator[str]:
    name, everywhere = subject(quota), f"at every prefix of {_span(quota)}"
    for entry in quota.min_share:
        yield f"{f'{name} {entry.value}'.rstrip()}: at least {exact(entry.share)} {everywhere}."
    for entry in quota.max_share:
        yield f"{f'{name} {entry.value}'.rstrip()}: at most {exact(entry.share)} {everywhere}."
    targets = [bound for bound in shares_of(quota) if bound.key == "target"]
    for low, high in zip(targets[::2], targets[1::2], strict=True):
        yield f"{name} {low.value}: at least {low.share} and at most {high.share} {everywhere}."
    sources = {
        pb.TARGET_SOURCE_REQUEST: "that the request names, and nothing where it names none",
        pb.TARGET_SOURCE_POOL: "among the labelled candidates that pass the guard",
    }
    if quota.target_source in sources:
        tolerance = defaults.get(quota, "tolerance")
        near = f"within {tolerance:g} of the shares" if tolerance else "the shares"
        yield f"{name}: each value {near} {sources[quota.target_source]}, {everywhere}."


def _counts(quota: pb.Quota) -> Iterator[str]:
    name, span = subject(quota), _span(quota)
    for count in quota.min_count:
        yield f"{f'{name} {count.value}'.rstrip()}: at least {count.count} in {span}."
    for count in quota.max_count:
        yield f"{f'{name} {count.value}'.rstrip()}: at most {count.count} in {span}."
    if defaults.get(quota, "at_least_one_of_each"):
        values = ", ".join(quota.values) or "every value that a guard-passing candidate carries"
        yield f"{name}: at least one each of {values} in {span}."
    if quota.HasField("max_per_value"):
        window = defaults.get(quota, "window")
        where = f"any {window} slots in a row" if window else "the slate"
        times = "once" if quota.max_per_value == 1 else f"{quota.max_per_value} times"
        yield f"{name}: no value more than {times} in {where}."


def _exposure(exposure: pb.Exposure) -> Iterator[str]:
    """What is steered across requests, and what holds where there is no ledger."""
    shares = ", ".join(f"{value} {share}" for value, share in target_shares(exposure).items())
    if exposure.target_source == pb.TARGET_SOURCE_POOL:
        shares = "those among the labelled candidates that pass the guard"
    elif exposure.target_source == pb.TARGET_SOURCE_REQUEST:
        shares = "those that requests name"
    apart = f", for each {' and '.join(exposure.per)} apart" if exposure.per else ""
    half_life, band = defaults.get(exposure, "half_life"), defaults.get(exposure, "band")
    yield (
        f"{exposure.attribute}: over requests, shares of exposure are steered to {shares}{apart}; the past counts half "
        f"after {half_life}."
    )
    yield f"  In one slate a value is lifted to {band:g} above its share at most."
    yield (
        f"  Values with fewer than {defaults.get(exposure, 'min_count')} items are left alone. Where nothing is known "
        "of earlier requests, the shares are least shares at every prefix of the slate."
    )


def _labels(labels: pb.Labels) -> Iterator[str]:
    """How unknown labels count, where it is not the default."""
    yield from _unknown(_word(labels, "unknown"), "")
    for own in labels.attributes:
        if own.HasField("unknown"):
            yield from _unknown(_word(own, "unknown"), f" of {own.attribute}")
        if own.sensitive:
            yield f"Values of {own.attribute} are sensitive: never logged or shown without permission."


def _unknown(rule: str, whose: str) -> Iterator[str]:
    if rule == "exclude":
        yield f"Items without a label{whose} are not counted in prefixes: shares are of labelled items."
    elif rule == "group":
        yield f"Items without a label{whose} are a group of their own, called unknown."


def _shadow(shadow: pb.Shadow) -> Iterator[str]:
    if shadow.fraction:
        share = f"{shadow.fraction:.4g} of its answers, drawn at random"
        yield f"Beside {share}, the slate of {shadow.policy} is made and only counted."


def _span(quota: pb.Quota) -> str:
    within = defaults.get(quota, "within")
    return f"the first {within} {_plural('slot', within)}" if within else "the slate"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _word(block: Message, name: str) -> str:
    field = block.DESCRIPTOR.fields_by_name[name]
    assert field.enum_type is not None
    return enum_word(field.enum_type, defaults.get(block, name)) or ""
