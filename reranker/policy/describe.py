"""What a policy will do, in words and in numbers: for the people who own it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from reranker.policy import defaults
from reranker.policy.model import Policy
from reranker.policy.vocabulary import enum_word, fraction_of
from reranker.v1 import policy_pb2 as pb

_AT = (10, 25, 50)  # slate lengths at which counts are printed
_STRATEGY = {
    "relevance": "keeps to upstream relevance",
    "mmr": "weighs relevance against likeness to what stands above (MMR)",
    "dpp": "weighs relevance against what each item adds to those above it (DPP)",
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
        *_rails(message),
        *(sentence for quota in message.quotas for sentence in _sentences(quota)),
        f"When the bounds cannot all hold, it {_MODES[_word(message.on_infeasible, 'mode')]}.",
    ]


def numbers(policy: Policy) -> list[str]:
    """Of each share: the first slot at which it binds, and the counts it asks for at 10, 25 and 50 slots."""
    lines = []
    for index, quota in enumerate(policy.message.quotas):
        rows = [_row("at least", entry, first_floor, _floor) for entry in quota.min_share]
        rows += [_row("at most", entry, first_ceiling, _ceiling) for entry in quota.max_share]
        if rows:
            columns = "".join(f"{f'at {slots}':>8}" for slots in _AT)
            lines.append(f"{f'quotas[{index}] {quota.attribute}':<36}{'binds from':>12}{columns}")
            lines += rows
    return lines


def warnings(policy: Policy) -> list[str]:
    """Bounds that can never bind."""
    return [
        f"quotas[{index}] {quota.attribute}: {reason}"
        for index, quota in enumerate(policy.message.quotas)
        for reason in _vacuous(quota)
    ]


def first_floor(share: Fraction) -> int:
    """The first prefix j with floor(j x share) > 0; 0 when there is none."""
    return -(-share.denominator // share.numerator) if share > 0 else 0


def first_ceiling(share: Fraction) -> int:
    """The first prefix j with ceil(j x share) < j; 0 when there is none."""
    if share >= 1:
        return 0
    # ceil(j p) < j exactly when j (1 - p) >= 1.
    return first_floor(1 - share)


def _about(about: pb.About) -> list[str]:
    lines = [f"Purpose: {about.purpose}."] if about.purpose else []
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
    return f"{sentence}, at diversity {diversity:g} (0 is the upstream order, 1 variety alone)."


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


def _sentences(quota: pb.Quota) -> Iterator[str]:
    within = defaults.get(quota, "within")
    span = f"the first {within} slots" if within else "the slate"
    name = quota.attribute
    everywhere = f"at every prefix of {span}"
    for entry in quota.min_share:
        yield f"{name} {entry.value}: at least {_exact(entry.share)} {everywhere}."
    for entry in quota.max_share:
        yield f"{name} {entry.value}: at most {_exact(entry.share)} {everywhere}."
    for count in quota.min_count:
        yield f"{name} {count.value}: at least {count.count} in {span}."
    for count in quota.max_count:
        yield f"{name} {count.value}: at most {count.count} in {span}."
    if defaults.get(quota, "at_least_one_of_each"):
        values = ", ".join(quota.values) or "every value that a guard-passing candidate carries"
        yield f"{name}: at least one each of {values} in {span}."
    if quota.HasField("max_per_value"):
        window = defaults.get(quota, "window")
        where = f"any {window} slots in a row" if window else "the slate"
        yield f"{name}: no value more than {quota.max_per_value} times in {where}."


def _vacuous(quota: pb.Quota) -> Iterator[str]:
    within = defaults.get(quota, "within")
    for entry in quota.min_share:
        first = first_floor(_exact(entry.share))
        if not first or (within and first > within):
            yield f"min_share of {entry.value} asks for nothing{f' within {within} slots' if first else ''}"
    for entry in quota.max_share:
        first = first_ceiling(_exact(entry.share))
        if not first or (within and first > within):
            yield f"max_share of {entry.value} forbids nothing{f' within {within} slots' if first else ''}"
    for count in quota.min_count:
        if not count.count:
            yield f"min_count of {count.value} asks for nothing"
    for count in quota.max_count:
        if within and count.count >= within:
            yield f"max_count of {count.value} forbids nothing within {within} slots"
    window = defaults.get(quota, "window")
    if quota.HasField("max_per_value") and window and quota.max_per_value >= window:
        yield f"max_per_value forbids nothing in {window} slots"


def _row(
    bound: str, entry: pb.ValueShare, first: Callable[[Fraction], int], count: Callable[[Fraction, int], int]
) -> str:
    share = _exact(entry.share)
    binds = f"slot {first(share)}" if first(share) else "never"
    counts = "".join(f"{count(share, slots):>8}" for slots in _AT)
    return f"  {entry.value:<14.14} {bound:<9}{share!s:<10}{binds:>12}{counts}"


def _floor(share: Fraction, slots: int) -> int:
    return slots * share.numerator // share.denominator


def _ceiling(share: Fraction, slots: int) -> int:
    return -(-slots * share.numerator // share.denominator)


def _exact(share: pb.Share) -> Fraction:
    return fraction_of(share) or Fraction(0)


def _word(block: pb.Objective | pb.OnInfeasible, name: str) -> str:
    field = block.DESCRIPTOR.fields_by_name[name]
    assert field.enum_type is not None
    return enum_word(field.enum_type, defaults.get(block, name)) or ""
