"""Every setting of the server in one table: flags win over RERANKER_* variables, variables over the defaults here."""

from __future__ import annotations

import argparse
import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from reranker.errors import InvalidInput, Violation

PREFIX = "RERANKER_"
_ELSEWHERE = frozenset({"RERANKER_CACHE_DIR"})  # read by the kernels, before there are any settings


def _boolean(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise ValueError("must be true or false")
    return words[text.lower()]


def _count(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 3_600.0:
        raise ValueError("must be seconds from 0 to 3600")
    return value


def _address(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError("must be host:port, with a port from 0 to 65535 (0: any free one)")
    return text


def _address_or_off(text: str) -> str:
    return "" if text.lower() in ("", "off") else _address(text)


def _folder(text: str) -> Path | None:
    if not text:
        return None
    if not Path(text).is_dir():
        raise ValueError("must be a folder that exists")
    return Path(text)


def _file(text: str) -> Path | None:
    if not text:
        return None
    if not Path(text).is_file():
        raise ValueError("must be a file that exists")
    return Path(text)


def _level(text: str) -> str:
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError("must be debug, info, warning or error")
    return text.lower()


def _read(parse: Callable[[str], Any], text: str) -> dict[str, Any]:
    return {"parse": parse, "help": text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator decides. `None` means: chosen by whether the server listens on this machine alone."""

    listen: str = field(
        default="127.0.0.1:50051", metadata=_read(_address, "where gRPC listens; port 0 takes a free one")
    )
    admin: str = field(
        default="127.0.0.1:9090",
        metadata=_read(_address_or_off, "where /metrics, /healthz and /readyz are; 'off' for none"),
    )
    policies: Path | None = field(
        default=None, metadata=_read(_folder, "folder of policy files; without it one built-in policy serves")
    )
    catalog: Path | None = field(
        default=None,
        metadata=_read(_folder, "folder of the item catalog; without it every request carries all of its columns"),
    )
    cursor_key_file: Path | None = field(
        default=None,
        metadata=_read(_file, "file of the keys of cursors, one a line; without it cursors hold in one process alone"),
    )
    reflection: bool | None = field(
        default=None, metadata=_read(_boolean, "whether gRPC reflection answers; by default on loopback only")
    )
    worker_threads: int = field(default=8, metadata=_read(_count(1, 256), "how many requests are worked on at once"))
    queue: int | None = field(
        default=None,
        metadata=_read(_count(0, 1_000_000), "how many requests may wait for a worker; by default 64 for each thread"),
    )
    streams: int = field(default=16, metadata=_read(_count(1, 1_024), "how many streams may be open at once"))
    max_message_bytes: int = field(
        default=64 << 20, metadata=_read(_count(1_024, 1 << 30), "the largest message that is received")
    )
    max_candidates: int = field(
        default=10_000, metadata=_read(_count(1, 1_000_000), "the most candidates in one request")
    )
    max_slate_size: int = field(default=1_000, metadata=_read(_count(1, 100_000), "the largest slate"))
    max_dimension: int = field(default=4_096, metadata=_read(_count(1, 65_536), "the longest embedding vector"))
    drain_delay: float | None = field(
        default=None,
        metadata=_read(_seconds, "seconds between NOT_SERVING and refusing calls; by default 0 on loopback, else 5"),
    )
    grace: float = field(
        default=10.0, metadata=_read(_seconds, "seconds that calls under way get to end when the server stops")
    )
    log_level: str = field(default="info", metadata=_read(_level, "the least serious line that is logged"))
    log_every: int = field(
        default=0, metadata=_read(_count(0, 1_000_000_000), "log one slate in so many; 0 logs failures only")
    )

    @property
    def loopback(self) -> bool:
        """True when only this machine can reach the server."""
        host = self.listen.rpartition(":")[0].strip("[]")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def queue_length(self) -> int:
        """How many requests may wait."""
        return 64 * self.worker_threads if self.queue is None else self.queue

    @property
    def reflects(self) -> bool:
        """Whether reflection answers."""
        return self.loopback if self.reflection is None else self.reflection

    @property
    def seconds_to_drain(self) -> float:
        """How long load balancers get to notice that the server leaves."""
        if self.drain_delay is not None:
            return self.drain_delay
        return 0.0 if self.loopback else 5.0


def add_flags(parser: argparse.ArgumentParser) -> None:
    """One flag per setting; values stay text until `resolve` looks at them beside the environment."""
    for setting in fields(Settings):
        flag = "--" + setting.name.replace("_", "-")
        if setting.name == "reflection":
            parser.add_argument(
                flag, action=argparse.BooleanOptionalAction, default=None, help=setting.metadata["help"]
            )
        else:
            default = f" (default {setting.default})" if setting.default is not None else ""
            parser.add_argument(flag, metavar="…", default=None, help=setting.metadata["help"] + default)


def resolve(flags: Mapping[str, object], environment: Mapping[str, str] | None = None) -> Settings:
    """The settings by `flags` (None: not given), `environment` and the defaults.

    Raises `InvalidInput` naming every flag and variable that is unknown or has a bad value.
    """
    environment = os.environ if environment is None else environment
    found = _unknown_variables(environment)
    values: dict[str, object] = {}
    for setting in fields(Settings):
        given, source = flags.get(setting.name), "--" + setting.name.replace("_", "-")
        if given is None:
            source = PREFIX + setting.name.upper()
            given = environment.get(source)
        if given is None:
            continue
        try:
            values[setting.name] = setting.metadata["parse"](str(given))
        except ValueError as error:
            found.append(Violation(source, str(error)))
    if found:
        raise InvalidInput(found)
    return Settings(**values)  # type: ignore[arg-type]  # each value went through its own field's parser


def _unknown_variables(environment: Mapping[str, str]) -> list[Violation]:
    known: Sequence[str] = [PREFIX + setting.name.upper() for setting in fields(Settings)]
    return [
        Violation(name, f"no such setting; there are {', '.join(known)}")
        for name in sorted(environment)
        if name.startswith(PREFIX) and name not in known and name not in _ELSEWHERE
    ]
