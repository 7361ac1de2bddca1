"""Who may call: a file with the hash of each token and the name of each certificate, whose it is and what it may do."""

from __future__ import annotations

import hmac
import re
import secrets
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import blake2b, sha256
from typing import Any, TypeAlias

from reranker.errors import FileViolation, InvalidInput, Violation
from reranker.policy.locate import lines_of, too_deep
from reranker.policy.mistakes import KeyPath, clipped, shown
from reranker.service.buckets import Rate

MOST_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_HASH = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_KEYS = ("tenant", "permissions", "policies")
_NAMES = ("alternative_name", "common_name")
_LONGEST_NAME = 256
_RATE_KEYS = ("requests_per_second", "burst")
_MOST_RATE = 1_000_000
_LINE = re.compile(r" \(at line (\d+), column \d+\)")
_HOW = "must be the SHA-256 of a token, as 64 hexadecimal digits: printf %s TOKEN | sha256sum"

_ALTERNATIVE, _COMMON = "x509_subject_alternative_name", "x509_common_name"  # as gRPC calls them

Identities: TypeAlias = Mapping[str, Iterable[bytes]]
"""What gRPC knows of the other end of a connection: `ServicerContext.auth_context()`."""

_Complain: TypeAlias = Callable[..., None]  # path, reason, line


class Permission(StrEnum):
    """What a caller may do."""

    RERANK = "rerank"
    EXPLAIN_SENSITIVE = "explain_sensitive"
    SIGNALS = "signals"
    POLICIES = "policies"
    IMPRESSIONS = "impressions"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: what they may do, and which policies they may name (None: all)."""

    tenant: str
    permissions: frozenset[Permission]
    policies: frozenset[str] | None = None

    def may(self, permission: Permission) -> bool:
        """Whether this is allowed."""
        return permission in self.permissions

    def may_use(self, policy: str) -> bool:
        """Whether a policy of this name is theirs to use and to see."""
        return self.policies is None or policy in self.policies


ANYBODY = Caller("", frozenset(Permission))
"""The caller of a server without tokens: what it can do, everybody may."""


class AmbiguousCertificate(Exception):
    """The names of one certificate are those of several tenants, so it does not say whose a call is."""


@dataclass(slots=True)
class Tokens:
    """The tokens that are good, immutable. Made by `Tokens.read`.

    A token is found by a hash of its hash under a key of this process, so that how long that takes says nothing of
    the hashes, and then compared in constant time. A plain hash is enough at rest, as tokens are random and long.
    """

    _callers: Mapping[bytes, tuple[bytes, Caller]] = field(repr=False)
    _key: bytes = field(repr=False)
    rates: Mapping[str, Rate] = field(default_factory=dict)
    """What each tenant may ask of the whole service; the others have no limit."""
    certificates: Mapping[tuple[str, str], Caller] = field(default_factory=dict, repr=False)
    """Callers by a name that their certificate has: which kind of name, and the name."""

    @classmethod
    def of(cls, callers: Iterable[tuple[bytes, Caller]], rates: Mapping[str, Rate] | None = None) -> Tokens:
        """Tokens of (hash, caller) pairs."""
        key = secrets.token_bytes(32)
        return cls({_place(digest, key): (digest, caller) for digest, caller in callers}, key, rates or {})

    @classmethod
    def read(cls, data: bytes, source: str) -> Tokens:
        """The tokens of a file's bytes. Raises `InvalidInput` naming every mistake with its line; never a hash."""
        found: list[Violation] = []

        def complain(path: str, reason: str, line: int = 0) -> None:
            found.append(FileViolation(path, reason, line, source))

        tree, lines = _tree(data, complain)
        for key in sorted(tree.keys() - {"tokens", "certificates", "tenants"}):
            complain(
                key, "is not a word here; there are [[tokens]], [[certificates]] and [tenants]", lines.get((key,), 0)
            )
        callers = _callers(tree, lines, complain)
        certified = _certified(tree, lines, complain)
        if not (tree.get("tokens") or tree.get("certificates") or found):
            complain("tokens", "there is none, so nobody could call: each has a [[tokens]] or [[certificates]] block")
        rates = _rates(tree, lines, {caller.tenant for caller in (*callers.values(), *certified.values())}, complain)
        if found:
            raise InvalidInput(found)
        return replace(cls.of(callers.items(), rates), certificates=certified)

    def caller_of(self, token: str) -> Caller | None:
        """Whose token this is; None for one that is no good."""
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        known, caller = self._callers.get(_place(digest, self._key), (b"", None))
        return caller if hmac.compare_digest(known, digest) else None

    def caller_certified(self, identities: Identities) -> Caller | None:
        """Whose certificate the other end of a connection has shown; None where it is nobody's here.

        Of one that several blocks name, the first of its names counts, alternative names before the common one. Raises
        `AmbiguousCertificate` where these are of several tenants.
        """
        callers = [
            self.certificates[kind, name]
            for kind, key in (("alternative_name", _ALTERNATIVE), ("common_name", _COMMON))
            for name in (raw.decode("utf-8", "replace") for raw in identities.get(key, ()))
            if (kind, name) in self.certificates
        ]
        if len({caller.tenant for caller in callers}) > 1:
            raise AmbiguousCertificate
        return callers[0] if callers else None

    def __len__(self) -> int:
        return len(self._callers)


def _place(digest: bytes, key: bytes) -> bytes:
    return blake2b(digest, digest_size=16, key=key).digest()


def _callers(tree: Mapping[str, Any], lines: Mapping[Any, int], complain: _Complain) -> dict[bytes, Caller]:
    callers: dict[bytes, Caller] = {}
    for index, entry in _blocks(tree, "tokens", lines, complain):
        line = lines.get(("tokens", index), 0)
        if not _is_sound(entry, ("tokens", index), ("sha256",), lines, complain):
            continue
        digest = bytes.fromhex(entry["sha256"])
        if digest in callers:
            complain(f"tokens[{index}].sha256", "is there already", line)
        callers[digest] = _caller(entry)
    return callers


def _certified(tree: Mapping[str, Any], lines: Mapping[Any, int], complain: _Complain) -> dict[tuple[str, str], Caller]:
    callers: dict[tuple[str, str], Caller] = {}
    for index, entry in _blocks(tree, "certificates", lines, complain):
        path, line = f"certificates[{index}]", lines.get(("certificates", index), 0)
        kinds = [kind for kind in _NAMES if kind in entry]
        if len(kinds) != 1:
            complain(path, f"must have exactly one of {' and '.join(_NAMES)}", line)
        if not _is_sound(entry, ("certificates", index), _NAMES, lines, complain) or len(kinds) != 1:
            continue
        name = (kinds[0], entry[kinds[0]])
        if name in callers:
            complain(f"{path}.{kinds[0]}", "is there already", line)
        callers[name] = _caller(entry)
    return callers


def _blocks(
    tree: Mapping[str, Any], word: str, lines: Mapping[Any, int], complain: _Complain
) -> Iterable[tuple[int, dict[str, Any]]]:
    entries = tree.get(word, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        complain(word, f"must be blocks: [[{word}]]", lines.get((word,), 0))
        return ()
    return enumerate(entries)


def _caller(entry: Mapping[str, Any]) -> Caller:
    named = entry.get("policies")
    permissions = frozenset(map(Permission, entry["permissions"]))
    return Caller(entry["tenant"], permissions, None if named is None else frozenset(named))


def _rates(
    tree: Mapping[str, Any], lines: Mapping[Any, int], tenants: set[str], complain: _Complain
) -> dict[str, Rate]:
    tables = tree.get("tenants", {})
    if not isinstance(tables, dict):
        complain("tenants", "must be tables: [tenants.NAME]", lines.get(("tenants",), 0))
        return {}
    rates = {}
    for tenant, table in tables.items():
        path, line = f"tenants.{clipped(tenant)}", lines.get(("tenants", tenant), 0)
        if tenant not in tenants:
            complain(path, "is no tenant of a sound token or certificate above", line)
        elif not isinstance(table, dict) or not table.keys() <= set(_RATE_KEYS) or _RATE_KEYS[0] not in table:
            complain(path, f"must have {_RATE_KEYS[0]} and may have {_RATE_KEYS[1]}, nothing else", line)
        elif not all(_is_rate(number) for number in table.values()):
            complain(path, f"its numbers must be from 1 to {_MOST_RATE:,}", line)
        else:
            per_second = float(table[_RATE_KEYS[0]])
            rates[tenant] = Rate(per_second, float(table.get(_RATE_KEYS[1], per_second)))
    return rates


def _is_rate(number: object) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and 1 <= number <= _MOST_RATE


def _tree(data: bytes, complain: _Complain) -> tuple[dict[str, Any], Mapping[Any, int]]:
    """The TOML tree and the line of each key; what is wrong is complained of."""
    if len(data) > MOST_BYTES:
        complain("tokens", f"must be at most {MOST_BYTES} bytes")
        return {}, {}
    try:
        text = data.decode().removeprefix("\ufeff").replace("\r\n", "\n")
        if line := too_deep(text):
            complain("tokens", "is not a file of tokens: nests too deep", line)
            return {}, {}
        return tomllib.loads(text), lines_of(text)
    except ValueError as error:  # UnicodeDecodeError and TOMLDecodeError, whose texts quote nothing but places
        where = _LINE.search(str(error))
        complain("tokens", "is not TOML", int(where[1]) if where else 0)
    return {}, {}


def _is_sound(
    entry: dict[str, Any], path: KeyPath, names: tuple[str, ...], lines: Mapping[Any, int], complain: _Complain
) -> bool:
    """Whether a block of a caller, known by one of `names`, is as it should be; what is not is complained of."""
    found = []

    def wrong(key: str, reason: str) -> None:
        found.append(key)
        complain(f"{shown(path)}.{clipped(key)}", reason, lines.get((*path, key), lines.get(path, 0)))

    for key in sorted(entry.keys() - {*names, *_KEYS}):
        wrong(key, f"is not a word here; there are {', '.join((*names, *_KEYS))}")
    if "sha256" in names and (not isinstance(entry.get("sha256"), str) or not _HASH.fullmatch(entry["sha256"])):
        wrong("sha256", _HOW)
    for key in set(_NAMES) & set(names) & entry.keys():
        if not isinstance(entry[key], str) or not 0 < len(entry[key]) <= _LONGEST_NAME:
            wrong(key, f"must be a name of the certificate, of 1 to {_LONGEST_NAME} characters")
    if not isinstance(entry.get("tenant"), str) or not _NAME.fullmatch(entry["tenant"]):
        wrong("tenant", "must be 1 to 64 letters, digits, dots, dashes or underscores")
    permissions = entry.get("permissions")
    if not isinstance(permissions, list) or not permissions or not set(map(str, permissions)) <= set(Permission):
        wrong("permissions", f"must be a list of {', '.join(Permission)}")
    policies = entry.get("policies", [])
    if not isinstance(policies, list) or not all(isinstance(name, str) for name in policies):
        wrong("policies", "must be a list of names of policies")
    return not found
