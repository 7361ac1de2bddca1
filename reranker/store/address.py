"""Where the store is and how one signs in. No text made here shows a password."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from reranker.errors import StoreUnavailable

_FORM = "redis://[user:password@]host[:port][/database], rediss:// for TLS, redis+cluster:// or rediss+cluster://"
_SCHEMES = ("redis", "rediss", "redis+cluster", "rediss+cluster")
_PORT = 6379
_MOST_BYTES = 4_096  # of a password file: more is some other file


class Place(NamedTuple):
    """One server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A Redis or Valkey server, or some nodes of a cluster that name the others.

    A `password_file` wins over the password of the URL and is read at every sign-in, so a new one needs no restart.
    `ca_file` has the certificates that vouch for the servers, in place of the system's.
    """

    places: tuple[Place, ...]
    tls: bool = False
    cluster: bool = False
    database: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    password_file: Path | None = None
    ca_file: Path | None = None

    @classmethod
    def parse(cls, url: str) -> StoreAddress:
        """The address in a URL; raises `ValueError` that says what is wrong and repeats nothing of it."""
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ValueError(f"must be {_FORM}") from None
        if parts.scheme not in _SCHEMES or parts.query or parts.fragment:
            raise ValueError(f"must be {_FORM}")
        sign_in, _, places = parts.netloc.rpartition("@")
        user, _, password = sign_in.partition(":")
        cluster = parts.scheme.endswith("+cluster")
        return cls(
            places=_places(places, several=cluster),
            tls=parts.scheme.startswith("rediss"),
            cluster=cluster,
            database=_database(parts, cluster),
            user=unquote(user),
            password=unquote(password),
        )

    def with_files(self, password_file: Path | None, ca_file: Path | None) -> StoreAddress:
        """The same servers, with a file of the password and one of the certificates."""
        return replace(self, password_file=password_file, ca_file=ca_file)

    def read_password(self) -> str:
        """The password as it is now; empty for none. Raises `StoreUnavailable` when its file cannot be read."""
        if self.password_file is None:
            return self.password
        try:
            with self.password_file.open(encoding="utf-8") as stream:
                return stream.read(_MOST_BYTES).strip()
        except (OSError, UnicodeDecodeError):
            raise StoreUnavailable("password_unreadable") from None

    def __str__(self) -> str:
        """The address without user and password."""
        scheme = f"{'rediss' if self.tls else 'redis'}{'+cluster' if self.cluster else ''}"
        path = f"/{self.database}" if self.database else ""
        return f"{scheme}://{','.join(map(str, self.places))}{path}"


def _places(text: str, *, several: bool) -> tuple[Place, ...]:
    places = tuple(map(_place, text.split(",")))
    if len(places) > 1 and not several:
        raise ValueError("must name one server; several are for redis+cluster://")
    return places


def _place(text: str) -> Place:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must have ports from 1 to 65535") from None
    if not host:
        raise ValueError("must name a host")
    return Place(host, _PORT if port is None else port)


def _database(parts: SplitResult, cluster: bool) -> int:
    path = parts.path.removeprefix("/")
    if not path:
        return 0
    if not path.isdecimal() or len(path) > 5 or cluster:
        raise ValueError("must end with the number of a database, or with nothing; a cluster has only database 0")
    return int(path)
