"""Which policy a request meets that names none: the routes of `routes.toml`, and the arms that a hash deals out."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Set
from fractions import Fraction
from itertools import accumulate
from typing import Any, Protocol

from reranker.policy import words
from reranker.policy.check_routes import check_arms_are_known, check_routes
from reranker.policy.files import text_of
from reranker.policy.mistakes import Mistakes
from reranker.policy.vocabulary import fraction_of
from reranker.v1 import routes_pb2

FILE = "routes.toml"
_REVISION_LENGTH = 12
_CIRCLE = 1 << 64  # the hashes that there are


class Traffic(Protocol):
    """What routes look at in a request: `reranker.Context`, or the message of the same name."""

    @property
    def surface(self) -> str:
        """Where the slate is shown."""

    @property
    def country(self) -> str:
        """The request's country."""

    @property
    def language(self) -> str:
        """Its language."""

    @property
    def intent(self) -> str:
        """What it is about."""

    @property
    def unit(self) -> str:
        """What is hashed."""

    @property
    def without_profiling(self) -> bool:
        """Whether the unit must not be looked at."""


class Route:
    """One checked route. `arms` are names and exact shares in the order in which they are laid out.

    A unit's place is the first eight bytes of SHA-256 over salt, a zero byte and unit, as a fraction of 2^64: a stable
    number in [0, 1) that any other program can work out. Arm i takes the places from the sum of the shares before it,
    up to that sum with its own.
    """

    __slots__ = ("_ends", "_salted", "_when", "arms", "deals", "largest", "salt", "when")

    largest: int
    """The arm with the largest share, the first of several."""
    deals: bool
    """Whether the unit decides: one arm that has everybody needs none."""

    def __init__(self, message: routes_pb2.Route) -> None:
        self.when = {condition.attribute: tuple(condition.values) for condition in message.when}
        self.salt = message.salt
        self.arms = tuple((arm.value, fraction_of(arm.share) or Fraction(0)) for arm in message.arms)
        self._when = tuple((key, frozenset(values)) for key, values in self.when.items())
        shares = [share for _, share in self.arms]
        self._ends = [-(-end.numerator * _CIRCLE // end.denominator) for end in accumulate(shares)]
        self.largest = shares.index(max(shares))
        self.deals = shares[self.largest] < 1
        self._salted = hashlib.sha256(self.salt.encode() + b"\0")

    def matches(self, request: Traffic) -> bool:
        """Whether the request says one of the values of every key; what it leaves empty matches nothing."""
        for key, values in self._when:  # noqa: SIM110  # a generator costs more than the look-ups
            if getattr(request, key) not in values:
                return False
        return True

    def arm_of(self, unit: str) -> int:
        """The index of the arm that a unit is in."""
        digest = self._salted.copy()
        digest.update(unit.encode())
        return bisect_right(self._ends, int.from_bytes(digest.digest()[:8], "big"))


class Routes:
    """Checked routes, immutable, equal to others exactly when the revision is."""

    __slots__ = ("_message", "_revision", "_routes")

    def __init__(self, message: routes_pb2.Routes) -> None:
        """Routes of a message that `check_routes` has no mistakes in."""
        self._message = message
        self._revision = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()[:_REVISION_LENGTH]
        self._routes = tuple(map(Route, message.routes))

    @classmethod
    def from_file(cls, data: bytes, known: Set[str] | None, source: str = "") -> Routes:
        """The routes of a file's bytes, whose arms are among `known` (None: any). Raises `InvalidInput` with lines."""
        message = routes_pb2.Routes()
        return cls._checked(
            message, words.parse_into(message, text_of(data, source, "routes"), "routes"), known, source
        )

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any], known: Set[str] | None = None) -> Routes:
        """The routes of the tree that their TOML parses to. Raises `InvalidInput`."""
        message, mistakes = routes_pb2.Routes(), Mistakes(whole="routes")
        words.read_into(message, tree, mistakes)
        return cls._checked(message, mistakes, known, "")

    @classmethod
    def from_proto(cls, message: routes_pb2.Routes, known: Set[str] | None = None) -> Routes:
        """The routes of a message, which is copied. Raises `InvalidInput`."""
        own = routes_pb2.Routes()
        own.CopyFrom(message)
        return cls._checked(own, Mistakes(whole="routes"), known, "")

    @classmethod
    def _checked(cls, message: routes_pb2.Routes, mistakes: Mistakes, known: Set[str] | None, source: str) -> Routes:
        check_routes(message, mistakes)
        if known is not None:
            check_arms_are_known(message, known, mistakes)
        mistakes.raise_if_any(source)
        return cls(message)

    @property
    def revision(self) -> str:
        """Twelve hex digits over everything that the routes say."""
        return self._revision

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes in order."""
        return self._routes

    def to_proto(self) -> routes_pb2.Routes:
        """A copy of the message."""
        copy = routes_pb2.Routes()
        copy.CopyFrom(self._message)
        return copy

    def to_dict(self) -> dict[str, Any]:
        """The words; `from_dict` makes equal routes of them."""
        return words.to_tree(self._message)

    def first_match(self, request: Traffic) -> int | None:
        """The index of the first route that matches; None when none does. O(routes), no allocation."""
        for index, route in enumerate(self._routes):
            if route.matches(request):
                return index
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Routes) and self._revision == other._revision

    def __hash__(self) -> int:
        return hash(self._revision)

    def __repr__(self) -> str:
        return f"Routes({len(self._routes)}, revision {self._revision})"
