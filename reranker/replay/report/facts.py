"""The numbers that a reader looks for first, in a row under the verdict."""

from __future__ import annotations

from reranker.replay.comparison import Comparison
from reranker.replay.contrasts import Contrast
from reranker.replay.gates import Outcome
from reranker.replay.measured import TIMES
from reranker.replay.report.html import Html, between, number, tag
from reranker.replay.words import MEANINGS, Measure

_ATTRIBUTES = 3  # shown here; all of them stand further down


def facts(found: Comparison) -> Html:
    """What it keeps, how much it changes, whom it shows, and how many gates pass."""
    changed, overlap = found.together["changed"], found.together["overlap"]
    shown = []
    kept = found.of("relevance_retained")
    if kept is not None and kept.change.requests:
        shown.append(_of_both(found, kept, "Relevance kept"))
    if changed.requests:
        share, same = number(Measure("changed"), changed.mean), number(Measure("overlap"), overlap.mean)
        shown.append(_fact("Requests with another slate", share, f"the two slates share {same} of their items"))
    attributes = dict.fromkeys(c.measure.attribute for c in found.overall if c.measure.attribute)
    for attribute in [each for each in attributes if TIMES not in each][:_ATTRIBUTES]:
        present = found.of("div", attribute)
        if present is not None and present.change.requests:
            shown.append(_of_both(found, present, f"Slates with every {attribute}"))
    if found.checks:
        count = sum(check.outcome is Outcome.PASS for _, check in found.every_check)
        shown.append(
            _fact("Checks that pass", f"{count} of {len(found.every_check)}", f"on {found.requests:,} requests")
        )
    return tag("dl", *shown, class_="facts")


def _of_both(found: Comparison, contrast: Contrast, title: str) -> Html:
    measure, change = contrast.measure, contrast.change
    unit = " points" if MEANINGS[measure.name].percent else ""
    moved = f"{number(measure, change.mean, signed=True)}{unit} ({between(measure, change, signed=True)})"
    about = f"{number(measure, contrast.baseline.mean)} under {found.baseline}: {moved}"
    return _fact(title, number(measure, contrast.candidate.mean), about)


def _fact(title: str, value: str, about: str) -> Html:
    return tag("div", tag("dt", title), tag("dd", tag("strong", value), " ", tag("span", about)))
