"""An audit in words: who is pushed down, who is missing from the results, and what is not known; then tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isfinite

from reranker.replay.audit.findings import Audit, Finding, Gap, GroupFinding
from reranker.replay.audit.tally import RELEVANCE, SAME_REQUEST, SCORE
from reranker.replay.bootstrap import Interval

_SHOWN = 40  # slices in a table
_EQUAL = "equal position: "


def sentences(found: Audit) -> list[str]:
    """The findings over all requests, a thought a sentence; slices have theirs in the tables and in one count."""
    said = [_headline(found), _read(found)]
    whole = [group for group in found.groups if group.slice == ("", "")]
    for group in whole:
        said += [_of_gap(group, gap) for gap in group.gaps if _is_news(gap)]
    said += _nothing_found(whole)
    said += [_of_results(group) for group in whole if group.shown.finding in (Finding.BELOW, Finding.ABOVE)]
    said += _in_slices(found)
    said += _not_known(found)
    said.append(
        f"Intervals leave {100 * found.significance:g} % to all findings together: each is at "
        f"{100 * found.level:.4g} %. Where nothing is said of why, a lower standing may be deserved: only equal "
        "signals (--given, --alike) or what turned out relevant (--relevance) tell that."
    )
    return said


def tables(found: Audit) -> list[str]:
    """Every group in every slice, the whole traffic first; of each field so many slices."""
    shown: dict[tuple[str, str], list[GroupFinding]] = {}
    for group in found.groups:
        shown.setdefault(group.slice, []).append(group)
    lines: list[str] = []
    keys = [each for each in found.slices if (each.dimension, each.value) in shown]
    for each in keys[:_SHOWN]:
        where = f"{each.dimension} = {each.value}" if each.dimension else "all requests"
        rows = _table(shown[each.dimension, each.value])
        lines += ["", f"{where}: {each.requests:,} result sets", *rows]
    if len(keys) > _SHOWN:
        lines += ["", f"{len(keys) - _SHOWN} slices more are in --json and --parquet."]
    return lines


def _headline(found: Audit) -> str:
    whole = [group for group in found.groups if group.slice == ("", "")]
    gaps = [(group, gap) for group in whole for gap in group.gaps]
    down = list(dict.fromkeys(_name(group) for group, gap in gaps if _accuses(gap)))
    short = [_name(group) for group in whole if group.shown.finding is Finding.BELOW]
    if down:
        said = f"Upstream puts {_listed(down)} lower than others"
    elif any(gap.finding is not Finding.TOO_LITTLE for _, gap in gaps):
        said = "No group is found to stand lower than others"
    elif found.ranked:
        said = "These requests do not tell whether a group stands lower than others"
    else:
        said = "These result sets have no scores: what is looked at is who is in them"
    if short:
        said += f"; {_listed(short)} {'has' if len(short) == 1 else 'have'} less of the results than is due"
    return f"{said}."


def _accuses(gap: Gap) -> bool:
    """Whether the scores push this group down: it stands lower, or deserved more where it stands."""
    if gap.among == _EQUAL + RELEVANCE:
        return gap.finding is Finding.ABOVE
    return gap.finding is Finding.BELOW and gap.among != _EQUAL + SCORE


def _read(found: Audit) -> str:
    text = f"Audited are {found.requests:,} result sets with {found.candidates:,} candidates"
    tops = list(found.tops)
    if tops:
        shown = f"{tops[0]}" if len(tops) == 1 else f"{tops[0]} to {tops[-1]}"
        text += f", of which the first {shown} are what is shown"
    if found.judged:
        text += f"; {found.judged:,} have judgements of relevance"
    if found.refused:
        worst, count = max(found.refused.items(), key=lambda entry: entry[1])
        text += f". {sum(found.refused.values()):,} more could not be read, {count:,} of them: {worst}"
    return f"{text}."


def _is_news(gap: Gap) -> bool:
    return gap.finding in (Finding.BELOW, Finding.ABOVE) and gap.among != _EQUAL + SCORE


def _of_gap(group: GroupFinding, gap: Gap) -> str:
    about = f"({gap.places.requests:,} requests, {_items(gap.items)})"
    if gap.among == _EQUAL + RELEVANCE:
        more = "more" if gap.finding is Finding.ABOVE else "less"
        verdict = "the scores push it down" if gap.finding is Finding.ABOVE else "the scores favour it"
        return f"At equal position {_name(group)} is {more} often relevant, {_points(gap.places)}: {verdict} {about}."
    where = "lower" if gap.finding is Finding.BELOW else "higher"
    verdict = (
        ""
        if gap.among == SAME_REQUEST
        else f": at equal signals the scores {'push it down' if where == 'lower' else 'lift it'}"
    )
    scores = f"; {gap.scores.mean:+.2f} standard deviations in score" if isfinite(gap.scores.mean) else ""
    return (
        f"{_name(group)} stands {where} than others of {gap.among}: by {_percent(abs(gap.places.mean))} of the list, "
        f"{_percent(min(abs(gap.places.low), abs(gap.places.high)))} to "
        f"{_percent(max(abs(gap.places.low), abs(gap.places.high)))}{scores}{verdict} {about}."
    )


def _nothing_found(whole: Iterable[GroupFinding]) -> Iterator[str]:
    for finding, words in (
        (Finding.NO_DIFFERENCE, "No difference is found for"),
        (Finding.TOO_LITTLE, "There is too little to tell of"),
    ):
        some: dict[str, list[str]] = {}
        for group in whole:
            for gap in group.gaps:
                if gap.finding is finding and gap.among != _EQUAL + SCORE:
                    some.setdefault(gap.among, []).append(_name(group))
        for among, names in some.items():
            yield f"{words} {_listed(names)} (against {among})."


def _of_results(group: GroupFinding) -> str:
    shown = group.shown
    if isfinite(shown.target):
        where = "below" if shown.finding is Finding.BELOW else "above"
        return (
            f"{_name(group)} is {_percent(shown.target + shown.beyond.mean)} of the results, {where} its target of "
            f"{_percent(shown.target)}: {_points(shown.beyond)}."
        )
    verb = "less" if shown.finding is Finding.BELOW else "more"
    return (
        f"{_name(group)} gets {_percent(shown.attention.mean)} of the attention to what is shown, {verb} than its "
        f"{_percent(shown.supply.mean)} of the candidates: {_points(shown.beyond)}."
    )


def _in_slices(found: Audit) -> Iterator[str]:
    sliced = [group for group in found.groups if group.slice != ("", "")]
    if not sliced:
        return
    for field in dict.fromkeys(group.slice[0] for group in sliced):
        some = [group for group in sliced if group.slice[0] == field]
        count = len({group.slice for group in some})
        down = [f"{_name(g)} in {g.slice[1]}" for g in some if any(map(_accuses, g.gaps))]
        short = [
            (g.shown.beyond.mean, f"{_name(g)} in {g.slice[1]} ({_points(g.shown.beyond)})")
            for g in some
            if g.shown.finding is Finding.BELOW
        ]
        text = f"By {field} ({count:,} slices): "
        parts = (
            [f"{len(down)} groups stand lower{': ' + _listed(down[:4]) if down else ''}"]
            if any(g.gaps for g in some)
            else []
        )
        worst = [words for _, words in sorted(short)[:4]]
        parts.append(f"{len(short)} fall short of their share of the results{': ' + _listed(worst) if worst else ''}")
        yield f"{text}{'; '.join(parts)}."


def _not_known(found: Audit) -> Iterator[str]:
    for each in found.attributes:
        if each.slice == ("", "") and each.unknown:
            share = _percent(each.unknown / max(each.candidates, 1))
            yield f"{each.attribute} is unknown for {each.unknown:,} of {each.candidates:,} candidates ({share})."
    if found.too_many_values:
        yield f"Not compared by group, as they have too many values: {', '.join(found.too_many_values)}."


_NUMBERS = ("requests", "candidates", "supply", "shown", "attention", "target", "skew", "standing", "gap")
_HEAD = ("group", *_NUMBERS, "finding", "results")


def _table(groups: Sequence[GroupFinding]) -> list[str]:
    rows = [_HEAD, *map(_row, groups)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(
            cell.ljust(width) if at == 0 or at >= len(_HEAD) - 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]  # fmt: skip


def _row(group: GroupFinding) -> tuple[str, ...]:
    shown = group.shown
    first = next((gap for gap in group.gaps if gap.among == SAME_REQUEST), None)
    return (
        _name(group),
        f"{group.requests:,}",
        f"{group.candidates:,}",
        _percent(shown.supply.mean),
        _percent(shown.share.mean),
        _percent(shown.attention.mean),
        _percent(shown.target),
        f"{shown.skew:+.2f}" if isfinite(shown.skew) else "–",
        _percent(group.standing.mean),
        "–" if first is None else f"{100 * first.places.mean:+.1f}",
        "–" if first is None else first.finding.value.lower(),
        shown.finding.value.lower(),
    )


def _name(group: GroupFinding) -> str:
    return f"{group.attribute} = {group.value}"


def _items(count: float) -> str:
    return "200 items or more" if count >= 200 else f"the weight of {count:.0f} different items"


def _points(interval: Interval) -> str:
    return f"{100 * interval.mean:+.1f} points, {100 * interval.low:+.1f} to {100 * interval.high:+.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if isfinite(share) else "–"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
