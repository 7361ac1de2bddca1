"""Scenarios: a TOML file each, that says what is asked, how it arrives, and what answer is good enough."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from loadtest.arrivals import Arrivals
from loadtest.errors import LoadtestError

FOLDER = Path(__file__).resolve().parent.parent / "scenarios"
EMBEDDINGS = ("float16", "float32", "none")
Part = TypeVar("Part", "Requests", "Slo", "Run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """One group of requests out of a recorded log.

    `candidates` takes lists of at least so many and cuts them to it; 0 leaves each as it was recorded. `dimension`
    repeats the recorded vectors to that length, which leaves every cosine as it is. `distinct` is how many different
    requests are sent at most, again and again in a random order.
    """

    name: str
    corpus: str
    kinds: list[str]
    policy: str
    share: float = 1.0
    candidates: int = 0
    attributes: list[str] = field(default_factory=list)
    embeddings: str = "float16"
    dimension: int = 64
    slate_size: int = 10
    explain: bool = False
    measures: bool = False
    distinct: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """What is promised. Percentiles in milliseconds count every request that was due; shares are of those too."""

    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None
    errors: float | None = None
    degraded: float | None = None
    deadline_misses: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How it is run. `rate` is the mean in requests a second; `processes` clients share it, each with `connections`."""

    rate: float
    seconds: float = 15.0
    warm_up: float = 3.0
    deadline_ms: float = 250.0
    processes: int = 1
    connections: int = 1
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario."""

    name: str
    about: str
    arrivals: Arrivals
    requests: tuple[Requests, ...]
    slo: Slo
    run: Run

    @property
    def policies(self) -> list[str]:
        """The policies that it names, each once."""
        return sorted({group.policy for group in self.requests})


def names() -> list[str]:
    """The scenarios that come with the project."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> Scenario:
    """The scenario of that name, or of that file when it ends in `.toml`. Raises `LoadtestError` naming the key."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        words = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LoadtestError(f"there is no scenario {name!r}; there are {', '.join(names())}") from None
    except tomllib.TOMLDecodeError as error:
        raise LoadtestError(f"{path}: {error}") from None
    try:
        return parse(words, path.stem)
    except LoadtestError as error:
        raise LoadtestError(f"{path}: {error}") from None


def parse(words: Mapping[str, Any], name: str) -> Scenario:
    """A scenario from its TOML tree. Raises `LoadtestError`."""
    unknown = sorted(set(words) - {"about", "arrivals", "requests", "slo", "run"})
    if unknown:
        raise LoadtestError(f"unknown: {', '.join(unknown)}")
    arrivals = dict(words.get("arrivals", {}))
    groups = tuple(
        _part(Requests, entry, f"requests[{number}]") for number, entry in enumerate(words.get("requests", ()))
    )
    scenario = Scenario(
        name=name,
        about=str(words.get("about", "")),
        arrivals=Arrivals(str(arrivals.pop("kind", "poisson")), arrivals),
        requests=groups,
        slo=_part(Slo, words.get("slo", {}), "slo"),
        run=_part(Run, words.get("run", {}), "run"),
    )
    _check(scenario)
    return scenario


_KINDS: dict[str, Any] = {
    "str": str,
    "int": int,
    "bool": bool,
    "float": (int, float),
    "float | None": (int, float),
    "list[str]": list,
}


def _part(kind: type[Part], words: Mapping[str, Any], path: str) -> Part:
    """A table of the file as its dataclass: every key known, every value of its type, none missing."""
    types = {item.name: str(item.type) for item in fields(kind)}
    unknown = sorted(set(words) - set(types))
    if unknown:
        raise LoadtestError(f"{path}: unknown: {', '.join(unknown)}; there are {', '.join(types)}")
    for name, value in words.items():
        of_type = isinstance(value, _KINDS[types[name]]) and (types[name] == "bool" or not isinstance(value, bool))
        if not of_type:
            raise LoadtestError(f"{path}.{name} must be of type {types[name].removesuffix(' | None')}")
    try:
        return kind(**words)
    except TypeError as error:
        raise LoadtestError(f"{path}: {str(error).partition(') ')[2]}") from None


def _check(scenario: Scenario) -> None:
    """What types do not say."""
    if not scenario.requests:
        raise LoadtestError("requests must hold at least one group")
    if len({group.name for group in scenario.requests}) < len(scenario.requests):
        raise LoadtestError("requests: every group needs a name of its own")
    for group in scenario.requests:
        if group.embeddings not in EMBEDDINGS:
            raise LoadtestError(f"requests {group.name!r}: embeddings must be one of {', '.join(EMBEDDINGS)}")
        if group.share <= 0 or group.distinct < 1 or group.slate_size < 1 or group.candidates < 0:
            raise LoadtestError(f"requests {group.name!r}: share, distinct and slate_size must be above 0")
    run = scenario.run
    if min(run.rate, run.seconds, run.deadline_ms, run.processes, run.connections) <= 0 or run.warm_up < 0:
        raise LoadtestError("run: rate, seconds, deadline_ms, processes and connections must be above 0")
