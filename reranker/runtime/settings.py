"""Every setting of the server in one table: how its text is read, what it is by default, what it means.

`configuration.resolve` fills it from flags, variables and a file; docs/settings.md is generated from it.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reranker.store import DEFAULT_PREFIX, StoreAddress


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def _whole_seconds(least: int, most: int) -> Callable[[str], float]:
    def parse(text: str) -> float:
        digits = text.removesuffix(".0")  # as /configz shows it
        if not digits.isdecimal() or not least <= int(digits) <= most:
            raise ValueError(f"must be a whole number of seconds from {least} to {most}")
        return float(digits)

    return parse


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise ValueError("must be a number from 0 to 1")
    return value


def _address(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError("must be host:port, with a port from 0 to 65535 (0: any free one)")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("must have an IPv6 address in brackets: [::1]:50051")
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


def _guard(text: str) -> Path:
    """A file that keeps callers out: no text, as of a variable that nobody filled, must not let everybody in."""
    file = _file(text)
    if file is None:
        raise ValueError("must be a file that exists; to do without, leave the setting out")
    return file


def _store(text: str) -> StoreAddress | None:
    return StoreAddress.parse(text) if text else None


def _prefix(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", text, re.ASCII):
        raise ValueError("must be 1 to 64 letters, digits, dots, dashes, colons or underscores")
    return text


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"must be {', '.join(words[:-1])} or {words[-1]}")
        return text.lower()

    return parse


def _read(parse: Callable[[str], Any], text: str, shown: str = "") -> dict[str, Any]:
    """How a setting is read and what it means; `shown` is its default in words, where the value alone does not say."""
    return {"parse": parse, "help": text, "shown": shown}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator decides; `None` means that nothing was, and the properties below say what then holds."""

    profile: str = field(
        default="development",
        metadata=_read(
            _one_of("development", "production"),
            "'production' has no reflection, takes no policy that a request brings along and, of published policies, "
            "only those that somebody else than their publisher approved",
        ),
    )
    listen: str = field(
        default="127.0.0.1:50051", metadata=_read(_address, "where gRPC listens; port 0 takes a free one")
    )
    admin: str = field(
        default="127.0.0.1:9090",
        metadata=_read(_address_or_off, "where /metrics, /healthz and /readyz are; 'off' for none"),
    )
    policies: Path | None = field(
        default=None, metadata=_read(_folder, "folder of policy files; without it one built-in policy serves", "none")
    )
    catalog: Path | None = field(
        default=None,
        metadata=_read(_folder, "folder of the item catalog; without it requests carry all of their columns", "none"),
    )
    ledger: Path | None = field(
        default=None,
        metadata=_read(
            _folder,
            "folder of the exposure ledger, for all processes of this machine",
            "in the store, or until the server ends",
        ),
    )
    ledger_memory: float = field(
        default=3_600.0,
        metadata=_read(
            _whole_seconds(10, 604_800),
            "seconds for which the ledger knows a request's id at least, for repetitions and impressions",
        ),
    )
    store: StoreAddress | None = field(
        default=None, metadata=_read(_store, "URL of Redis or Valkey; without it nothing is shared with others", "none")
    )
    store_password_file: Path | None = field(
        default=None, metadata=_read(_file, "file of the store's password, in place of one in its URL", "none")
    )
    store_ca: Path | None = field(
        default=None,
        metadata=_read(_file, "file of the certificates that vouch for the store", "the system's"),
    )
    store_timeout: float = field(
        default=0.02, metadata=_read(_seconds, "the most seconds that a request waits for the store")
    )
    store_prefix: str = field(
        default=DEFAULT_PREFIX,
        metadata=_read(_prefix, "what the store's keys begin with; servers of one prefix share all that is there"),
    )
    store_items: bool = field(
        default=False, metadata=_read(_boolean, "whether items are looked up in the store, before the catalog")
    )
    store_items_cache: int = field(
        default=256 << 20, metadata=_read(_count(0, 1 << 40), "bytes of the store's items that a process remembers")
    )
    store_items_fresh: float = field(
        default=60.0, metadata=_read(_seconds, "seconds after which a remembered item is read again")
    )
    store_items_stale: float = field(
        default=3_600.0, metadata=_read(_seconds, "seconds more that it serves while the store cannot be read")
    )
    store_items_keep: int = field(
        default=0,
        metadata=_read(_count(0, 10**9), "seconds after which the store forgets an item nobody puts again; 0: never"),
    )
    signal_writes: bool | None = field(
        default=None,
        metadata=_read(_boolean, "whether items may be put and deleted over gRPC", "on loopback, or with tokens"),
    )
    cursor_key_file: Path | None = field(
        default=None,
        metadata=_read(_file, "file of the keys of cursors; without it cursors hold until the server ends", "none"),
    )
    tls_certificate: Path | None = field(
        default=None,
        metadata=_read(
            _file, "file of the server's certificate and its chain, PEM; with it gRPC speaks TLS only", "none"
        ),
    )
    tls_key: Path | None = field(
        default=None, metadata=_read(_file, "file of the certificate's private key, PEM", "none")
    )
    tls_client_ca: Path | None = field(
        default=None,
        metadata=_read(
            _guard, "file of the authorities, PEM, one of which must vouch for each client's certificate", "none"
        ),
    )
    token_file: Path | None = field(
        default=None, metadata=_read(_guard, "file of the tokens of callers; without it everybody may call", "none")
    )
    insecure: bool = field(
        default=False, metadata=_read(_boolean, "whether other machines may be answered without TLS")
    )
    reflection: bool | None = field(
        default=None, metadata=_read(_boolean, "whether gRPC reflection answers", "on loopback, and not in production")
    )
    workers: int = field(
        default=1,
        metadata=_read(_count(1, 256), "how many processes serve; with more than one, a supervisor starts them"),
    )
    port_per_worker: bool = field(
        default=False,
        metadata=_read(_boolean, "whether each process has a port of its own, the next ones after that of `listen`"),
    )
    worker_threads: int = field(
        default=8, metadata=_read(_count(1, 256), "how many requests a process receives or works on at once")
    )
    at_once: int | None = field(
        default=None,
        metadata=_read(
            _count(1, 256),
            "how many of these it works on at a time; more than cores are there for it only get in each other's way",
            "one a core, shared out among `workers`",
        ),
    )
    queue: int | None = field(
        default=None,
        metadata=_read(
            _count(0, 1_000_000),
            "how many requests may wait for a thread; the next one is refused",
            "64 a worker thread",
        ),
    )
    degrade: bool = field(
        default=True,
        metadata=_read(
            _boolean, "whether a request with too little time for its whole strategy gets a faster one's slate"
        ),
    )
    streams: int = field(
        default=16,
        metadata=_read(_count(1, 1_024), "how many streams a process has open at most; each holds a thread"),
    )
    max_connections: int = field(
        default=1_000, metadata=_read(_count(1, 1_000_000), "how many connections a process has open at most")
    )
    max_concurrent_calls: int = field(
        default=100,
        metadata=_read(
            _count(1, 1_000_000), "how many calls a connection has open; more wait at the caller or are UNAVAILABLE"
        ),
    )
    max_connection_age: float | None = field(
        default=None,
        metadata=_read(
            _seconds,
            "seconds after which a client is asked to connect anew; 0 for never",
            "0 for one process, else 300",
        ),
    )
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
        metadata=_read(_seconds, "seconds between NOT_SERVING and refusing calls", "0 on loopback, else 5"),
    )
    grace: float = field(
        default=10.0, metadata=_read(_seconds, "seconds that calls under way get to end when the server stops")
    )
    request_log: Path | None = field(
        default=None,
        metadata=_read(_folder, "folder that a sample of requests and answers is recorded in, for replays", "none"),
    )
    request_log_sample: float = field(
        default=0.01, metadata=_read(_share, "the share of answers that is recorded, chosen by chance")
    )
    request_log_format: str = field(
        default="rlog",
        metadata=_read(
            _one_of("rlog", "parquet"), "length-delimited messages, compressed, or Parquet (extra `parquet`)"
        ),
    )
    request_log_file_bytes: int = field(
        default=64 << 20, metadata=_read(_count(1_024, 1 << 40), "compressed bytes at which the next file is begun")
    )
    request_log_file_seconds: int = field(
        default=3_600, metadata=_read(_count(1, 31_536_000), "seconds after which the next file is begun")
    )
    request_log_keep_days: int = field(
        default=7, metadata=_read(_count(1, 3_650), "days after which a recorded file is deleted")
    )
    request_log_plain_ids: bool = field(
        default=False,
        metadata=_read(_boolean, "whether ids of requests, units and items are recorded as they are, not as hashes"),
    )
    log_level: str = field(
        default="info",
        metadata=_read(_one_of("debug", "info", "warning", "error"), "the least serious line that is logged"),
    )
    log_every: int = field(
        default=0, metadata=_read(_count(0, 1_000_000_000), "log one slate in so many; 0 logs failures only")
    )
    traces: bool = field(
        default=False,
        metadata=_read(_boolean, "whether spans go to OpenTelemetry; where to, its own OTEL_ variables say"),
    )
    measure_every: int = field(
        default=100,
        metadata=_read(
            _count(0, 1_000_000_000),
            "measure one slate in so many after its answer, for the metrics of variety and representation; 0: none",
        ),
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
    def production(self) -> bool:
        """True in the profile that leaves out what only developers need."""
        return self.profile == "production"

    @property
    def computes_at_once(self) -> int:
        """How many requests a process works on at a time."""
        return max(1, cores() // self.workers) if self.at_once is None else self.at_once

    @property
    def queue_length(self) -> int:
        """How many requests may wait."""
        return 64 * self.worker_threads if self.queue is None else self.queue

    @property
    def reflects(self) -> bool:
        """Whether reflection answers."""
        return self.loopback and not self.production if self.reflection is None else self.reflection

    @property
    def seconds_a_connection_lives(self) -> float:
        """How long a connection lives, so that those of several workers spread anew; 0 for ever."""
        if self.max_connection_age is not None:
            return self.max_connection_age
        return 0.0 if self.workers == 1 else 300.0

    @property
    def takes_items(self) -> bool:
        """Whether items may be put and deleted, by those who may."""
        if self.signal_writes is not None:
            return self.signal_writes
        return self.loopback or self.token_file is not None

    @property
    def seconds_to_drain(self) -> float:
        """How long load balancers get to notice that the server leaves."""
        if self.drain_delay is not None:
            return self.drain_delay
        return 0.0 if self.loopback else 5.0
