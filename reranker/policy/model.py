"""A policy that can be served: one checked message, its revision, and the ways in and out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reranker.errors import InvalidInput, Violation
from reranker.policy import words
from reranker.policy.check import check, first_blocks
from reranker.policy.files import read_bytes, text_of
from reranker.policy.later import refuse_later_words
from reranker.policy.mistakes import MOST_BYTES, TOO_LARGE, Mistakes
from reranker.v1 import policy_pb2

UNNAMED = "unnamed"
UPSTREAM = "upstream"
"""The name that means the untouched order."""

_REVISION_LENGTH = 12  # hex digits: 48 bits tell the revisions of a fleet apart


class Policy:
    """What a good slate is: checked, immutable, equal to another one exactly when the revision is.

    Made by `from_toml`, `from_dict` or `from_proto`; each raises `InvalidInput` naming every mistake at once.
    """

    __slots__ = ("_message", "_revision")

    _message: policy_pb2.Policy
    _revision: str

    def __init__(self) -> None:
        raise TypeError("a Policy is made by Policy.from_toml, Policy.from_dict or Policy.from_proto")

    @classmethod
    def from_toml(cls, source: str | Path) -> Policy:
        """A policy from TOML.

        A `Path`, or a str that ends in `.toml`, names a file; any other str is the text itself. A file without a `name`
        is called by its stem. Raises `InvalidInput` with lines, and `OSError` when the file cannot be read.
        """
        if isinstance(source, Path) or source.endswith(".toml"):
            path = Path(source)
            return cls.from_file(read_bytes(path), path.stem, str(path))
        return cls.from_text(source)

    @classmethod
    def from_text(cls, text: str) -> Policy:
        """A policy from TOML text that may come from anywhere: unlike with `from_toml`, no text can name a file."""
        return cls._checked(*words.parse(text), source="")

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Policy:
        """A policy from the tree its TOML parses to; shares may be `Fraction`s too, values numbers or booleans."""
        mistakes = Mistakes()
        return cls._checked(words.from_tree(tree, mistakes), mistakes, source="")

    @classmethod
    def from_proto(cls, message: policy_pb2.Policy) -> Policy:
        """A policy from its message, which is copied."""
        own = policy_pb2.Policy()
        own.CopyFrom(message)
        return cls._checked(own, Mistakes(), source="")

    @classmethod
    def upstream(cls) -> Policy:
        """The built-in policy `upstream`, a name that no other can have: the upstream order, and nothing else."""
        objective = policy_pb2.Objective(strategy=policy_pb2.STRATEGY_RELEVANCE)
        return cls._sealed(policy_pb2.Policy(name=UPSTREAM, objective=objective))

    @property
    def message(self) -> policy_pb2.Policy:
        """A copy of the policy's message, each time: the policy itself cannot be changed through it."""
        return self.to_proto()

    @property
    def name(self) -> str:
        """The name that callers and routes use; `unnamed` when it has none."""
        return self._message.name or UNNAMED

    @property
    def revision(self) -> str:
        """Twelve hex digits over everything that the policy says, its name and documentation included."""
        return self._revision

    def to_proto(self) -> policy_pb2.Policy:
        """A copy of the message."""
        copy = policy_pb2.Policy()
        copy.CopyFrom(self._message)
        return copy

    def to_dict(self) -> dict[str, Any]:
        """The words; `Policy.from_dict` makes an equal policy of them."""
        return words.to_tree(self._message)

    def with_overrides(self, diversity: float | None = None, relevance_floor: float | None = None) -> Policy:
        """The policy with what a request may override; `self` when that is nothing. Raises `InvalidInput`.

        Cheap enough for the request path: only what is overridden is checked, the policy itself is sound already.
        """
        given = {"diversity": diversity, "relevance_floor": relevance_floor}
        asked = {key: value for key, value in given.items() if value is not None}
        if not asked:
            return self
        mistakes = Mistakes()
        overrides = words.from_tree({"objective": asked}, mistakes)
        _check(overrides, mistakes)
        if mistakes:
            raise InvalidInput(Violation(v.path.replace("objective.", "overrides.", 1), v.reason) for v in mistakes)
        message = self.to_proto()
        message.MergeFrom(overrides)
        return self._sealed(message)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and self._revision == other._revision

    def __hash__(self) -> int:
        return hash(self._revision)

    def __repr__(self) -> str:
        return f"Policy({self.name!r}, revision {self._revision})"

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        return _unpickled, (self._message.SerializeToString(),)

    @classmethod
    def from_file(cls, data: bytes, stem: str, source: str) -> Policy:
        """A policy from the bytes of a TOML file, called `stem` where it says no name; `source` is for its errors."""
        message, mistakes = words.parse(text_of(data, source))
        if not message.HasField("name"):
            message.name = stem
        return cls._checked(message, mistakes, source=source)

    @classmethod
    def _checked(cls, message: policy_pb2.Policy, mistakes: Mistakes, source: str) -> Policy:
        _check(message, mistakes)
        mistakes.raise_if_any(source)
        return cls._sealed(message)

    @classmethod
    def _sealed(cls, message: policy_pb2.Policy) -> Policy:
        """A sound message, owned from here on."""
        self = cls.__new__(cls)
        self._message = message
        digest = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
        self._revision = digest[:_REVISION_LENGTH]
        return self


def _check(message: policy_pb2.Policy, mistakes: Mistakes) -> None:
    if message.ByteSize() > MOST_BYTES:
        mistakes.add((), TOO_LARGE)
        return
    checked = first_blocks(message, mistakes)
    check(checked, mistakes)
    refuse_later_words(checked, mistakes)


def _unpickled(data: bytes) -> Policy:
    return Policy._sealed(policy_pb2.Policy.FromString(data))  # it was sound when it was pickled
