"""Whether routes make sense: keys that requests have, shares that add up, routes that something can reach."""

from __future__ import annotations

from collections.abc import Set
from fractions import Fraction

from reranker.policy.mistakes import KeyPath, Mistakes, listed, listed_in_part, quoted
from reranker.policy.ranges import check_word
from reranker.policy.vocabulary import fraction_of, set_words
from reranker.v1 import routes_pb2

KEYS = ("surface", "country", "language", "intent")
"""What a route can look at: the request's place and subject, never its user."""

_MOST_ROUTES = 100  # each costs a request that it does not match some tenths of a microsecond
_MOST_ARMS = 100


def check_routes(message: routes_pb2.Routes, mistakes: Mistakes) -> None:
    """Notes every mistake that shows without the policies: unknown keys, shares, routes that are never reached."""
    if not message.routes and not mistakes:
        mistakes.add((), "has no [[routes]]: no request would meet a policy; without the file, `default` serves")
    if len(message.routes) > _MOST_ROUTES:
        mistakes.add(("routes",), f"must be at most {_MOST_ROUTES} routes, are {len(message.routes)}")
        return
    for word in set_words(message):
        check_word(word, mistakes)
    everything = None
    for index, route in enumerate(message.routes):
        path: KeyPath = ("routes", index)
        if everything is not None:
            reason = f"is never reached: routes[{everything}] before it has no `when` and takes every request"
            mistakes.add(path, reason)
        elif not route.when and not mistakes.excuse(path, "when"):
            everything = index
        _check_when(route, path, mistakes)
        _check_arms(route, path, mistakes)


def check_arms_are_known(message: routes_pb2.Routes, known: Set[str], mistakes: Mistakes) -> None:
    """Notes every arm that is none of these policies, which include `upstream`."""
    for index, route in enumerate(message.routes):
        for arm in route.arms:
            if arm.value and arm.value not in known:
                reason = f"no policy has this name; there are {listed_in_part(sorted(known))}"
                mistakes.add(("routes", index, "arms", arm.value), reason)


def _check_when(route: routes_pb2.Route, path: KeyPath, mistakes: Mistakes) -> None:
    seen: set[str] = set()
    for condition in route.when:
        key = condition.attribute
        if key not in KEYS:
            reason = f"is nothing that routes look at: {listed(KEYS, 'and')} are; nothing about a user can be"
            mistakes.add((*path, "when", key), reason)
        if key in seen:
            mistakes.add((*path, "when", key), "is given twice")
        seen.add(key)


def _check_arms(route: routes_pb2.Route, path: KeyPath, mistakes: Mistakes) -> None:
    where = (*path, "arms")
    if not route.arms:
        if not mistakes.excuse(path, "arms"):
            mistakes.add(path, "needs arms such as { upstream = 0.1, default = 0.9 }")
        return
    if len(route.arms) > _MOST_ARMS:
        mistakes.add(where, f"must be at most {_MOST_ARMS} arms, are {len(route.arms)}")
        return
    names = [arm.value for arm in route.arms]
    if "" in names:
        mistakes.add(where, "must be a table of shares by policy such as { upstream = 0.1, default = 0.9 }")
        return
    for name in sorted({name for name in names if names.count(name) > 1}):
        mistakes.add((*where, name), "is given twice")
    if mistakes.misread(where):
        return
    shares = [fraction_of(arm.share) or Fraction(0) for arm in route.arms]
    total = sum(shares, Fraction(0))
    if total != 1:
        reason = f'must add up to exactly 1, are {_shown(total)} together; a third is written as "1/3"'
        mistakes.add(where, reason)
    elif max(shares) < 1 and not route.salt and not mistakes.excuse(path, "salt"):
        mistakes.add(path, f"needs a salt, such as {quoted(f'{names[-1]}-2026')}: several arms have a share")


def _shown(share: Fraction) -> str:
    decimal = f"{float(share):.6g}"
    return decimal if Fraction(decimal) == share else f"{decimal} ({share})"
