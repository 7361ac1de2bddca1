"""Recorded requests through the policies of a run: what each made of them, and what that is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from time import perf_counter

import numpy as np
from google.protobuf.message import DecodeError

from reranker import engine
from reranker.candidates import Candidates
from reranker.codec import DecodedRequest, decode_request
from reranker.codec.limits import Limits
from reranker.errors import InvalidInput, QuotasInfeasible, RerankerError, Violation
from reranker.replay.answers import Answer, made_by
from reranker.replay.lists import Positions, ToMeasure
from reranker.replay.measured import MeasuredLists, Yardstick
from reranker.replay.numbers import Numbers
from reranker.replay.plan import Entry, Plan, looked_at
from reranker.replay.presences import Presences
from reranker.replay.vocabulary import Vocabulary
from reranker.signals import Catalog
from reranker.slate import OutcomeStatus, QuotaOutcome, Slate, SlateStatus
from reranker.v1.candidates_pb2 import CandidateList
from reranker.v1.request_log_pb2 import RequestLog

_LIMITS = Limits(candidates=1_000_000, slate_size=100_000)  # the server that recorded it decided what is too large
_ALL_MET = (SlateStatus.SATISFIED, SlateStatus.NOT_TRIGGERED)
_INFEASIBLE = 'the quotas cannot hold, and the policy says mode = "fail"'
_TOGETHER = 200_000  # candidates that are measured at once, again for each slate: some 50 MB
_READ = 4_000  # candidates that are read before the policies get them
_NO_SLATE: Positions = np.zeros(0, np.int32)
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
    positions: Positions = field(default_factory=lambda: _NO_SLATE)
    status: str = ""
    tier: str = ""
    error: str = ""
    quotas: tuple[QuotaOutcome, ...] = ()
    microseconds: float = 0.0


@dataclass(slots=True, eq=False)
class Replayed:
    """Some requests under all policies: a row for each of the two, what each is worth, and who stands where in it.

    Measures and presences name rows by their place, and texts by their number in the vocabulary.
    """

    rows: list[Row] = field(default_factory=list)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    numbers: Numbers = field(init=False)
    presences: list[Presences] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.numbers = Numbers(self.vocabulary)


class Replayer:
    """Replays requests, under one plan and one version of the catalog.

    `answers` are what servers made of them, by place in the traffic and label, for the entries that ask servers.
    """

    def __init__(
        self, plan: Plan, catalog: Catalog | None = None, answers: Mapping[tuple[int, str], Answer] | None = None
    ) -> None:
        self._plan, self._catalog, self._answers = plan, catalog, answers or {}
        self._looked_at = looked_at(plan)

    def replay(self, ordinals: Sequence[int], records: Sequence[bytes]) -> Replayed:
        """One row a request and policy, in the plan's order; records are `RequestLog` messages.

        Never raises for their content. What comes of a request does not depend on the others.
        """
        replayed, fates, waiting = Replayed(), _Fates(), _Waiting()
        for some in self._read(ordinals, records):
            self._answer(some, replayed, waiting, fates)
            if waiting.size >= _TOGETHER:
                waiting.measure(self._plan.yardstick, replayed)
                waiting = _Waiting()
        waiting.measure(self._plan.yardstick, replayed)
        fates.tell(replayed.numbers)
        return replayed

    def decoded(self, log: RequestLog, names: frozenset[str] | None = None) -> DecodedRequest | str:
        """The request as the engine's own types, or why it cannot be replayed.

        A list that does not say which columns it refers to gets, of the attributes, those with `names` (default: all).
        """
        if log.request.context.refinement:
            return REFINED
        message = log.request
        if self._catalog is not None:
            if self._plan.bare_lists_refer:
                let_bare_lists_refer(message.candidates)
            if names is not None and message.candidates.HasField("catalog"):
                targets = (each.attribute for each in message.context.targets)
                _refer_to(message.candidates, names.union(targets), self._catalog)
        found: list[Violation] = []
        decoded = decode_request(message, _LIMITS, found, self._catalog)
        return _in_short(found) if found else decoded

    def slate(self, decoded: DecodedRequest, entry: Entry, *, explain: bool = False) -> Slate:
        """What one policy makes of a request. Raises `RerankerError`."""
        return engine.rerank(
            decoded.candidates, entry.policy, decoded.slate_size, explain=explain, context=decoded.context
        )

    def _read(
        self, ordinals: Sequence[int], records: Sequence[bytes]
    ) -> Iterator[list[tuple[Request, DecodedRequest | str]]]:
        """The requests, some at a time: one kind of work after the other finds its code and its data in the caches."""
        some: list[tuple[Request, DecodedRequest | str]] = []
        size = 0
        for ordinal, record in zip(ordinals, records, strict=True):
            try:
                log = RequestLog.FromString(record)
            except DecodeError:
                some.append((Request(ordinal, ""), "the record is not a RequestLog message"))
                continue
            request = described(ordinal, log)
            some.append((request, self.decoded(log, self._looked_at)))
            size += request.candidates
            if size >= _READ:
                yield some
                some, size = [], 0
        yield some

    def _answer(
        self,
        some: Sequence[tuple[Request, DecodedRequest | str]],
        replayed: Replayed,
        waiting: _Waiting,
        fates: _Fates,
    ) -> None:
        """The rows of some requests, policy by policy; what they are worth has to wait."""
        columns = [[self._row(request, entry, decoded) for request, decoded in some] for entry in self._plan.entries]
        for (_, decoded), rows in zip(some, zip(*columns, strict=True), strict=True):
            if isinstance(decoded, str):
                replayed.rows += rows
                continue
            waiting.add(decoded)
            for entry, row in zip(self._plan.entries, rows, strict=True):
                fates.add(len(replayed.rows), row)
                if not row.error:
                    waiting.slate(len(replayed.rows), row.positions, entry, decoded)
                replayed.rows.append(row)

    def _row(self, request: Request, entry: Entry, decoded: DecodedRequest | str) -> Row:
        if isinstance(decoded, str):
            return Row(request, entry.label, error=decoded)
        if entry.asks:
            return self._answered(request, entry, decoded)
        began = perf_counter()
        try:
            slate = self.slate(decoded, entry)
        except QuotasInfeasible as error:
            took = (perf_counter() - began) * 1e6
            return Row(request, entry.label, error=_INFEASIBLE, quotas=error.outcomes, microseconds=took)
        except RerankerError as error:
            return Row(request, entry.label, error=_one_line(error))
        took = (perf_counter() - began) * 1e6
        return Row(
            request,
            entry.label,
            slate.positions,
            slate.report.status,
            slate.report.tier,
            quotas=slate.report.quotas,
            microseconds=nan if self._plan.timing else took,  # nothing to set beside calls over a network
        )

    def _answered(self, request: Request, entry: Entry, decoded: DecodedRequest) -> Row:
        answer = self._answers.get((request.ordinal, entry.label))
        if answer is None:
            return Row(request, entry.label, error="no answer was kept")
        if answer.error:
            return Row(request, entry.label, error=answer.error)
        try:
            made = made_by(answer.response, decoded.candidates)
        except InvalidInput as found:
            return Row(request, entry.label, error=f"the answer cannot be used: {_in_short(found.violations)}")
        return Row(
            request,
            entry.label,
            made.positions,
            made.status,
            made.tier,
            quotas=made.quotas,
            microseconds=answer.microseconds,
        )


class _Waiting:
    """Lists and the slates made of them that are yet to be measured: many at once take hardly longer than a few."""

    def __init__(self) -> None:
        self.size = 0
        """Candidates that measuring will look at, again for each slate."""
        self._lists: list[Candidates] = []
        self._targets: list[Mapping[str, Mapping[str, float]]] = []
        self._made: list[ToMeasure] = []
        self._rows: list[int] = []

    def add(self, decoded: DecodedRequest) -> None:
        """A list of which slates will follow; its embeddings are let go, as slates bring those of their items."""
        own = decoded.candidates
        self._lists.append(Candidates.from_columns(range(len(own)), own.scores, {}, own.attributes))
        self._targets.append(decoded.context.targets)

    def slate(self, row: int, positions: Positions, entry: Entry, decoded: DecodedRequest) -> None:
        """A slate of the last list."""
        column, embedded = next(iter(decoded.candidates.embeddings.values()), None), None
        if column is not None:
            present = positions[column.norms[positions] > 0.0] if column.missing else positions
            embedded = column.matrix[present]
        self.size += len(decoded.candidates)
        self._rows.append(row)
        policy = None if entry.as_served else entry.policy  # what a server does by itself is not known
        self._made.append(ToMeasure(len(self._lists) - 1, positions, policy, embedded))

    def measure(self, yardstick: Yardstick, replayed: Replayed) -> None:
        """All of them."""
        if self._made:
            lists = MeasuredLists(self._lists, self._targets, yardstick, replayed.vocabulary)
            replayed.presences.append(lists.measure(self._made, np.array(self._rows, np.intp), replayed.numbers))


class _Fates:
    """What became of requests and of their bounds, in numbers."""

    def __init__(self) -> None:
        self._answered: list[tuple[int, float]] = []
        self._met: list[tuple[int, float]] = []
        self._broken: list[tuple[int, float]] = []

    def add(self, place: int, row: Row) -> None:
        """One row: answered or not, whether its bounds hold, and how many hard ones do not."""
        if not row.error:
            broken = sum(outcome.status is OutcomeStatus.BROKEN and not outcome.soft for outcome in row.quotas)
            self._answered.append((place, 1.0))
            self._met.append((place, float(row.status in _ALL_MET)))
            self._broken.append((place, float(broken)))
            return
        self._answered.append((place, 0.0))
        if row.error == _INFEASIBLE:
            self._met.append((place, 0.0))

    def tell(self, numbers: Numbers) -> None:
        """All of them."""
        for name, told in (("answered", self._answered), ("bounds_met", self._met), ("quotas_broken", self._broken)):
            rows, found = zip(*told, strict=True) if told else ((), ())
            numbers.add(name, np.array(rows, np.intp), np.array(found, np.float64))


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


def _refer_to(lists: CandidateList, names: frozenset[str], catalog: Catalog) -> None:
    """Have a list that refers to all columns refer to all embeddings, and to these attributes alone."""
    asked = lists.catalog
    if asked.embeddings or asked.attributes:
        return
    inline = {column.name for column in lists.embeddings}
    embeddings = [name for name in catalog.embeddings if name not in inline]
    inline = {column.name for column in lists.attributes}
    attributes = [name for name in catalog.attributes if name in names and name not in inline]
    if attributes or embeddings:  # none at all would mean every one
        asked.embeddings.extend(embeddings)
        asked.attributes.extend(attributes)


def _in_short(found: Sequence[Violation]) -> str:
    more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{found[0].path}: {found[0].reason}{more}"


def _one_line(error: RerankerError) -> str:
    return str(error).replace("\n", "; ")
