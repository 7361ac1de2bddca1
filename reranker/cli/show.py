"""How commands show a slate, and what a policy does to a list."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from reranker.texts import escaped

if TYPE_CHECKING:
    from reranker.candidates import Candidates
    from reranker.engine.trial import Trial
    from reranker.slate import Slate

_TIERS = {
    "NONE": "nothing to keep",
    "LOWER_EXACT": "exact: floors on one attribute",
    "PARTITION_EXACT": "exact: floors and caps on one attribute",
    "FLOW_EXACT": "exact: two attributes at one prefix",
    "HEURISTIC": "bounds that overlap: a slate that keeps them is looked for, and what is found is counted",
}


def as_json(slate: Slate) -> dict[str, Any]:
    """A slate for programs."""
    report = slate.report
    return {
        "ids": slate.ids,
        "positions": slate.positions.tolist(),
        "gains": slate.gains.tolist(),
        "status": report.status,
        "tier": report.tier,
        "relevance_retained": report.relevance_retained,
        "quotas": [outcome.detail for outcome in report.quotas],
        "notes": list(report.notes),
        "explanations": [explanation.text for explanation in slate.explanations],
    }


def as_text(candidates: Candidates, slate: Slate) -> list[str]:
    """A slate as a table, its report below, by line."""
    report = slate.report
    ids, scores = [escaped(str(item)) for item in slate.ids], candidates.scores[slate.positions]
    width = max([2, *map(len, ids)])
    lines = [f"{'slot':>4}  {'id':<{width}}  {'score':>10}  {'gain':>10}"]
    for slot, (item, score, gain) in enumerate(zip(ids, scores, slate.gains, strict=True), start=1):
        lines.append(f"{slot:>4}  {item:<{width}}  {score:>10.4g}  {gain:>10.4g}")
        if slate.explanations:
            lines.append(f"      {slate.explanations[slot - 1].text}")
    kept = "" if report.relevance_retained is None else f", {report.relevance_retained:.1%} of the relevance kept"
    lines.append("")
    lines.append(f"{report.status.value} by policy {report.policy_name} ({report.policy_revision[:12]}){kept}")
    lines += [f"  {outcome.status.value}  {outcome.detail}" for outcome in report.quotas]
    lines += [f"  note: {note}" for note in report.notes]
    return lines


def trial_as_text(trial: Trial) -> list[str]:
    """Whether the bounds hold on a list, what that costs, whom the guard takes away, how much is labelled; by line."""
    report = trial.slate.report
    lines = ["", f"on {_many(trial.candidates, 'candidate')}, a slate of {len(trial.slate.positions)}:"]
    if trial.refused:
        lines.append('  REFUSED, because of mode = "fail"; what follows is the slate of mode = "relax"')
    lines.append(f"  {report.status.value}  ({_TIERS[report.tier.value]})")
    lines += [f"    {o.status.value:<9} {'soft: ' if o.soft else ''}{o.detail}" for o in trial.outcomes]
    lines += [f"    note: {note}" for note in report.notes]
    lines.append(f"  relevance kept: {_percent(trial.retained)} of the upstream order's")
    lines.append(f"    without its quotas {_percent(trial.without_quotas)}")
    lines.append(f"    at diversity 0     {_percent(trial.without_diversity)}")
    lines += _guard(trial)
    for attribute, known in trial.labelled.items():
        share = known / trial.candidates if trial.candidates else 0.0
        lines.append(f"  {attribute}: known for {known} of {_many(trial.candidates, 'candidate')} ({share:.0%})")
    return lines


def _guard(trial: Trial) -> list[str]:
    if not trial.has_guard:
        return ["  there is no guard"]
    if trial.passing == trial.candidates:
        return ["  the guard takes nobody away"]
    lines = [f"  the guard: {trial.passing} of {_many(trial.candidates, 'candidate')} may be lifted"]
    for attribute, groups in groupby(trial.groups, key=lambda group: group.attribute):
        counts = ", ".join(f"{group.value} {group.passing} of {group.candidates}" for group in groups)
        lines.append(f"    {attribute}: {counts}")
    return lines


def _percent(share: float | None) -> str:
    return "nothing to keep" if share is None else f"{share:.1%}"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun if count == 1 else f'{noun}s'}"
