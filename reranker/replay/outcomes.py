"""What people did with what they were shown: outcomes of a live experiment, joined with a replayed run by request.

A replay knows what each policy would have shown on every request, and so the requests on which two policies differ at
all. Only there can an experiment between them have an effect: its *triggered* effect is the same as the whole one, in
fewer requests and with less noise.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.errors import InvalidInput, Violation
from reranker.replay.bootstrap import DRAWS, Column, Interval, difference, intervals
from reranker.replay.contrasts import together
from reranker.replay.results import Results
from reranker.replay.words import Measure

SUSPICIOUS = 0.001
"""A sample ratio as unlikely as this means that requests got lost by arm: effects are not to be trusted."""
_WORDS = ("request_id", "arm", "seen", "engaged", "unit")
_MOST_VIOLATIONS = 20
_NO_ARM, _BOTH = -1, -2


@dataclass(frozen=True, slots=True)
class Rates:
    """What people did in one arm, or by how much two arms differ.

    `engaged_requests` is the share of requests with an engagement, `engaged_items` the share of seen items that were
    engaged with, both the mean over units.
    """

    engaged_requests: Interval
    engaged_items: Interval


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the requests: both arms, and the candidate's minus the baseline's."""

    baseline: Rates
    candidate: Rates
    effect: Rates
    sample_ratio: float
    """How likely so uneven a split of the units is, were they split as intended; NaN where there are none."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What could not be used, and why; all in requests but for `unknown_lines`."""

    without_outcome: int
    not_seen: int
    other_arms: int
    two_arms: int
    not_comparable: int
    unknown_lines: int


@dataclass(frozen=True, slots=True)
class Outcomes:
    """An experiment between the two policies of a comparison. `triggered` are the requests whose slates differ."""

    arms: tuple[str, str]
    requests: int
    triggered_requests: int
    everything: Part
    triggered: Part
    left_out: LeftOut


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Outcomes by request of a run, (n,): `arm` is 0, 1, or negative, `seen` and `engaged` count items."""

    arm: NDArray[np.int8]
    seen: NDArray[np.int64]
    engaged: NDArray[np.int64]
    unit: NDArray[np.int64]
    has_line: NDArray[np.bool_]
    unknown_lines: int


def join(lines: Iterable[str], names: Sequence[str], arms: tuple[str, str]) -> Joined:
    """JSON lines, in any order, by request: `names` are the request ids of a run.

    Lines of one request add up. Raises `InvalidInput` naming the lines that are wrong; no line is held.
    """
    place = {name: at for at, name in enumerate(names) if name}
    count = len(names)
    arm = np.full(count, _NO_ARM, np.int8)
    seen, engaged, unit = np.zeros(count, np.int64), np.zeros(count, np.int64), np.full(count, -1, np.int64)
    has_line = np.zeros(count, bool)
    units: dict[str, int] = {}
    unknown = 0
    for tree in _lines(lines):
        at = place.get(tree["request_id"])
        if at is None:
            unknown += 1
            continue
        has_line[at] = True
        seen[at] += tree.get("seen", 0)
        engaged[at] += tree.get("engaged", 0)
        if "unit" in tree:
            unit[at] = units.setdefault(tree["unit"], len(units))
        if tree.get("arm"):
            own = arms.index(tree["arm"]) if tree["arm"] in arms else len(arms)
            arm[at] = own if arm[at] in (_NO_ARM, own) else _BOTH
    alone = unit < 0
    unit[alone] = len(units) + np.arange(np.count_nonzero(alone))  # a request without a unit is its own
    return Joined(arm, seen, engaged, unit, has_line, unknown)


def outcomes_of(
    results: Results,
    baseline: str,
    candidate: str,
    lines: Iterable[str],
    *,
    arms: tuple[str, str] | None = None,
    candidate_share: float = 0.5,
    level: float = 0.95,
    seed: int = 0,
    draws: int = DRAWS,
) -> Outcomes:
    """Join `lines` with a run and compare its two arms, which have the policies' labels unless named otherwise.

    `candidate_share` is the share of units that was meant for the candidate's arm. Raises `InvalidInput`.
    """
    known = arms or (baseline, candidate)
    joined = join(lines, results.traffic.names, known)
    changed = together(results, baseline, candidate)[Measure("changed")]
    own = joined.arm >= 0
    in_arms = own & (joined.arm < len(known))
    mixed = in_arms & _of_mixed_units(joined, in_arms)
    seen = in_arms & ~mixed & (joined.seen > 0)
    used = seen & ~np.isnan(changed)
    spent: dict[str, Any] = {"candidate_share": candidate_share, "level": level, "seed": seed, "draws": draws}
    return Outcomes(
        known,
        int(np.count_nonzero(used)),
        int(np.count_nonzero(used & (changed == 1.0))),
        _part(joined, used, **spent),
        _part(joined, used & (changed == 1.0), **spent),
        LeftOut(
            without_outcome=int(np.count_nonzero(~joined.has_line)),
            not_seen=int(np.count_nonzero(in_arms & ~mixed & (joined.seen == 0))),
            other_arms=int(np.count_nonzero(joined.has_line & ~in_arms & (joined.arm != _BOTH))),
            two_arms=int(np.count_nonzero(mixed | (joined.arm == _BOTH))),
            not_comparable=int(np.count_nonzero(seen & np.isnan(changed))),
            unknown_lines=joined.unknown_lines,
        ),
    )


def sample_ratio(baseline: int, candidate: int, candidate_share: float) -> float:
    """How likely a split at least so uneven is by chance: Pearson's test with one degree of freedom."""
    units = baseline + candidate
    if not units:
        return float("nan")
    expected = units * candidate_share
    return erfc(sqrt((candidate - expected) ** 2 / (2.0 * expected * (1.0 - candidate_share))))


def sentences(found: Outcomes) -> list[str]:
    """The experiment in words: whether to trust it, what people did, and the effect where the slates differ."""
    said = []
    if found.everything.sample_ratio < SUSPICIOUS:
        said.append(
            f"The arms are not as large as they were meant to be (p = {found.everything.sample_ratio:.1g}): requests "
            "were lost by arm, so do not trust what follows."
        )
    for words, part, requests in (
        ("all requests", found.everything, found.requests),
        ("the requests whose slates differ", found.triggered, found.triggered_requests),
    ):
        effect = part.effect.engaged_requests
        if not effect.requests:
            said.append(f"Of {words}, there are no outcomes in both arms.")
            continue
        before, after = (rates.engaged_requests.mean for rates in (part.baseline, part.candidate))
        said.append(
            f"Of {words} ({requests:,}), {100 * after:.1f} % see an engagement in the arm {found.arms[1]}, "
            f"{100 * before:.1f} % in {found.arms[0]}: {_points(effect)}; of seen items "
            f"{_points(part.effect.engaged_items)}."
        )
    lost = [
        f"{number:,} {words}"
        for number, words in (
            (found.left_out.without_outcome, "requests without an outcome"),
            (found.left_out.not_seen, "requests of which nothing was seen"),
            (found.left_out.other_arms, "requests of no arm or of another"),
            (found.left_out.two_arms, "requests of units in two arms"),
            (found.left_out.not_comparable, "requests without a slate under both policies"),
            (found.left_out.unknown_lines, "lines of requests that the run does not have"),
        )
        if number
    ]
    return [*said, *([f"Left out: {', '.join(lost)}."] if lost else [])]


def _points(effect: Interval) -> str:
    return f"{100 * effect.mean:+.1f} points, {100 * effect.low:+.1f} to {100 * effect.high:+.1f}"


def _of_mixed_units(joined: Joined, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Requests of units that were in both arms."""
    size = int(joined.unit.max(initial=-1)) + 1
    in_arm = [np.bincount(joined.unit[rows & (joined.arm == arm)], minlength=size) > 0 for arm in (0, 1)]
    mixed: NDArray[np.bool_] = (in_arm[0] & in_arm[1])[joined.unit]
    return mixed


def _part(
    joined: Joined, rows: NDArray[np.bool_], *, candidate_share: float, level: float, seed: int, draws: int
) -> Part:
    engaged = (joined.engaged > 0).astype(float)
    of_items = np.minimum(joined.engaged / np.maximum(joined.seen, 1), 1.0)
    columns = [
        Column(_by_unit(joined.unit, values, rows & (joined.arm == arm)), 0.0, 1.0)
        for arm in (0, 1)
        for values in (engaged, of_items)
    ]
    found = intervals(columns, [level] * len(columns), seed=seed, draws=draws)
    effects = [difference(one, other) for one, other in zip(found[:2], found[2:], strict=True)]
    ratio = sample_ratio(found[0].requests, found[2].requests, candidate_share)
    return Part(Rates(*found[:2]), Rates(*found[2:]), Rates(*effects), ratio)


def _by_unit(unit: NDArray[np.int64], values: NDArray[np.float64], rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The mean of each unit over its requests among these; NaN where it has none."""
    size = int(unit.max(initial=-1)) + 1
    sums = np.bincount(unit[rows], weights=values[rows], minlength=size)
    counts = np.bincount(unit[rows], minlength=size)
    means: NDArray[np.float64] = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
    return means


def _lines(lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    found: list[Violation] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        wrong, tree = _checked(line, f"line {number}")
        found += wrong
        if len(found) >= _MOST_VIOLATIONS:
            break
        if not wrong:
            yield tree
    if found:
        raise InvalidInput(found, "--outcomes")


def _checked(line: str, path: str) -> tuple[list[Violation], Mapping[str, Any]]:
    try:
        tree = json.loads(line)
    except ValueError:
        tree = None
    if not isinstance(tree, dict):
        return [Violation(path, "must be a JSON object")], {}
    found = [Violation(path, "has a word that there is not; " + ", ".join(_WORDS))] if tree.keys() - set(_WORDS) else []
    if not isinstance(tree.get("request_id"), str) or not tree["request_id"]:
        found.append(Violation(f"{path}.request_id", "must be text"))
    found += [
        Violation(f"{path}.{word}", "must be text")
        for word in ("arm", "unit")
        if word in tree and not isinstance(tree[word], str)
    ]
    found += [
        Violation(f"{path}.{word}", "must be a whole number from 0 to 1,000,000")
        for word in ("seen", "engaged")
        if not _is_count(tree.get(word, 0))
    ]
    return found, tree


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000
