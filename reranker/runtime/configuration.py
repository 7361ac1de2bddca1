"""Where settings come from: flags win over RERANKER_* variables, those over a TOML file, that over the defaults."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from reranker.errors import FileViolation, InvalidInput, Violation
from reranker.runtime.settings import Settings
from reranker.runtime.settings_file import Entry, no_such_setting, read_entries

PREFIX = "RERANKER_"
CONFIG = "config"
"""The flag `--config`, and the variable with it, that name the file; it is no setting, as no file can name itself."""
_ELSEWHERE = frozenset({"RERANKER_CACHE_DIR"})  # read by the kernels, before there are any settings


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings, and where each came from: a flag, a variable, a line of the file, or "default"."""

    settings: Settings
    sources: Mapping[str, str]


class _Given(NamedTuple):
    """One value as somebody wrote it: `name` is its flag, its variable, or its key in a line of `file`."""

    text: str
    name: str
    line: int = 0
    file: Path | None = None

    @property
    def source(self) -> str:
        """Where it stands, in words."""
        return self.name if self.file is None else f"{self.file}, line {self.line}"

    def complaint(self, reason: str) -> Violation:
        """What is wrong with it."""
        if self.file is None:
            return Violation(self.name, reason)
        return FileViolation(self.name, reason, self.line, str(self.file))


class _Rule(NamedTuple):
    """What has to hold between settings; not asked when one of `names` has no sound value."""

    names: tuple[str, ...]
    broken: Callable[[Settings], bool]
    reason: str


_HIGHEST_PORT = 65_535


def _last_port(settings: Settings) -> int:
    """That of the last worker, where each has its own; 0 where the system chooses them."""
    first = int(settings.listen.rpartition(":")[2])
    return first and first + settings.workers - 1


# The first name of a rule is the setting that the mistake is reported at.
_RULES: tuple[_Rule, ...] = (
    _Rule(
        ("store_items", "store"),
        lambda settings: settings.store_items and settings.store is None,
        "needs a store: give its URL as store",
    ),
    _Rule(
        ("listen", "port_per_worker", "workers"),
        lambda settings: settings.port_per_worker and _last_port(settings) > _HIGHEST_PORT,
        "leaves too few ports below 65536 for one a worker",
    ),
    _Rule(
        ("reflection", "profile"),
        lambda settings: bool(settings.reflection) and settings.production,
        'must be false where profile = "production"',
    ),
    _Rule(
        ("tls_certificate", "tls_key"),
        lambda settings: (settings.tls_certificate is None) != (settings.tls_key is None),
        "goes with tls_key: give both or neither",
    ),
    _Rule(
        ("tls_client_ca", "tls_certificate"),
        lambda settings: settings.tls_client_ca is not None and settings.tls_certificate is None,
        "goes with tls_certificate and tls_key",
    ),
    _Rule(
        ("listen", "tls_certificate", "insecure"),
        lambda settings: not (settings.loopback or settings.tls_certificate or settings.insecure),
        "other machines can reach it: it needs tls_certificate and tls_key, or --insecure where a proxy has TLS",
    ),
)


def flag_of(name: str) -> str:
    """The flag of a setting."""
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """The variable of a setting."""
    return PREFIX + name.upper()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """One flag per setting, and `--config`; values stay text until `resolve` looks at them beside the others."""
    parser.add_argument(flag_of(CONFIG), metavar="FILE", default=None, help="a TOML file of settings")
    for setting in fields(Settings):
        words = setting.metadata["help"]
        if is_switch(setting.type):
            parser.add_argument(flag_of(setting.name), action=argparse.BooleanOptionalAction, default=None, help=words)
        else:
            shown = setting.metadata["shown"] or setting.default
            parser.add_argument(flag_of(setting.name), metavar="…", default=None, help=f"{words} (default {shown})")


def is_switch(kind: object) -> bool:
    """Whether a setting of this type is on or off; dataclasses keep the types as text here."""
    return str(kind).partition(" ")[0] == "bool"


def resolve(flags: Mapping[str, object], environment: Mapping[str, str] | None = None) -> Configuration:
    """The settings by `flags` (None: not given), `environment`, the file that one of them names, and the defaults.

    Raises `InvalidInput` naming every flag, variable and key of the file that is unknown, has a bad value, or does not
    go with another one.
    """
    environment = os.environ if environment is None else environment
    found = _unknown_variables(environment)
    file, entries = _file_entries(flags, environment, found)
    values: dict[str, Any] = {}
    givens: dict[str, _Given] = {}
    failed: set[str] = set()
    for setting in fields(Settings):
        given = _given(setting.name, flags, environment, entries, file)
        if given is None:
            continue
        givens[setting.name] = given
        try:
            values[setting.name] = _parsed(given, setting.metadata["parse"], setting.type)
        except ValueError as error:
            failed.add(setting.name)
            found.append(given.complaint(str(error)))
    settings = Settings(**values)
    found += _broken_rules(settings, givens, failed)
    if found:
        raise InvalidInput(found)
    sources = {s.name: givens[s.name].source if s.name in givens else "default" for s in fields(Settings)}
    return Configuration(settings, sources)


def _file_entries(
    flags: Mapping[str, object], environment: Mapping[str, str], found: list[Violation]
) -> tuple[Path | None, Mapping[str, Entry]]:
    """The file and its keys; what is wrong with them goes to `found`."""
    given, source = flags.get(CONFIG), flag_of(CONFIG)
    if given is None:
        given, source = environment.get(variable_of(CONFIG)), variable_of(CONFIG)
    if not given:
        return None, {}
    file = Path(str(given))
    try:
        return file, read_entries(file, [setting.name for setting in fields(Settings)], found)
    except OSError as error:
        found.append(Violation(source, f"{file} cannot be read: {error.strerror}"))
    return file, {}


def _given(
    name: str,
    flags: Mapping[str, object],
    environment: Mapping[str, str],
    entries: Mapping[str, Entry],
    file: Path | None,
) -> _Given | None:
    """What was given for a setting by whoever has the first word; None when nobody said anything."""
    if flags.get(name) is not None:
        return _Given(str(flags[name]), flag_of(name))
    variable = variable_of(name)
    if variable in environment:
        return _Given(environment[variable], variable)
    if name in entries:
        return _Given(entries[name].text, name, entries[name].line, file)
    return None


def _parsed(given: _Given, parse: Callable[[str], Any], kind: object) -> Any:
    text = given.text
    if given.file is not None and text and "Path" in str(kind):
        text = str(given.file.parent / text)  # wherever the server is started
    return parse(text)


def _broken_rules(settings: Settings, givens: Mapping[str, _Given], failed: set[str]) -> list[Violation]:
    def complaint(rule: _Rule) -> Violation:
        name = rule.names[0]
        given = givens.get(name)
        return given.complaint(rule.reason) if given else Violation(flag_of(name), rule.reason)

    return [complaint(rule) for rule in _RULES if failed.isdisjoint(rule.names) and rule.broken(settings)]


def _unknown_variables(environment: Mapping[str, str]) -> list[Violation]:
    known = [variable_of(name) for name in (CONFIG, *(setting.name for setting in fields(Settings)))]
    return [
        Violation(name, no_such_setting(name, known))
        for name in sorted(environment)
        if name.startswith(PREFIX) and name not in known and name not in _ELSEWHERE
    ]
