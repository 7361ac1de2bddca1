"""The policies that serve, by name, and the routes to them: one immutable book, or every mistake of every file."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from reranker.errors import FileViolation, InvalidInput, UnknownPolicy, Violation
from reranker.policy import words
from reranker.policy.folder import Folder
from reranker.policy.mistakes import listed_in_part
from reranker.policy.model import UPSTREAM, Policy
from reranker.policy.register import NOTHING, Published
from reranker.policy.routes import FILE, Route, Routes, Traffic

DEFAULT = "default"
_REVISION_LENGTH = 12
_NO_UNIT = "context.unit is not known, so the request is in no arm; it met the policy of the largest one"


def built_in() -> Policy:
    """The policy that serves when no folder defines one called `default`: dpp at diversity 0.5, without quotas."""
    return Policy.from_dict({"name": DEFAULT, "objective": {"strategy": "dpp", "diversity": 0.5}})


@dataclass(frozen=True, slots=True)
class Choice:
    """What a request meets: a policy, and the `arm` that it is in where routes dealt one.

    `triggered` is False where the upstream order is the answer. `shadows` are policies whose slates are made beside a
    share of the answers: those of the other arms beside the upstream order, else the one that `[shadow]` names.
    """

    policy: Policy
    arm: str = ""
    triggered: bool = True
    shadows: tuple[Policy, ...] = ()
    notes: tuple[str, ...] = ()
    shadow_share: float = 1.0

    def drawn_shadows(self) -> tuple[Policy, ...]:
        """The shadows of one answer, which are drawn for the share of answers that has any."""
        if not self.shadows or (self.shadow_share < 1.0 and random.random() >= self.shadow_share):
            return ()
        return self.shadows


class PolicyBook:
    """Checked policies by name and the routes to them, immutable; a reload makes a new book."""

    __slots__ = ("_choices", "_named", "_policies", "_upstream", "routes")

    def __init__(self, policies: Iterable[Policy] = (), routes: Routes | None = None) -> None:
        """A book in which later policies of a name take the place of earlier ones; arms and shadows are all in it."""
        named = {policy.name: policy for policy in (built_in(), *policies)}
        self._policies = {name: named[name] for name in sorted(named)}
        self.routes = routes
        self._named = {name: self._choice(name) for name in self._policies}
        self._upstream = Choice(Policy.upstream(), triggered=False)
        self._choices = [self._choices_of(route) for route in (routes.routes if routes else ())]

    @classmethod
    def load(cls, folder: Path | None) -> PolicyBook:
        """The policies of every `*.toml` in a folder (hidden files left out); None is the built-in `default` alone.

        Raises `InvalidInput` naming every mistake of every file.
        """
        return cls() if folder is None else cls.of(Folder.read(folder))

    @classmethod
    def of(cls, folder: Folder | None, published: Published = NOTHING) -> PolicyBook:
        """The policies and routes of a folder's contents, and in their places what is `published`.

        Raises `InvalidInput` naming every mistake of every file, and of what both come to together.
        """
        if folder is not None and folder.problem:
            raise InvalidInput([Violation("policies", folder.problem)], str(folder.path))
        found: list[FileViolation] = []
        known = {DEFAULT, UPSTREAM, *(policy.name for policy in published.policies)}
        file_of: dict[str, str] = {}
        policies, routes_file = [], b""
        for name, data in folder.files if folder is not None else ():
            if isinstance(data, str):
                found.append(FileViolation("routes" if name == FILE else "policy", data, file=name))
            elif name == FILE:
                routes_file = data or b"\n"
            else:
                policy = _policy(name, data, found, known)
                if policy is not None and policy.name in file_of:
                    reason = f"{policy.name} is defined in {file_of[policy.name]} already"
                    found.append(FileViolation("name", reason, file=name))
                if policy is not None:
                    file_of.setdefault(policy.name, name)
                    policies.append(policy)
        routes = _routes(routes_file, found, known) if routes_file else None
        if published.routes is not None:
            routes = _published_routes(published.routes, found, known)
        for policy in policies:
            _check_shadow(policy, file_of[policy.name], found, known)
        for policy in published.policies:
            _check_shadow(policy, f"published {policy.name}", found, known)
        if found:
            raise InvalidInput(found, "" if folder is None else str(folder.path))
        return cls((*policies, *published.policies), routes)

    @property
    def revision(self) -> str:
        """Twelve hex digits over all policies and the routes."""
        revisions = [f"{name} {policy.revision}" for name, policy in self._policies.items()]
        text = "\n".join([*revisions, self.routes.revision if self.routes else ""])
        return hashlib.sha256(text.encode()).hexdigest()[:_REVISION_LENGTH]

    def get(self, name: str) -> Policy:
        """The policy of this name. Raises `UnknownPolicy`."""
        try:
            return self._policies[name]
        except KeyError:
            raise UnknownPolicy(name, self._policies) from None

    def named(self, name: str) -> Choice:
        """What a request meets that names this policy. Raises `UnknownPolicy`."""
        try:
            return self._named[name]
        except KeyError:
            raise UnknownPolicy(name, self._policies) from None

    def routed(self, request: Traffic) -> Choice:
        """What a request meets that names no policy: its arm, else the upstream order; without routes `default`.

        Nothing is made here, every choice is as old as the book.
        """
        if self.routes is None:
            return self.named(DEFAULT)
        index = self.routes.first_match(request)
        if index is None:
            return self._upstream
        route, (arms, unassigned) = self.routes.routes[index], self._choices[index]
        if not route.deals:
            return arms[route.largest]
        unit = "" if request.without_profiling else request.unit
        return arms[route.arm_of(unit)] if unit else unassigned

    def names(self) -> tuple[str, ...]:
        """The names in alphabetical order."""
        return tuple(self._policies)

    def policies(self) -> tuple[Policy, ...]:
        """The policies in the order of their names."""
        return tuple(self._policies.values())

    def _choices_of(self, route: Route) -> tuple[tuple[Choice, ...], Choice]:
        """What each arm of a route means, and what a request meets of which the unit is not known."""
        others = tuple(self._policies[name] for name, share in route.arms if share and name != UPSTREAM)
        arms = tuple(
            Choice(Policy.upstream(), name, triggered=False, shadows=others)
            if name == UPSTREAM
            else replace(self._named[name], arm=name)
            for name, _ in route.arms
        )
        largest = arms[route.largest]
        return arms, replace(largest, arm="", notes=(_NO_UNIT,), shadows=largest.shadows if largest.triggered else ())

    def _choice(self, name: str) -> Choice:
        """What a policy means, with its shadow if it has one."""
        policy = self._policies[name]
        shadow = policy.message.shadow
        shadows = (self._policies[shadow.policy],) if shadow.fraction else ()
        return Choice(policy, shadows=shadows, shadow_share=shadow.fraction if shadows else 1.0)


def _policy(name: str, data: bytes, found: list[FileViolation], known: set[str]) -> Policy | None:
    """The policy of a file; None where it has mistakes, which are then among those `found`. Its name is `known`."""
    stem = name.removesuffix(".toml")
    try:
        policy = Policy.from_file(data, stem, name)
    except InvalidInput as error:
        found += [FileViolation(v.path, v.reason, v.line, name) for v in error.violations]
        known.add(words.parse(data.decode(errors="replace"))[0].name or stem)  # no arm is wrong because of its mistakes
        return None
    known.add(policy.name)
    return policy


def _routes(data: bytes, found: list[FileViolation], known: set[str]) -> Routes | None:
    try:
        return Routes.from_file(data, known, FILE)
    except InvalidInput as error:
        found += [FileViolation(v.path, v.reason, v.line, FILE) for v in error.violations]
        return None


def _check_shadow(policy: Policy, file: str, found: list[FileViolation], known: set[str]) -> None:
    shadow = policy.message.shadow.policy
    if shadow and shadow not in known - {UPSTREAM}:
        reason = f"no policy has this name; there are {listed_in_part(sorted(known - {UPSTREAM}))}"
        found.append(FileViolation("shadow.policy", reason, file=file))


def _published_routes(routes: Routes, found: list[FileViolation], known: set[str]) -> Routes:
    try:
        return Routes.from_proto(routes.to_proto(), known)
    except InvalidInput as error:
        found += [FileViolation(v.path, v.reason, file=f"published {FILE}") for v in error.violations]
        return routes
