"""One recorded request through the policies of a run: what each made of it, and what that is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from google.protobuf.message import DecodeError

from reranker import engine
from reranker.codec import DecodedRequest, decode_request
from reranker.codec.limits import Limits
from reranker.errors import QuotasInfeasible, RerankerError, Violation
from reranker.replay.measured import Measured, MeasuredList
from reranker.replay.plan import Entry, Plan
from reranker.replay.words import Measure
from reranker.signals import Catalog
from reranker.slate import OutcomeStatus, QuotaOutcome, Slate, SlateStatus
from reranker.v1.request_log_pb2 import RequestLog

_LIMITS = Limits(candidates=1_000_000, slate_size=100_000)  # the server that recorded it decided what is too large
_NOTHING = Measured({}, ())
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
    """Replays requests one by one, under one plan and one version of the catalog."""

    def __init__(self, plan: Plan, catalog: Catalog | None = None) -> None:
        self._plan, self._catalog = plan, catalog

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
        lists = message.candidates
        if (
            self._plan.bare_lists_refer
            and self._catalog is not None
            and not (lists.embeddings or lists.attributes or lists.HasField("catalog"))
        ):
            lists.catalog.SetInParent()
        found: list[Violation] = []
        decoded = decode_request(message, _LIMITS, found, self._catalog)
        return _in_short(found) if found else decoded

    def slate(self, decoded: DecodedRequest, entry: Entry, *, explain: bool = False) -> Slate:
        """What one policy makes of a request. Raises `RerankerError`."""
        return engine.rerank(
            decoded.candidates, entry.policy, decoded.slate_size, explain=explain, context=decoded.context
        )

    def _row(self, request: Request, entry: Entry, decoded: DecodedRequest, laid_out: MeasuredList) -> Row:
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
        measured.numbers.update(_fate(slate))
        return Row(
            request,
            entry.label,
            tuple(slate.positions.tolist()),
            slate.report.status.value,
            slate.report.tier.value,
            measured=measured,
            quotas=slate.report.quotas,
            microseconds=took,
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


def _fate(slate: Slate) -> dict[Measure, float]:
    """What became of the request and of the bounds, in numbers."""
    report = slate.report
    met = report.status in (SlateStatus.SATISFIED, SlateStatus.NOT_TRIGGERED)
    broken = sum(outcome.status == OutcomeStatus.BROKEN and not outcome.soft for outcome in report.quotas)
    return {Measure("answered"): 1.0, Measure("bounds_met"): float(met), Measure("quotas_broken"): float(broken)}


def _in_short(found: Sequence[Violation]) -> str:
    more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{found[0].path}: {found[0].reason}{more}"


def _one_line(error: RerankerError) -> str:
    return str(error).replace("\n", "; ")
