"""Which policy a request means: one by name, one sent along, or what routes decide, with its overrides applied."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, TypeVar

from reranker.codec.limits import Limits
from reranker.errors import InvalidInput, Violation
from reranker.policy import Policy
from reranker.policy.snapshots import Choice, PolicyBook
from reranker.v1 import policy_pb2, reranker_service_pb2

Key = TypeVar("Key")

_REMEMBERED = 64  # policies of each kind made for requests; an equal request finds the same one and its compiled form


class PolicyDesk:
    """Finds or makes the policy of each request; safe to use from many threads."""

    def __init__(self, book: PolicyBook, limits: Limits) -> None:
        self.book = book
        """What serves: another book in its place serves every request that comes from then on."""
        self._limits = limits
        self._sent_along: _Memory[bytes] = _Memory()
        # Apart, so that callers whose overrides vary with every request do not push the policies sent along out.
        self._overrides: _Memory[tuple[str, float | None, float | None]] = _Memory()

    def choice_of(self, request: reranker_service_pb2.RerankRequest) -> Choice:
        """What applies, overrides included; they change nothing where the upstream order is the answer.

        Raises `UnknownPolicy`, or `InvalidInput` with paths below `inline_policy` and `overrides`.
        """
        book = self.book  # this one until the answer is made
        if request.WhichOneof("policy") == "inline_policy":
            choice = Choice(self._inline(request))
        elif request.policy_name:
            choice = book.named(request.policy_name)
        else:
            choice = book.routed(request.context)
        policy = self._overridden(choice.policy, request.overrides)
        return replace(choice, policy=policy) if choice.triggered and policy is not choice.policy else choice

    def _inline(self, request: reranker_service_pb2.RerankRequest) -> Policy:
        if not self._limits.inline_policies:
            reason = "is not taken by this server, which runs in production: name one of its policies"
            raise InvalidInput([Violation("inline_policy", reason)])
        size = request.inline_policy.ByteSize()
        if size > self._limits.policy_bytes:
            reason = f"must be at most {self._limits.policy_bytes} bytes, is {size}"
            raise InvalidInput([Violation("inline_policy", reason)])
        if request.inline_policy.HasField("shadow"):
            reason = "goes with policies of the server, which knows the other one, and not with one sent along"
            raise InvalidInput([Violation("inline_policy.shadow", reason)])
        data = request.inline_policy.SerializeToString(deterministic=True)
        return self._sent_along.get(data, lambda: _sent_along(request.inline_policy))

    def _overridden(self, policy: Policy, overrides: reranker_service_pb2.PolicyOverrides) -> Policy:
        diversity = overrides.diversity if overrides.HasField("diversity") else None
        floor = overrides.relevance_floor if overrides.HasField("relevance_floor") else None
        if diversity is None and floor is None:
            return policy
        return self._overrides.get(
            (policy.revision, diversity, floor),
            lambda: policy.with_overrides(diversity=diversity, relevance_floor=floor),
        )


class _Memory(Generic[Key]):
    """The policies that were made last, by what they were made of; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[Key, Policy] = OrderedDict()

    def get(self, key: Key, make: Callable[[], Policy]) -> Policy:
        """The policy of this key, made now if it is not remembered."""
        with self._lock:
            known = self._made.get(key)
            if known is not None:
                self._made.move_to_end(key)
                return known
        policy = make()  # outside the lock: it may take a while, and two makers of one policy agree
        with self._lock:
            self._made[key] = policy
            if len(self._made) > _REMEMBERED:
                self._made.popitem(last=False)
        return policy


def _sent_along(message: policy_pb2.Policy) -> Policy:
    """The policy in a request; its violations' paths start where the request's sender wrote it."""
    try:
        return Policy.from_proto(message)
    except InvalidInput as error:
        raise InvalidInput(
            Violation(f"inline_policy.{violation.path}", violation.reason) for violation in error.violations
        ) from None
