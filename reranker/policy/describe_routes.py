"""What routes do, in plain sentences, and who moves where when they change."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate

from reranker.policy.mistakes import listed, quoted
from reranker.policy.model import UPSTREAM
from reranker.policy.routes import Route, Routes


def described_routes(routes: Routes) -> list[str]:
    """Every route as a sentence or two, one a line, and what happens to all other requests."""
    lines = [f"routes, revision {routes.revision}"]
    for number, route in enumerate(routes.routes, start=1):
        lines += [f"{number}. Requests {_when(route)} meet {_arms(route)}", *_by(route)]
    if all(route.when for route in routes.routes):
        lines.append("All other requests that name no policy keep the upstream order (NOT_TRIGGERED).")
    lines.append("The first route that matches decides; a request that names a policy meets that one.")
    return lines


def described_moves(before: Routes, after: Routes) -> list[str]:
    """Who moves from which arm to which, by route; routes are the same while their `when` is."""
    earlier = {_key(route): route for route in before.routes}
    lines = []
    for number, route in enumerate(after.routes, start=1):
        old = earlier.pop(_key(route), None)
        if old is None:
            lines.append(f"{number}. New: requests {_when(route)}.")
        elif route.deals and old.deals and route.salt != old.salt:
            lines.append(f"{number}. The salt is another one: everybody {_when(route)} is dealt anew.")
        else:
            moves = moved(old, route)
            lines += [
                f"{number}. {_share(share)} of requests {_when(route)} move from {a} to {b}." for a, b, share in moves
            ]
            if not moves:
                lines.append(f"{number}. Nobody {_when(route)} moves.")
    lines += [f"Gone: requests {_when(route)}." for route in earlier.values()]
    return lines


def moved(before: Route, after: Route) -> list[tuple[str, str, Fraction]]:
    """From which arm to which, and how much of all places, when `after` takes the place of `before` under one salt."""
    found: dict[tuple[str, str], Fraction] = {}
    for name, start, end in _spans(before):
        for other, other_start, other_end in _spans(after):
            share = min(end, other_end) - max(start, other_start)
            if share > 0 and name != other:
                found[name, other] = found.get((name, other), Fraction(0)) + share
    return [(name, other, share) for (name, other), share in found.items()]


def _spans(route: Route) -> Iterator[tuple[str, Fraction, Fraction]]:
    shares = [share for _, share in route.arms]
    for (name, share), end in zip(route.arms, accumulate(shares), strict=True):
        yield name, end - share, end


def _key(route: Route) -> frozenset[tuple[str, frozenset[str]]]:
    return frozenset((key, frozenset(values)) for key, values in route.when.items())


def _when(route: Route) -> str:
    if not route.when:
        return "that no route above takes"
    return f"with {listed((f'{key} {listed(values)}' for key, values in route.when.items()), 'and')}"


def _arms(route: Route) -> str:
    if not route.deals:
        return f"{_name(route.arms[route.largest][0])}."
    return f"{listed((f'{_name(name)} ({_share(share)})' for name, share in route.arms), 'and')}."


def _by(route: Route) -> Iterator[str]:
    if not route.deals:
        return
    yield f"   A hash of the salt {quoted(route.salt)} and context.unit deals, in this order, always the same."
    without = _name(route.arms[route.largest][0])
    yield f"   Without a unit, or without profiling, a request is in no arm and meets {without}."


def _name(name: str) -> str:
    return "the upstream order" if name == UPSTREAM else name


def _share(share: Fraction) -> str:
    percent = share * 100
    return f"{float(percent):g} %" if Fraction(f"{float(percent):g}") == percent else f"{share}"
