"""One recorded request through the policies of a run: what each made of it, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from time import perf_counter

from google.protobuf.message import DecodeError

from reranker import engine
from reranker.codec import DecodedRequest, decode_request
from reranker.codec.limits import Limits
from reranker.errors import InvalidInput, QuotasInfeasible, RerankerError, Violation
from reranker.replay.answers import Answer, Made, made_by
from reranker.replay.measured import Measured, MeasuredList
from reranker.replay.plan import Entry, Plan
from reranker.replay.words import Measure
from reranker.signals import Catalog
from reranker.slate import OutcomeStatus, QuotaOutcome, Slate, SlateStatus
from reranker.v1.candidates_pb2 import CandidateList
from reranker.v1.request_log_pb2 import RequestLog

_LIMITS = Limits(candidates=1_000_000, slate_size=100_000)  # the server that recorded it decided what is too large
_NOTHING = Measured({}, ())
_NEEDS_POLICY = "div_ceiling_guarded"  # the guard is a policy's, and of what a server does by itself it is not known
REFINED = "a refined request: it should not have been recorded and is not replayed"


@dataclass(frozen=True, slots=True)
class Request:
    """What a request is, for slices and for finding it again."""

    ordinal: int
    request_id: str
    kind: str = ""
    surface: str = ""
    intent: str = ""
    language: str = ""
    country: str = ""
    candidates: int = 0
    recorded_catalog: str = ""
    """The version of the catalog that described the items when the request was recorded."""


@dataclass(frozen=True, slots=True)
class Row:
    """One request under one policy. With an `error` there is no slate, and the row says only that."""

    request: Request
    label: str
    positions: tuple[int, ...] = ()
    status: str = ""
    tier: str = ""
    error: str = ""
    measured: Measured = _NOTHING
    quotas: tuple[QuotaOutcome, ...] = ()
    microseconds: float = 0.0


class Replayer:
    """Replays requests one by one, under one plan and one version of the catalog.

    `answers` are what servers made of them, by place in the traffic and label, for the entries that ask servers.
    """

    def __init__(
        self, plan: Plan, catalog: Catalog | None = None, answers: Mapping[tuple[int, str], Answer] | None = None
    ) -> None:
        self._plan, self._catalog, self._answers = plan, catalog, answers or {}

    def rows(self, ordinal: int, record: bytes) -> list[Row]:
        """One row a policy, in the plan's order; `record` is a `RequestLog` message. Never raises for its content."""
        try:
            log = RequestLog.FromString(record)
        except DecodeError:
            return self._errors(Request(ordinal, ""), "the record is not a RequestLog message")
        request = described(ordinal, log)
        decoded = self.decoded(log)
        if isinstance(decoded, str):
            return self._errors(request, decoded)
        laid_out = MeasuredList(decoded.candidates, self._plan.yardstick, decoded.context.targets)
        return [self._row(request, entry, decoded, laid_out) for entry in self._plan.entries]

    def decoded(self, log: RequestLog) -> DecodedRequest | str:
        """The request as the engine's own types, or why it cannot be replayed."""
        if log.request.context.refinement:
            return REFINED
        message = log.request
        if self._plan.bare_lists_refer and self._catalog is not None:
            let_bare_lists_refer(message.candidates)
        found: list[Violation] = []
        decoded = decode_request(message, _LIMITS, found, self._catalog)
        return _in_short(found) if found else decoded

    def slate(self, decoded: DecodedRequest, entry: Entry, *, explain: bool = False) -> Slate:
        """What one policy makes of a request. Raises `RerankerError`."""
        return engine.rerank(
            decoded.candidates, entry.policy, decoded.slate_size, explain=explain, context=decoded.context
        )

    def _row(self, request: Request, entry: Entry, decoded: DecodedRequest, laid_out: MeasuredList) -> Row:
        if entry.asks:
            return self._answered(request, entry, laid_out)
        began = perf_counter()
        try:
            slate = self.slate(decoded, entry)
        except QuotasInfeasible as error:
            took = (perf_counter() - began) * 1e6
            measured = Measured({Measure("answered"): 0.0, Measure("bounds_met"): 0.0}, ())
            reason = 'the quotas cannot hold, and the policy says mode = "fail"'
            return Row(request, entry.label, error=reason, measured=measured, quotas=error.outcomes, microseconds=took)
        except RerankerError as error:
            measured = Measured({Measure("answered"): 0.0}, ())
            return Row(request, entry.label, error=_one_line(error), measured=measured)
        took = (perf_counter() - began) * 1e6
        measured = laid_out.measure(slate.positions, entry.policy)
        measured.numbers.update(_fate(slate.report.status, slate.report.quotas))
        return Row(
            request,
            entry.label,
            tuple(slate.positions.tolist()),
            slate.report.status.value,
            slate.report.tier.value,
            measured=measured,
            quotas=slate.report.quotas,
            microseconds=nan if self._plan.timing else took,  # nothing to set beside calls over a network
        )

    def _answered(self, request: Request, entry: Entry, laid_out: MeasuredList) -> Row:
        answer = self._answers.get((request.ordinal, entry.label))
        error = "no answer was kept" if answer is None else answer.error
        made: Made | None = None
        if answer is not None and not error:
            try:
                made = made_by(answer.response, laid_out.candidates)
            except InvalidInput as found:
                error = f"the answer cannot be used: {_in_short(found.violations)}"
        if answer is None or made is None:
            return Row(request, entry.label, error=error, measured=Measured({Measure("answered"): 0.0}, ()))
        measured = laid_out.measure(made.positions, entry.policy)
        if entry.as_served:
            for measure in [each for each in measured.numbers if each.name == _NEEDS_POLICY]:
                del measured.numbers[measure]
        measured.numbers.update(_fate(made.status, made.quotas))
        positions = tuple(made.positions.tolist())
        return Row(
            request,
            entry.label,
            positions,
            made.status.value,
            made.tier.value,
            measured=measured,
            quotas=made.quotas,
            microseconds=answer.microseconds,
        )

    def _errors(self, request: Request, reason: str) -> list[Row]:
        return [Row(request, entry.label, error=reason) for entry in self._plan.entries]


def described(ordinal: int, log: RequestLog) -> Request:
    """What the record says of the request beside its candidates."""
    message, context = log.request, log.request.context
    return Request(
        ordinal,
        message.request_id or log.metadata.request_hash.hex(),
        log.metadata.kind,
        context.surface,
        context.intent,
        context.language,
        context.country,
        len(message.candidates.scores),
        log.response.catalog_version,
    )


def let_bare_lists_refer(lists: CandidateList) -> None:
    """Make a list that carries no column one that the whole of the catalog describes."""
    if not (lists.embeddings or lists.attributes or lists.HasField("catalog")):
        lists.catalog.SetInParent()


def _fate(status: SlateStatus, quotas: Sequence[QuotaOutcome]) -> dict[Measure, float]:
    """What became of the request and of the bounds, in numbers."""
    met = status in (SlateStatus.SATISFIED, SlateStatus.NOT_TRIGGERED)
    broken = sum(outcome.status == OutcomeStatus.BROKEN and not outcome.soft for outcome in quotas)
    return {Measure("answered"): 1.0, Measure("bounds_met"): float(met), Measure("quotas_broken"): float(broken)}


def _in_short(found: Sequence[Violation]) -> str:
    more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{found[0].path}: {found[0].reason}{more}"


def _one_line(error: RerankerError) -> str:
    return str(error).replace("\n", "; ")
