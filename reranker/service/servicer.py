"""The five methods of `RerankerService` on messages; `wire.py` does the rest."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter, time
from typing import Any

import grpc

from reranker import engine
from reranker.codec import DecodedRequest, decode_request, encode_slate, in_words_of_the_wire
from reranker.codec.catalog import FindStored
from reranker.codec.limits import Limits
from reranker.engine.seal import PROCESS, Seals
from reranker.errors import InvalidInput, UnknownPolicy, Violation
from reranker.exposure.tally import TallyBoard
from reranker.observability import Observer
from reranker.policy import Policy
from reranker.policy.snapshots import Choice
from reranker.service.after import AfterAnswer, Answered
from reranker.service.errors import Failure, message_of
from reranker.service.policies import PolicyDesk
from reranker.service.sensitive import withhold
from reranker.service.timekeeper import Timekeeper
from reranker.service.tokens import Caller, Permission
from reranker.service.wire import Call, Wire
from reranker.signals import Shelf
from reranker.signals.stored import StoredItems
from reranker.v1 import reranker_service_pb2 as messages

SERVICE = "reranker.v1.RerankerService"
_NOTHING_BEFORE = engine.Outlook()


class RerankerServicer:
    """Answers messages; raises what `errors.failure_of` knows.

    `seals` open and seal the cursors of pages; `shelf` has the item catalog and `items` are those in the store, None
    where the server has none; `after` gets every slate that was made; `board` shows what the exposure ledger knows,
    None where the server keeps none; `timekeeper` knows what there is no time for.
    """

    def __init__(
        self,
        desk: PolicyDesk,
        limits: Limits,
        observer: Observer,
        seals: Seals = PROCESS,
        shelf: Shelf | None = None,
        after: AfterAnswer | None = None,
        board: TallyBoard | None = None,
        items: StoredItems | None = None,
        timekeeper: Timekeeper | None = None,
    ) -> None:
        self._desk = desk
        self._limits = limits
        self._observer = observer
        self._seals = seals
        self._shelf = shelf
        self._after = after
        self._board = board
        self._items = items
        self.timekeeper = timekeeper or Timekeeper()

    def rerank(self, request: messages.RerankRequest, call: Call) -> messages.RerankResponse:
        """One slate. The measures and the explanations are made only when asked for."""
        _check_choice(call.caller, request)
        decoded, choice, choosing = self._choice_and_input(request, call)
        decode_end, lookup, count = perf_counter() - choosing, decoded.lookup, len(decoded.candidates)
        try:
            slate, trace = engine.rerank_traced(
                decoded.candidates,
                choice.policy,
                decoded.slate_size,
                explain=request.explain,
                context=decoded.context,
                schedule=self.timekeeper.schedule(call, request, count),
                seals=self._seals,
                outlook=self._outlook(request, choice),
            )
        except InvalidInput as error:
            raise in_words_of_the_wire(error, request) from None
        encode_start = perf_counter()
        if not choice.triggered:
            slate = slate.not_triggered()
        response = encode_slate(slate, request, self._limits, signals_late=lookup.degraded)
        if request.explain and not call.caller.may(Permission.EXPLAIN_SENSITIVE):
            withhold(response, choice.policy, trusted=request.WhichOneof("policy") != "inline_policy")
        response.arm = choice.arm
        response.catalog_version = lookup.version
        response.notes.extend((*choice.notes, *lookup.notes))
        end = perf_counter()
        stages = {"decode": decode_end - call.started - lookup.seconds, **trace.stages, "encode": end - encode_start}
        stages["policy"] += choosing
        if lookup.version:
            stages["signals"] = lookup.seconds
            self._observer.looked_up(lookup.counts, degraded=lookup.degraded)
        _fill_timings(response.timings, stages, end - call.started)
        self.timekeeper.learn(call, request, count, stages, end - call.started)
        self._observer.slate_made(
            choice.policy.name,
            count,
            slate,
            stages,
            request.request_id,
            arm=choice.arm,
            refined=trace.refined,
            error_ratio=trace.error_ratio,
        )
        if self._after is not None:
            self._after.offer(
                Answered(
                    time(),
                    request,
                    response,
                    slate,
                    trace,
                    choice.policy,
                    decoded.candidates,
                    decoded.context,
                    choice.drawn_shadows(),
                )
            )
        return response

    def _outlook(self, request: messages.RerankRequest, choice: Choice) -> engine.Outlook:
        """What is known of earlier requests; of none under a policy that came along, whose name is the caller's."""
        return _NOTHING_BEFORE if request.HasField("inline_policy") else engine.Outlook(self._board, choice.arm)

    def rerank_in_stream(self, request: messages.RerankStreamRequest, call: Call) -> messages.RerankStreamResponse:
        """One slate of a stream."""
        return messages.RerankStreamResponse(response=self.rerank(request.request, call))

    def validate_policy(self, request: messages.ValidatePolicyRequest, _: Call) -> messages.ValidatePolicyResponse:
        """Every mistake of a policy; none of them is an error of this call."""
        form = request.WhichOneof("form")
        if form is None:
            raise InvalidInput([Violation("form", "exactly one of toml and policy must be filled, none is")])
        if request.ByteSize() > self._limits.policy_bytes:
            raise InvalidInput([Violation(form, f"must be at most {self._limits.policy_bytes} bytes")])
        try:
            policy = Policy.from_text(request.toml) if form == "toml" else Policy.from_proto(request.policy)
        except InvalidInput as error:
            violations = [
                messages.PolicyViolation(path=found.path, description=found.reason, line=found.line)
                for found in error.violations
            ]
            return messages.ValidatePolicyResponse(violations=violations)
        return messages.ValidatePolicyResponse(revision=policy.revision)

    def get_policy(self, request: messages.GetPolicyRequest, call: Call) -> messages.GetPolicyResponse:
        """One policy as it serves."""
        _check_use(call.caller, request.name)
        policy = self._desk.book.get(request.name)
        return messages.GetPolicyResponse(policy=policy.to_proto(), revision=policy.revision)

    def list_policies(self, _: messages.ListPoliciesRequest, call: Call) -> messages.ListPoliciesResponse:
        """All policies by name that are the caller's to see."""
        summaries = [
            messages.PolicySummary(name=policy.name, revision=policy.revision, purpose=policy.message.about.purpose)
            for policy in self._desk.book.policies()
            if call.caller.may_use(policy.name)
        ]
        return messages.ListPoliciesResponse(policies=summaries)

    def _find_stored(self, call: Call) -> FindStored | None:
        items = self._items
        if items is None:
            return None
        return lambda ids: items.find(ids, lambda: items.store.seconds_left(call.deadline))

    def _choice_and_input(self, request: messages.RerankRequest, call: Call) -> tuple[DecodedRequest, Choice, float]:
        """Both, or every violation of both at once; and the seconds that choosing took."""
        found: list[Violation] = []
        catalog = None if self._shelf is None else self._shelf.catalog  # this one until the answer is made
        decoded = decode_request(request, self._limits, found, catalog, self._find_stored(call))
        began = perf_counter()
        try:
            choice = self._desk.choice_of(request)
        except InvalidInput as error:
            raise InvalidInput([*found, *error.violations]) from None
        except UnknownPolicy:
            if found:  # the name may be one of its mistakes, but it is not the first to mend
                raise InvalidInput(found) from None
            raise
        if found:
            raise InvalidInput(found)
        return decoded, choice, perf_counter() - began


def _check_choice(caller: Caller, request: messages.RerankRequest) -> None:
    """Raises `Failure` for a policy that is not the caller's; what routes decide is the operator's word."""
    if caller.policies is not None and request.WhichOneof("policy") == "inline_policy":
        text = "the token is for some policies by name: it may not bring one along"
        raise Failure(grpc.StatusCode.PERMISSION_DENIED, "NOT_PERMITTED", text)
    if request.policy_name:
        _check_use(caller, request.policy_name)


def _check_use(caller: Caller, policy: str) -> None:
    if not caller.may_use(policy):  # also of one that does not exist: which there are is not the caller's to learn
        raise Failure(grpc.StatusCode.PERMISSION_DENIED, "NOT_PERMITTED", "the policy is not one of those of the token")


def handlers(servicer: RerankerServicer, wire: Wire) -> grpc.GenericRpcHandler:
    """The service as gRPC wants it."""
    admit = servicer.timekeeper.admit
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Rerank": wire.unary("Rerank", messages.RerankRequest, servicer.rerank, admit),
        "RerankStream": wire.stream(
            "RerankStream", messages.RerankStreamRequest, servicer.rerank_in_stream, _apology, admit
        ),
        "ValidatePolicy": wire.unary("ValidatePolicy", messages.ValidatePolicyRequest, servicer.validate_policy),
        "GetPolicy": wire.unary("GetPolicy", messages.GetPolicyRequest, servicer.get_policy),
        "ListPolicies": wire.unary("ListPolicies", messages.ListPoliciesRequest, servicer.list_policies),
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def _apology(failure: Failure) -> messages.RerankStreamResponse:
    return messages.RerankStreamResponse(error=message_of(failure))


def _fill_timings(timings: messages.StageTimings, stages: Mapping[str, float], total: float) -> None:
    for stage, seconds in stages.items():
        setattr(timings, f"{stage}_us", round(seconds * 1e6))
    timings.total_us = round(total * 1e6)
