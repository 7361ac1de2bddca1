"""Bearer tokens at rest: a file with the hash of each, whose it is, and what its bearer may do."""

from __future__ import annotations

import hmac
import re
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b, sha256
from typing import Any

from reranker.errors import FileViolation, InvalidInput, Violation
from reranker.policy.locate import lines_of, too_deep

MOST_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_HASH = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_KEYS = ("sha256", "tenant", "permissions", "policies")
_LINE = re.compile(r" \(at line (\d+), column \d+\)")
_HOW = "must be the SHA-256 of a token, as 64 hexadecimal digits: printf %s TOKEN | sha256sum"


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


@dataclass(slots=True)
class Tokens:
    """The tokens that are good, immutable. Made by `Tokens.read`.

    A token is found by a hash of its hash under a key of this process, so that how long that takes says nothing of
    the hashes, and then compared in constant time. A plain hash is enough at rest, as tokens are random and long.
    """

    _callers: Mapping[bytes, tuple[bytes, Caller]] = field(repr=False)
    _key: bytes = field(repr=False)

    @classmethod
    def of(cls, callers: Iterable[tuple[bytes, Caller]]) -> Tokens:
        """Tokens of (hash, caller) pairs."""
        key = secrets.token_bytes(32)
        return cls({_place(digest, key): (digest, caller) for digest, caller in callers}, key)

    @classmethod
    def read(cls, data: bytes, source: str) -> Tokens:
        """The tokens of a file's bytes. Raises `InvalidInput` naming every mistake with its line; never a hash."""
        found: list[Violation] = []
        callers = _callers(data, source, found)
        if found:
            raise InvalidInput(found)
        return cls.of(callers.items())

    def caller_of(self, token: str) -> Caller | None:
        """Whose token this is; None for one that is no good."""
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        known, caller = self._callers.get(_place(digest, self._key), (b"", None))
        return caller if hmac.compare_digest(known, digest) else None

    def __len__(self) -> int:
        return len(self._callers)


def _place(digest: bytes, key: bytes) -> bytes:
    return blake2b(digest, digest_size=16, key=key).digest()


def _callers(data: bytes, source: str, found: list[Violation]) -> dict[bytes, Caller]:
    def complain(path: str, reason: str, line: int = 0) -> None:
        found.append(FileViolation(path, reason, line, source))

    tree, lines = _tree(data, complain)
    for key in tree.keys() - {"tokens"}:
        complain(key, "is not a word here; there is [[tokens]]", lines.get((key,), 0))
    entries = tree.get("tokens", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        complain("tokens", "must be blocks: [[tokens]]", lines.get(("tokens",), 0))
        return {}
    if not entries and not found:
        complain("tokens", "there is none, so nobody could call: each has a [[tokens]] block")
    callers: dict[bytes, Caller] = {}
    for index, entry in enumerate(entries):
        line = lines.get(("tokens", index), 0)
        before = len(found)
        _check_entry(
            entry, f"tokens[{index}]", lambda key, i=index, at=line: lines.get(("tokens", i, key), at), complain
        )
        if len(found) > before:
            continue
        digest = bytes.fromhex(entry["sha256"])
        if digest in callers:
            complain(f"tokens[{index}].sha256", "is there already", line)
        named = entry.get("policies")
        permissions = frozenset(map(Permission, entry["permissions"]))
        callers[digest] = Caller(entry["tenant"], permissions, None if named is None else frozenset(named))
    return callers


def _tree(data: bytes, complain: Any) -> tuple[dict[str, Any], Mapping[Any, int]]:
    """The TOML tree and the line of each key; what is wrong is complained of."""
    if len(data) > MOST_BYTES:
        complain("tokens", f"must be at most {MOST_BYTES} bytes")
        return {}, {}
    try:
        text = data.decode().replace("\r\n", "\n")
        if line := too_deep(text):
            complain("tokens", "is not a file of tokens: nests too deep", line)
            return {}, {}
        return tomllib.loads(text), lines_of(text)
    except ValueError as error:  # UnicodeDecodeError and TOMLDecodeError, whose texts quote nothing but places
        where = _LINE.search(str(error))
        complain("tokens", "is not TOML", int(where[1]) if where else 0)
    return {}, {}


def _check_entry(entry: dict[str, Any], path: str, line: Any, complain: Any) -> None:
    for key in entry.keys() - set(_KEYS):
        complain(f"{path}.{key}", f"is not a word here; there are {', '.join(_KEYS)}", line(key))
    if not isinstance(entry.get("sha256"), str) or not _HASH.fullmatch(entry["sha256"]):
        complain(f"{path}.sha256", _HOW, line("sha256"))
    if not isinstance(entry.get("tenant"), str) or not _NAME.fullmatch(entry["tenant"]):
        complain(f"{path}.tenant", "must be 1 to 64 letters, digits, dots, dashes or underscores", line("tenant"))
    permissions = entry.get("permissions")
    if not isinstance(permissions, list) or not permissions or not set(map(str, permissions)) <= set(Permission):
        complain(f"{path}.permissions", f"must be a list of {', '.join(Permission)}", line("permissions"))
    policies = entry.get("policies", [])
    if not isinstance(policies, list) or not all(isinstance(name, str) for name in policies):
        complain(f"{path}.policies", "must be a list of names of policies", line("policies"))
