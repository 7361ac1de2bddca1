"""What a run does to every request: which policies, by which yardstick, against which catalog."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from reranker.errors import InvalidInput, Violation
from reranker.policy import Policy
from reranker.policy.aspects import BY_ASPECT
from reranker.policy.compile import compiled
from reranker.replay.measured import Yardstick

UPSTREAM, SERVED = "upstream", "served"
QUOTAS_ONLY, DIVERSITY_ONLY = "quotas only", "diversity only"
MOST_STEPS = 64
"""Settings of one sweep: each is a policy more that every request meets."""
_STEP = re.compile(r"([^.\[\]=]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One policy of a run under the label that tells it from the others.

    `part_of` is the label of the policy whose price this entry helps to split; `setting` is what a sweep gave to its
    knobs. Both are empty for a policy that is there for itself.

    `asks` is the server that makes the slates, as HOST:PORT; empty: they are made here. With `as_served` that server
    is asked as it was when the request was recorded, so what decides is its own policy and not this one, which then
    stands for it in name alone.
    """

    label: str
    policy: Policy
    part_of: str = ""
    setting: tuple[tuple[str, float], ...] = ()
    asks: str = ""
    as_served: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """When the servers of a run are asked, whatever they answer.

    `factor` times as fast as the requests were recorded; or, where there is a `rate`, so many a second. `deadline` is
    in seconds and covers one call, of which at most `in_flight` are under way: a call beyond that is sent late.
    """

    factor: float = 1.0
    rate: float | None = None
    deadline: float = 0.25
    in_flight: int = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """A run. `bare_lists_refer`: a list that carries no column is described by the whole of the catalog.

    `timing` is there for the entries that ask servers.
    """

    entries: tuple[Entry, ...]
    yardstick: Yardstick
    catalog: str = ""
    bare_lists_refer: bool = True
    timing: Timing | None = None

    @property
    def asking(self) -> tuple[Entry, ...]:
        """The entries whose slates servers make."""
        return tuple(entry for entry in self.entries if entry.asks)


def looked_at(plan: Plan) -> frozenset[str] | None:
    """The attributes that the policies and the yardstick look at, beside the targets of a request; None: any may be."""
    if not plan.yardstick.attributes:
        return None
    names = set(plan.yardstick.attributes)
    for entry in plan.entries:
        rules = compiled(entry.policy, 1)
        if rules.strategy in BY_ASPECT:  # it may choose one of what candidates have
            return None
        names.update(rules.read_attributes)
    return frozenset(names)


def upstream() -> Policy:
    """The upstream ranker's own order, as a policy; its label is `UPSTREAM`, a name that no policy may have."""
    return Policy.from_dict({"objective": {"strategy": "relevance", "diversity": 0.0}})


def served() -> Policy:
    """Stands for whatever a server does by itself: the policy that the record names, or the one that routes find."""
    return Policy.from_dict({"name": SERVED, "objective": {"strategy": "relevance", "diversity": 0.0}})


def entries_of(policies: Sequence[Policy], sweeps: Mapping[str, Sequence[float]], *, parts: bool) -> tuple[Entry, ...]:
    """The first policy is the baseline; the last is swept, and with `parts` each but the baseline has its price split.

    Labels are names, with the revision behind them where two policies have the same. Raises `InvalidInput`.
    """
    names = [UPSTREAM if policy == upstream() else policy.name for policy in policies]
    labels = [
        name if names.count(name) == 1 else f"{name} ({policy.revision})"
        for name, policy in zip(names, policies, strict=True)
    ]
    if len(set(labels)) < len(labels):
        raise InvalidInput([Violation("--policy", "the same policy twice: there is nothing to compare")])
    entries = [Entry(label, policy) for label, policy in zip(labels, policies, strict=True)]
    if parts:
        for entry in entries[1:]:
            entries += parts_of(entry)
    return (*entries, *swept(entries[len(policies) - 1], sweeps))


def asked_of(entries: Sequence[Entry], servers: Sequence[str]) -> tuple[Entry, ...]:
    """The same entries as questions to each of these servers; the upstream order, which needs none, is made here.

    Raises `InvalidInput`.
    """
    if len(set(servers)) < len(servers) or not all(servers):
        raise InvalidInput([Violation("--against", "must be different servers, as HOST:PORT,HOST:PORT")])
    asked = []
    for entry in entries:
        if entry.label == UPSTREAM:
            asked.append(entry)
            continue
        for server in servers:
            label, whole = (
                f"{name} at {server}" if len(servers) > 1 else name for name in (entry.label, entry.part_of)
            )
            part_of = whole if entry.part_of else ""
            own = entry.policy == served()
            asked.append(replace(entry, label=label, part_of=part_of, asks=server, as_served=own))
    return tuple(asked)


def unsteered(entries: Iterable[Entry]) -> list[str]:
    """The labels of the policies that stand for themselves and share attention across requests (`[[exposure]]`).

    Requests are replayed in any order on any process, so there is no ledger: such targets are quotas on each slate.
    """
    return [entry.label for entry in entries if not entry.part_of and entry.policy.to_dict().get("exposure")]


def parts_of(entry: Entry) -> list[Entry]:
    """The policy with its bounds alone, and with its variety alone; none where it has only one of the two."""
    tree = entry.policy.to_dict()
    objective = tree.get("objective", {})
    varies = objective.get("strategy") != "relevance" and objective.get("diversity", 0.5) > 0
    varied = varies or bool(tree.get("spacings") or tree.get("decays"))
    bound = bool(tree.get("quotas"))
    if not (varied and bound):
        return []
    plain = {**tree, "objective": {**objective, "diversity": 0.0}}
    for soft in ("spacings", "decays"):
        plain.pop(soft, None)
    free = {**tree, "quotas": []}
    return [
        Entry(f"{entry.label}, {words}", Policy.from_dict(changed), part_of=entry.label)
        for words, changed in ((QUOTAS_ONLY, plain), (DIVERSITY_ONLY, free))
    ]


def swept(entry: Entry, sweeps: Mapping[str, Sequence[float]]) -> list[Entry]:
    """The policy at every combination of the settings, e.g. {"objective.diversity": [0, 0.5]}. Raises `InvalidInput`.

    A path names keys and, in brackets, places in a list from 0: `quotas[0].min_share.dark`.
    """
    if not sweeps:
        return []
    settings = list(product(*([(path, value) for value in values] for path, values in sweeps.items())))
    if len(settings) > MOST_STEPS:
        raise InvalidInput([Violation("--sweep", f"must be at most {MOST_STEPS} settings, are {len(settings)}")])
    made: list[Entry] = []
    for setting in settings:
        tree = deepcopy(entry.policy.to_dict())
        for path, value in setting:
            _put(tree, path, value)
        says = ", ".join(f"{path} = {_told(value)}" for path, value in setting)
        made.append(Entry(f"{entry.label}, {says}", Policy.from_dict(tree), part_of=entry.label, setting=setting))
    return made


def _told(value: float) -> str:
    """A setting as short as it can be told from all others."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _put(tree: dict[str, Any], path: str, value: float) -> None:
    steps: list[str | int] = [int(at) if at else key for key, at in _STEP.findall(path)]
    whole = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")
    if not steps or whole != path or isinstance(steps[0], int):
        raise InvalidInput(
            [Violation("--sweep", f"{path!r} is no path such as objective.diversity or quotas[0].weight")]
        )
    place: Any = tree
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if isinstance(step, int):
            if not isinstance(place, list) or step >= len(place):
                raise InvalidInput([Violation("--sweep", f"{path!r}: the policy has no block [{step}] there")])
        elif not isinstance(place, dict):
            raise InvalidInput([Violation("--sweep", f"{path!r}: there is no table that could hold {step!r}")])
        elif following is not None and step not in place:
            if isinstance(following, int):
                raise InvalidInput([Violation("--sweep", f"{path!r}: the policy has no {step!r}")])
            place[step] = {}
        if following is None:
            place[step] = int(value) if value.is_integer() else value  # a count is no decimal
        else:
            place = place[step]


def sweeps_of(texts: Iterable[str]) -> dict[str, list[float]]:
    """`--sweep PATH=0,0.25,0.5` as numbers by path. Raises `InvalidInput` naming every text that is none."""
    found: list[Violation] = []
    sweeps: dict[str, list[float]] = {}
    for text in texts:
        path, separator, values = text.rpartition("=")
        try:
            numbers = [float(value) for value in values.split(",")]
        except ValueError:
            numbers = []
        if not separator or not path or not numbers:
            found.append(Violation("--sweep", f"{text!r} must be PATH=NUMBER,NUMBER,…"))
        elif path in sweeps:
            found.append(Violation("--sweep", f"{path} is given twice"))
        else:
            sweeps[path] = list(dict.fromkeys(numbers))
    if found:
        raise InvalidInput(found)
    return sweeps
