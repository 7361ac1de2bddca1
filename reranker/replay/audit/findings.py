"""What an audit finds of every group in every slice, with intervals as wide as the number of findings demands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, log, nan

from reranker.replay.audit.shares import Means
from reranker.replay.audit.tally import Account, Group, Question, Tally
from reranker.replay.audit.twoway import LEAST_REQUESTS
from reranker.replay.bootstrap import DRAWS, Interval
from reranker.replay.comparison import SliceSize
from reranker.replay.measured import MOST_VALUES

_MOST_DRAWS = 20_000
_OF_LISTS = {
    "label_coverage": (0.0, 1.0),
    "ndkl": (0.0, inf),
    "min_skew": (-inf, inf),
    "max_skew": (-inf, inf),
    "attention_gap": (0.0, 1.0),
}
NOT_COMPARED = Interval(nan, nan, nan, 0)


class Finding(StrEnum):
    """What is sure of a difference."""

    BELOW = "BELOW"
    ABOVE = "ABOVE"
    NO_DIFFERENCE = "NO DIFFERENCE FOUND"
    TOO_LITTLE = "TOO LITTLE TO TELL"


@dataclass(frozen=True, slots=True)
class Gap:
    """A group beside others that are equal in some way (`among`): where its members stand, or what they have.

    `places` is the difference in standing as a share of the list, `scores` that in standard deviations of a request's
    scores; of a comparison at equal position `places` is the difference in what stands there. `items` is the effective
    number of different items of the group, as far as it is counted.
    """

    among: str
    places: Interval
    scores: Interval
    items: float
    finding: Finding


@dataclass(frozen=True, slots=True)
class Representation:
    """What a group has of the results. `share` and `attention` are of the labelled items of the top.

    `beyond` is the share minus the target, or the attention minus the supply where there is no target; `skew` is
    ln(share / supply) of the two means.
    """

    share: Interval
    attention: Interval
    supply: Interval
    excess: Interval
    skew: float
    target: float
    beyond: Interval
    finding: Finding


@dataclass(frozen=True, slots=True)
class GroupFinding:
    """One value of one attribute in one slice."""

    slice: tuple[str, str]
    attribute: str
    value: str
    requests: int
    candidates: int
    standing: Interval
    score: Interval
    gaps: tuple[Gap, ...]
    shown: Representation


@dataclass(frozen=True, slots=True)
class AttributeFinding:
    """One attribute in one slice: candidates, those of unknown value, and measures of the upstream order at the top."""

    slice: tuple[str, str]
    attribute: str
    requests: int
    candidates: int
    unknown: int
    lists: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Audit:
    """An audit of upstream. All intervals are at `level`, which leaves `significance` to all findings together."""

    requests: int
    ranked: int
    candidates: int
    judged: int
    refused: Mapping[str, int]
    tops: Mapping[int, int]
    significance: float
    level: float
    seed: int
    slices: tuple[SliceSize, ...]
    """Result sets by field and value, the largest first; all of them have none of either."""
    attributes: tuple[AttributeFinding, ...]
    groups: tuple[GroupFinding, ...]
    too_many_values: tuple[str, ...]


def findings(
    tally: Tally,
    question: Question,
    refused: Mapping[str, int],
    *,
    significance: float = 0.05,
    seed: int = 0,
    draws: int = DRAWS,
) -> Audit:
    """Everything that is to be said. Equal input and seed give equal findings."""
    places = [(key, name, own) for key in tally.slices for name, own in sorted(tally.slices[key].items())]
    known = {name: tuple(account.groups) for name, account in tally.slices.get(("", ""), {}).items()}
    checks = sum(_checks(account, _targets_of(account, name, question, known[name])) for _, name, account in places)
    level = 1.0 - significance / max(checks, 1)
    draws = max(draws, min(round(20.0 * max(checks, 1) / significance), _MOST_DRAWS))
    spent = _Spent(level, seed, draws)
    groups = [
        found for key, name, account in places for found in _groups(key, name, account, question, known[name], spent)
    ]
    return Audit(
        tally.sets,
        tally.ranked,
        tally.candidates,
        tally.judged,
        dict(refused),
        dict(sorted(tally.tops.items())),
        significance,
        level,
        seed,
        tuple(
            SliceSize(*key, count, count < LEAST_REQUESTS)
            for key, count in sorted(tally.sizes.items(), key=lambda entry: (entry[0][0], -entry[1], entry[0][1]))
        ),
        tuple(_attribute(key, name, account, tally.sizes[key], spent) for key, name, account in places),
        tuple(groups),
        tuple(sorted(name for name, values in tally.large.items() if len(values) > MOST_VALUES)),
    )


@dataclass(frozen=True, slots=True)
class _Spent:
    level: float
    seed: int
    draws: int

    def intervals(self, means: Means, ends: Mapping[str, tuple[float, float]]) -> dict[str, Interval]:
        return means.intervals(ends, self.level, seed=self.seed, draws=self.draws)


def _checks(account: Account, targets: Mapping[str, float] | None) -> int:
    """How many differences are looked at, of those of which something can be said."""
    groups = account.groups.values()
    gaps = sum(each.is_enough for group in groups for each in group.paired.values())
    gaps += sum(each.is_enough for group in groups for each in group.at_position.values())
    of_results = len({*account.groups, *(targets or {})}) if _units(account) >= LEAST_REQUESTS else 0
    return gaps + of_results


def _units(account: Account) -> int:
    """Requests that say what is shown; items where sets are draws."""
    return account.draws.labelled if _is_drawn(account) else account.top.requests


def _is_drawn(account: Account) -> bool:
    return account.draws.sets > 0 and account.draws.sets == account.lists.requests


def _attribute(key: tuple[str, str], name: str, account: Account, requests: int, spent: _Spent) -> AttributeFinding:
    there = {each: ends for each, ends in _OF_LISTS.items() if each in account.lists.names()}
    lists = spent.intervals(account.lists, there)
    return AttributeFinding(key, name, requests, account.candidates, account.unknown, lists)


def _targets_of(account: Account, name: str, question: Question, known: Sequence[str]) -> Mapping[str, float] | None:
    """The target shares of an attribute in one slice; None where the candidates are what it is compared with."""
    targets = question.targets
    if name in targets.shares:
        return targets.shares[name]
    if targets.of_request and account.targets.requests:
        return dict.fromkeys(account.targets.names(), nan)
    if targets.uniform:
        return dict.fromkeys(known, 1.0 / max(len(known), 1))
    return None


def _groups(
    key: tuple[str, str], name: str, account: Account, question: Question, known: Sequence[str], spent: _Spent
) -> Iterator[GroupFinding]:
    """`known` are the values of all requests: a slice that lacks one shows it with nothing."""
    targets = _targets_of(account, name, question, known)
    values = sorted({*known, *(targets or {})})
    shares = dict.fromkeys(values, (0.0, 1.0))
    top, attention, supply = (
        spent.intervals(means, shares) for means in (account.top, account.attention, account.supply)
    )
    excess = spent.intervals(account.excess, dict.fromkeys(values, (-1.0, 1.0)))
    beyond = spent.intervals(account.beyond_target, dict.fromkeys(values, (-1.0, 1.0)))
    declared = spent.intervals(account.targets, shares)
    standing = spent.intervals(account.standing, shares)
    score = spent.intervals(account.score, shares)
    for value in values:
        group = account.groups.get(value, Group())
        share = top[value]
        if _is_drawn(account):
            share = account.draws.interval(value, spent.level, seed=spent.seed, draws=spent.draws)
        target = nan if targets is None else targets.get(value, nan)
        if targets is not None and target != target and value in targets:  # each request's own
            target, over = declared[value].mean, beyond[value]
        else:
            over = _less(share, target) if targets is not None else excess[value]
        shown = Representation(
            share,
            attention[value],
            supply[value],
            excess[value],
            log(share.mean / supply[value].mean) if share.mean > 0.0 and supply[value].mean > 0.0 else nan,
            target,
            over,
            _finding(over, is_enough=over.requests >= LEAST_REQUESTS),
        )
        gaps = tuple(_gaps(group, spent.level))
        yield GroupFinding(
            key, name, value, group.requests, group.candidates, standing[value], score[value], gaps, shown
        )


def _gaps(group: Group, level: float) -> Iterator[Gap]:
    for among, paired in group.paired.items():
        places = paired.difference(0, level)
        finding = _finding(places, is_enough=paired.is_enough)
        yield Gap(among, places, paired.difference(1, level), paired.items[0], finding)
    for name, at_position in group.at_position.items():
        difference = at_position.difference(level)
        finding = _finding(difference, is_enough=at_position.is_enough)
        yield Gap(f"equal position: {name}", difference, NOT_COMPARED, at_position.items[0], finding)


def _less(share: Interval, target: float) -> Interval:
    return Interval(share.mean - target, share.low - target, share.high - target, share.requests)


def _finding(gap: Interval, *, is_enough: bool) -> Finding:
    if not is_enough or gap.mean != gap.mean:
        return Finding.TOO_LITTLE
    if gap.high < 0.0:
        return Finding.BELOW
    return Finding.ABOVE if gap.low > 0.0 else Finding.NO_DIFFERENCE
