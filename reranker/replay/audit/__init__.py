"""A bias audit of upstream itself: whom its scores push down, and who is missing from what it shows."""

from __future__ import annotations

from reranker.errors import InvalidInput, Violation
from reranker.replay.audit.findings import Audit, Finding, Gap, GroupFinding, findings
from reranker.replay.audit.judgements import Judgements
from reranker.replay.audit.sets import ResultSet, Source
from reranker.replay.audit.tally import Question, Tally
from reranker.replay.audit.targets import Targets, read_targets

__all__ = [
    "Audit",
    "Finding",
    "Gap",
    "GroupFinding",
    "Judgements",
    "Question",
    "ResultSet",
    "Source",
    "Tally",
    "Targets",
    "audit",
    "findings",
    "read_targets",
]


def audit(
    source: Source,
    question: Question,
    judgements: Judgements | None = None,
    *,
    significance: float = 0.05,
    seed: int = 0,
) -> Audit:
    """Read every result set once and say what there is to say.

    Raises `InvalidInput` where a file is damaged, or where the question names what no result set has; `OSError`.
    """
    tally = Tally(question, judgements)
    for found in source.sets():
        tally.add(found)
    _check(question, tally)
    return findings(tally, question, source.refused, significance=significance, seed=seed)


def _check(question: Question, tally: Tally) -> None:
    if not tally.sets:
        return
    found = [
        Violation(f"--by {name}", f"no request has it; there are {', '.join(sorted(tally.fields))}")
        for name in question.by
        if name not in tally.fields
    ]
    named = {"--attribute": question.attributes, "--given": question.given, "--target": question.targets.shares}
    found += [
        Violation(f"{flag} {name}", f"no candidate has it; there are {', '.join(sorted(tally.attributes)) or 'none'}")
        for flag, names in named.items()
        for name in names
        if name not in tally.attributes
    ]
    if found:
        raise InvalidInput(found)
