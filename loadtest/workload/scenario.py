"""Scenarios: a TOML file each, that says what is asked, how it arrives, and what answer is good enough."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from loadtest.arrivals import Arrivals
from loadtest.errors import LoadtestError
from loadtest.workload import limits

FOLDER = Path(__file__).resolve().parent.parent / "scenarios"
CATALOG = "catalog"
EMBEDDINGS = ("float16", "float32", "none", CATALOG)
MOST_GROUPS = 255
Part = TypeVar("Part", "Requests", "Slo", "Run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """One group of requests out of a recorded log.

    `candidates` takes lists of at least so many and cuts them to it; 0 leaves each as it was recorded. `dimension`
    repeats the recorded vectors to that length, which leaves every cosine as it is. With `gathered`, lists that are too
    short are filled up with those recorded after them, each item once. With `embeddings = "catalog"` ids
    and scores travel, and the server looks everything else up. `distinct` is how many different requests are sent at
    most, again and again in a random order.
    """

    name: str
    corpus: str
    kinds: list[str]
    policy: str
    share: float = 1.0
    candidates: int = 0
    gathered: bool = False
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

    @property
    def catalog(self) -> tuple[str, int] | None:
        """The corpus that the server's item catalog holds, and the length of its vectors; None without a catalog."""
        return next(((group.corpus, group.dimension) for group in self.requests if group.embeddings == CATALOG), None)


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
    except OSError as error:
        raise LoadtestError(f"{path}: {error.strerror}") from None
    except ValueError as error:  # TOML that is none, or bytes that are no UTF-8
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
    arrivals = dict(_table(words.get("arrivals", {}), "arrivals"))
    entries = words.get("requests", [])
    if not isinstance(entries, list):
        raise LoadtestError("requests must be a list of tables: [[requests]]")
    groups = tuple(_part(Requests, entry, f"requests[{number}]") for number, entry in enumerate(entries))
    about, kind = words.get("about", ""), arrivals.pop("kind", "poisson")
    for path, text in (("about", about), ("arrivals.kind", kind)):
        if not isinstance(text, str):
            raise LoadtestError(f"{path} must be of type str")
    scenario = Scenario(
        name=name,
        about=about,
        arrivals=Arrivals(kind, arrivals),
        requests=groups,
        slo=_part(Slo, words.get("slo", {}), "slo"),
        run=_part(Run, words.get("run", {}), "run"),
    )
    check(scenario)
    return scenario


def _table(words: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(words, Mapping):
        raise LoadtestError(f"{path} must be a table")
    return words


_KINDS: dict[str, Any] = {
    "str": str,
    "int": int,
    "bool": bool,
    "float": (int, float),
    "float | None": (int, float),
    "list[str]": list,
}


def _part(kind: type[Part], words: Any, path: str) -> Part:
    """A table of the file as its dataclass: every key known, every value of its type, none missing."""
    types = {item.name: str(item.type) for item in fields(kind)}
    unknown = sorted(set(_table(words, path)) - set(types))
    if unknown:
        raise LoadtestError(f"{path}: unknown: {', '.join(unknown)}; there are {', '.join(types)}")
    for name, value in words.items():
        of_type = isinstance(value, _KINDS[types[name]]) and (types[name] == "bool" or not isinstance(value, bool))
        if not of_type:
            raise LoadtestError(f"{path}.{name} must be of type {types[name].removesuffix(' | None')}")
        if types[name] == "list[str]" and not all(isinstance(item, str) for item in value):
            raise LoadtestError(f"{path}.{name} must hold texts only")
        if isinstance(value, int | float):
            limits.finite(f"{path}.{name}", value)
    without = [item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING]
    missing = [name for name in without if name not in words]
    if missing:
        raise LoadtestError(f"{path}: missing: {', '.join(missing)}")
    return kind(**words)


def check(scenario: Scenario) -> None:
    """What types do not say. Raises `LoadtestError` naming the key; to be called again after changes."""
    groups = scenario.requests
    if not 1 <= len(groups) <= MOST_GROUPS:
        raise LoadtestError(f"requests must hold at least one group, and at most {MOST_GROUPS}")
    if len({group.name for group in groups}) < len(groups):
        raise LoadtestError("requests: every group needs a name of its own")
    for group in groups:
        _check_group(group)
        if group.embeddings == CATALOG and (group.corpus, group.dimension) != scenario.catalog:
            raise LoadtestError("requests: one server has one catalog, so one corpus and one dimension")
    _check_slo(scenario.slo)
    _check_run(scenario.run)


def _check_group(group: Requests) -> None:
    path = f"requests {group.name!r}"
    if group.embeddings not in EMBEDDINGS:
        raise LoadtestError(f"{path}: embeddings must be one of {', '.join(EMBEDDINGS)}")
    limits.name_of_a_file(f"{path}: policy", group.policy)
    limits.name_of_a_file(f"{path}: corpus", group.corpus)
    limits.above_nothing(f"{path}: share", group.share, 1e6)
    limits.above_nothing(f"{path}: distinct", group.distinct, 100_000)
    limits.above_nothing(f"{path}: slate_size", group.slate_size, 100_000)
    limits.above_nothing(f"{path}: dimension", group.dimension, 100_000)
    limits.within(f"{path}: candidates", group.candidates, 0, 1_000_000)


def _check_slo(slo: Slo) -> None:
    promised = {name: limit for name, limit in asdict(slo).items() if limit is not None}
    if not promised:
        raise LoadtestError("slo must promise something: without a promise nothing can be met")
    for name, limit in promised.items():
        if name.endswith("_ms"):
            limits.above_nothing(f"slo.{name}", limit, limits.LONGEST_MS)
        else:
            limits.within(f"slo.{name}", limit, 0, 1)


def _check_run(run: Run) -> None:
    limits.above_nothing("run.rate", run.rate, limits.MOST_PER_SECOND)
    limits.above_nothing("run.seconds", run.seconds, limits.LONGEST_SECONDS)
    limits.above_nothing("run.deadline_ms", run.deadline_ms, limits.LONGEST_MS)
    limits.above_nothing("run.processes", run.processes, limits.MOST_PROCESSES)
    limits.above_nothing("run.connections", run.connections, 1000)
    limits.within("run.warm_up", run.warm_up, 0, limits.LONGEST_WARM_UP)
    limits.within("run.seed", run.seed, 0, 2**63 - 1)
    if run.rate * (run.seconds + run.warm_up) > limits.MOST_REQUESTS:
        raise LoadtestError(f"run: at most {limits.MOST_REQUESTS:,} requests in all: lower the rate or the seconds")
