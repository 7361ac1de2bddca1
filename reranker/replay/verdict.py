"""The comparison in words: who gains, who loses, what it costs, whether it is safe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reranker.replay.bootstrap import Interval
from reranker.replay.comparison import Comparison
from reranker.replay.contrasts import Contrast
from reranker.replay.gates import Check, Outcome
from reranker.replay.measured import TIMES
from reranker.replay.noisy import UnderNoise
from reranker.replay.words import MEANINGS, Measure
from reranker.slate import REASON_WORDS, OutcomeReason

_COSTS = frozenset({"relevance_retained", "ndcg", "latency_us"})
_SHOWN = 4  # groups that gain or lose, in one sentence


def headline(found: Comparison) -> str:
    """One line: the outcome, and what kind of policy this is."""
    return f"{found.outcome.value}: {_character(found)}"


def sentences(found: Comparison) -> list[str]:
    """The verdict, a thought a sentence: the outcome first, then reach, price, groups, and what is not known."""
    said = [f"{headline(found)}.", _reach(found)]
    if not _is_no_effect(found):
        worth = (_price(found), _causes(found), *_representation(found)) if found.together["changed"].requests else ()
        said += [text for text in (*worth, _bounds(found)) if text]
    said += _gates(found.checks)
    for level in found.label_noise:
        said += _under_noise(level)
    said += _unknown(found)
    return said


def _is_no_effect(found: Comparison) -> bool:
    changed = found.together["changed"]
    return changed.requests > 0 and changed.mean == 0.0


def _character(found: Comparison) -> str:
    if _is_no_effect(found):
        return f"{found.candidate} has no effect; every slate is the same as under {found.baseline}"
    failed = [check for check in found.checks if check.outcome is Outcome.FAIL]
    unfair = list(dict.fromkeys(_who(check.measure) for check in failed if check.measure.attribute))
    costly = [check for check in failed if check.measure.name in _COSTS]
    parts = []
    if any(check.measure.name == "answered" for check in failed):
        parts.append("it leaves requests without a slate")
    if unfair:
        parts.append(f"it is worse for {_listed(unfair[:_SHOWN])}")
    if costly:
        parts.append("it costs more than the gates allow")
    if failed and not parts:
        parts.append("it misses a gate")
    noisy = [level.noise for level in found.label_noise if level.outcome is Outcome.FAIL]
    if noisy and not failed:
        parts.append(f"what it gains does not survive {noisy[0]}")
    if parts:
        return f"{found.candidate} against {found.baseline}: {' and '.join(parts)}"
    unsure = [level.noise for level in found.label_noise if level.outcome is Outcome.INSUFFICIENT]
    if unsure and not any(check.outcome is Outcome.INSUFFICIENT for check in found.checks):
        return f"these requests do not tell whether what {found.candidate} gains survives {unsure[0]}"
    if found.outcome is Outcome.INSUFFICIENT:
        return f"these requests do not tell whether {found.candidate} is as safe as {found.baseline}"
    return f"{found.candidate} clears every gate against {found.baseline}"


def _who(measure: Measure) -> str:
    """Who a check of a group is about, and by what, without the measure's abbreviation."""
    who = f"{measure.attribute} = {measure.value}" if measure.value else measure.attribute
    return f"{who} ({MEANINGS[measure.name].title.partition(' (')[0]})"


def _reach(found: Comparison) -> str:
    changed = found.together["changed"]
    if changed.requests == 0:
        return f"No request of {found.requests:,} has a slate under both policies."
    same = found.together["overlap"]
    if changed.mean == 0.0:
        return f"Of {changed.requests:,} requests none gets another slate."
    some = f"Of {changed.requests:,} requests {_percent(changed.mean)} get another slate"
    text = f"All {changed.requests:,} requests get another slate" if changed.mean == 1.0 else some
    return f"{text}; on average the two slates of a request share {_percent(same.mean)} of their items."


def _price(found: Comparison) -> str:
    kept = found.of("relevance_retained")
    if kept is None or kept.change.requests == 0:
        return "What it costs in relevance cannot be said: scores have no zero (objective.score_zero)."
    before, after = _percent(kept.baseline.mean), _percent(kept.candidate.mean)
    text = f"It keeps {after} of the upstream relevance, where {found.baseline} keeps {before}"
    change = f"{100 * kept.change.mean:+.1f} points ({100 * kept.change.low:+.1f} to {100 * kept.change.high:+.1f})"
    return f"{text}: a change of {change}{_within_noise(kept)}."


def _causes(found: Comparison) -> str:
    price = found.price
    if price is None:
        return ""
    return (
        f"Of the {_percent(price.both.mean)} that it gives away against upstream, its quotas alone would cost "
        f"{_percent(price.quotas_only.mean)} and its variety alone {_percent(price.diversity_only.mean)}."
    )


def _representation(found: Comparison) -> Iterable[str]:
    attributes = dict.fromkeys(contrast.measure.attribute for contrast in found.overall if contrast.measure.attribute)
    for attribute in attributes:
        if TIMES in attribute:
            continue
        present, gap = found.of("div", attribute), found.of("attention_gap", attribute)
        ceiling = found.of("div_ceiling", attribute)
        if present is None or present.change.requests == 0:
            continue
        text = f"{attribute}: every group is on {_percent(present.candidate.mean)} of the slates"
        text += f" ({_percent(present.baseline.mean)} under {found.baseline}"
        text += (
            f"; the lists allow {_percent(ceiling.candidate.mean)})" if ceiling and ceiling.candidate.requests else ")"
        )
        if gap is not None and gap.change.requests:
            text += f"; to match the reference, {_percent(gap.candidate.mean)} of the attention would have to move "
            text += f"({_percent(gap.baseline.mean)})"
        yield f"{text}."
        moved = [
            contrast
            for contrast in found.overall
            if contrast.measure.name == "attention" and contrast.measure.attribute == attribute
        ]
        gains = [each for each in moved if each.change.low > 0.0]
        loses = [each for each in moved if each.change.high < 0.0]
        for verb, some, sign in (("gains", gains, -1.0), ("loses", loses, 1.0)):
            if some:
                some.sort(key=lambda each: sign * each.change.mean)
                named = [f"{each.measure.value} ({_points(each.change)})" for each in some[:_SHOWN]]
                yield f"Attention by {attribute}: {_listed(named)} {verb if len(some) == 1 else verb[:-1]}."


def _bounds(found: Comparison) -> str:
    broken = [deficit for deficit in found.deficits[found.candidate] if not deficit.soft and deficit.broken]
    if not broken:
        return ""
    reasons: dict[str, int] = {}
    for deficit in broken:
        for reason, count in deficit.broken.items():
            reasons[reason] = reasons.get(reason, 0) + count
    ordered = sorted(reasons.items(), key=lambda entry: -entry[1])
    why = [f"{count:,} times {REASON_WORDS[OutcomeReason(reason)]} ({reason})" for reason, count in ordered]
    return f"Hard bounds are broken: {_listed(why)}."


def _gates(checks: Sequence[Check]) -> list[str]:
    if not checks:
        return ["No gate was set."]
    count = {outcome: sum(check.outcome is outcome for check in checks) for outcome in Outcome}
    fail = "fails" if count[Outcome.FAIL] == 1 else "fail"
    said = [
        f"Of {len(checks)} checks {count[Outcome.PASS]} pass, {count[Outcome.FAIL]} {fail} and "
        f"{count[Outcome.INSUFFICIENT]} cannot be told from these requests."
    ]
    for outcome in (Outcome.FAIL, Outcome.INSUFFICIENT):
        some = [check for check in checks if check.outcome is outcome]
        said += [f"{outcome.value}: {check.text} ({_interval(check)})." for check in some[:_SHOWN]]
        if len(some) > _SHOWN:
            said.append(f"{outcome.value}: {len(some) - _SHOWN} more.")
    return said


def _under_noise(level: UnderNoise) -> list[str]:
    """The verdict where labels are wrong: the gates again, and how much of the gain is left."""
    checks = (*level.checks, *level.gains)
    passed = sum(check.outcome is Outcome.PASS for check in checks)
    said = [
        f"With {level.noise} ({level.requests:,} requests, {level.imputations} draws of the true labels): "
        f"{level.outcome.value}, {passed} of {len(checks)} checks pass."
    ]
    said += [f"{check.outcome.value} with {level.noise}: {_left(check)}." for check in level.gains]
    if not level.gains:
        said.append(f"There is no gain of which {level.noise} could take anything.")
    some = [check for check in level.checks if check.outcome is not Outcome.PASS]
    said += [f"{check.outcome.value} with {level.noise}: {check.text} ({_interval(check)})." for check in some[:_SHOWN]]
    if len(some) > _SHOWN:
        said.append(f"{len(some) - _SHOWN} more do not pass with {level.noise}.")
    if level.left_alone:
        said.append(f"Labels of {_listed(level.left_alone)} are taken as they are: items have several values.")
    return said


def _left(check: Check) -> str:
    """What is left of a gain, and how much has to be."""
    meaning, interval, limit = MEANINGS[check.measure.name], check.interval, check.gate.limit[1]
    what = f"of the gain in {check.measure.attribute}, {meaning.title},"
    if not interval.requests:
        return f"{what} nothing can be said"
    return f"{what} {_points(interval)} is left, where it has to be {100 * limit:+.1f} at least"


def _interval(check: Check) -> str:
    interval = check.interval
    if interval.requests == 0:
        return "no request has it"
    scale = 100.0 if MEANINGS[check.measure.name].percent else 1.0
    unit = " points" if check.gate.is_of_change and scale > 1.0 else " %" if scale > 1.0 else ""
    digits = 1 if scale > 1.0 else 3
    low, high = (
        f"{scale * end:+.{digits}f}" if check.gate.is_of_change else f"{scale * end:.{digits}f}"
        for end in ends(interval)
    )
    return f"between {low} and {high}{unit} on {interval.requests:,} requests"


def ends(interval: Interval) -> tuple[float, float]:
    """Both ends of an interval."""
    return interval.low, interval.high


def _unknown(found: Comparison) -> list[str]:
    said = []
    for label, refusals in found.refusals.items():
        if refusals:
            worst, count = max(refusals.items(), key=lambda entry: entry[1])
            said.append(f"{sum(refusals.values()):,} requests have no slate under {label}; {count:,} of them: {worst}.")
    small = [part for part in found.slices if part.is_small]
    if small:
        named = [f"{part.dimension} = {part.value} ({part.requests})" for part in small[:_SHOWN]]
        more = f" and {len(small) - _SHOWN} more" if len(small) > _SHOWN else ""
        said.append(f"Slices too small for any gate: {', '.join(named)}{more}.")
    return said


def _within_noise(contrast: Contrast) -> str:
    if contrast.noise == contrast.noise and abs(contrast.change.mean) <= contrast.noise:
        return f", less than the {100 * contrast.noise:.1f} points that other traffic alone would bring"
    return ""


def _points(interval: Interval) -> str:
    return f"{100 * interval.mean:+.1f} points, {100 * interval.low:+.1f} to {100 * interval.high:+.1f}"


def _percent(share: float) -> str:
    """A share, never rounded up to all or down to nothing."""
    if 0.0 < share < 0.0005:
        return "less than 0.1 %"
    if 0.9995 <= share < 1.0:
        return "more than 99.9 %"
    return f"{100 * share:.1f} %"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
