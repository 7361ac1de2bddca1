"""The register of published policies: who published, approved and rolled back what. What serves follows from it.

Lines are added and never changed; each names the hash of the one before, so that a lost or altered line shows.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from google.protobuf.message import DecodeError

from reranker.errors import FileViolation, InvalidInput, RegisterDamaged, RegisterRefused
from reranker.policy.difference import difference
from reranker.policy.mistakes import listed
from reranker.policy.model import Policy
from reranker.policy.routes import FILE, Routes
from reranker.texts import has_controls
from reranker.v1 import policy_register_pb2 as pb

_LONGEST_NOTE = 2_000
_LONGEST_ACTOR = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it is stored, and what it says."""

    data: bytes
    record: pb.PolicyRecord

    @property
    def digest(self) -> bytes:
        """What the next line calls it."""
        return hashlib.sha256(self.data).digest()

    @property
    def is_publication(self) -> bool:
        """Whether it put something forward."""
        return self.record.action == pb.POLICY_ACTION_PUBLISHED


@dataclass(frozen=True, slots=True)
class Published:
    """What serves by the register, in place of what the folder has under the same names.

    `ignored` are lines that do not count, as where a publisher approved his own and two persons are needed.
    """

    policies: tuple[Policy, ...] = ()
    routes: Routes | None = None
    ignored: tuple[int, ...] = ()

    def get(self, name: str) -> Policy | Routes | None:
        """What is published under a name."""
        if name == FILE:
            return self.routes
        return next((policy for policy in self.policies if policy.name == name), None)

    def with_(self, subject: Policy | Routes) -> Published:
        """The same with one thing more, in the place of what had its name."""
        if isinstance(subject, Routes):
            return replace(self, routes=subject)
        others = [policy for policy in self.policies if policy.name != subject.name]
        return replace(self, policies=(*others, subject))


NOTHING = Published()


class Register:
    """All lines in their order; immutable. `two_persons`: nobody approves what he published himself."""

    __slots__ = ("lines", "two_persons")

    def __init__(self, lines: Sequence[Line] = (), *, two_persons: bool = False) -> None:
        self.lines = tuple(lines)
        self.two_persons = two_persons

    @classmethod
    def read(cls, stored: Iterable[bytes], *, two_persons: bool = False) -> Register:
        """The register of stored lines. Raises `RegisterDamaged` naming the first that cannot be."""
        return cls(two_persons=two_persons).continued(stored)

    def continued(self, stored: Iterable[bytes]) -> Register:
        """The register with these lines after its own. Raises `RegisterDamaged` where they do not follow on them."""
        lines = list(self.lines)
        for data in stored:
            number = len(lines) + 1
            try:
                record = pb.PolicyRecord.FromString(data)
            except DecodeError:
                raise RegisterDamaged(number, "is no record") from None
            if record.number != number or record.previous != (lines[-1].digest if lines else b""):
                raise RegisterDamaged(number, "does not follow on the line before it")
            if not _is_about_something(record, lines):
                raise RegisterDamaged(number, "is about nothing that was published")
            lines.append(Line(data, record))
        return Register(lines, two_persons=self.two_persons)

    @property
    def head(self) -> bytes:
        """The hash of the last line, which stands for all; empty without lines."""
        return self.lines[-1].digest if self.lines else b""

    def serving(self) -> dict[str, int]:
        """The number of the publication that serves, by name."""
        serving: dict[str, int] = {}
        for line in self.lines:
            record = line.record
            if line.is_publication or self.ignores(record):
                continue
            if record.publication:
                serving[record.name] = record.publication
            else:
                serving.pop(record.name, None)
        return serving

    def published(self) -> Published:
        """What serves. Raises `InvalidInput` where this release cannot serve it."""
        policies, routes, found = [], None, []
        for number in self.serving().values():
            record = self.publication(number)
            try:
                if record.name == FILE:
                    routes = Routes.from_proto(record.routes)
                else:
                    policies.append(Policy.from_proto(record.policy))
            except InvalidInput as error:
                file = f"publication {number} ({record.name})"
                found += [FileViolation(v.path, v.reason, file=file) for v in error.violations]
        if found:
            raise InvalidInput(found, "published policies")
        ignored = tuple(line.record.number for line in self.lines if self.ignores(line.record))
        return Published(tuple(policies), routes, ignored)

    def waiting(self) -> dict[str, int]:
        """The number of the newest publication that waits for an approval, by name."""
        waiting: dict[str, int] = {}
        for line in self.lines:
            if line.is_publication:
                waiting[line.record.name] = line.record.number
            elif waiting.get(line.record.name) == line.record.publication and not self.ignores(line.record):
                del waiting[line.record.name]
        return waiting

    def publication(self, number: int) -> pb.PolicyRecord:
        """The record of a publication. Raises `RegisterRefused` when that line is none."""
        if not 1 <= number <= len(self.lines) or not self.lines[number - 1].is_publication:
            raise RegisterRefused(f"line {number} is no publication; `history` lists them")
        return self.lines[number - 1].record

    def publish(
        self, subject: Policy | Routes, actor: str, *, before: Policy | Routes | None, note: str, report_digest: str
    ) -> Register:
        """With a new publication; `before` is what serves under its name now. Raises `RegisterRefused`."""
        name = FILE if isinstance(subject, Routes) else subject.name
        if before is not None and before == subject:
            raise RegisterRefused(f"{name} serves at revision {subject.revision} already: there is nothing to publish")
        record = pb.PolicyRecord(
            action=pb.POLICY_ACTION_PUBLISHED,
            name=name,
            revision=subject.revision,
            diff=difference(before, subject),
            report_digest=report_digest,
        )
        if isinstance(subject, Routes):
            record.routes.CopyFrom(subject.to_proto())
        else:
            record.policy.CopyFrom(subject.to_proto())
        return self._with(record, actor, note)

    def approve(self, number: int, actor: str, *, note: str = "") -> Register:
        """With an approval of a publication. Raises `RegisterRefused` with what to do instead."""
        published = self.publication(number)
        newest = self.waiting().get(published.name)
        if newest is None:
            raise RegisterRefused(
                f"nothing of {published.name} waits for an approval; `rollback` goes back to what was"
            )
        if newest != number:
            raise RegisterRefused(f"publication {number} gave way to {newest}: approve that, or publish it again")
        if self.two_persons and _same(actor, published.actor):
            raise RegisterRefused(
                f"publication {number} is {published.actor}'s own: in production somebody else approves it"
            )
        record = pb.PolicyRecord(
            action=pb.POLICY_ACTION_APPROVED, name=published.name, publication=number, revision=published.revision
        )
        return self._with(record, actor, note)

    def roll_back(self, name: str, actor: str, *, to: int | None = None, note: str = "") -> Register:
        """With `name` back at what was approved before what serves now, or at publication `to` (0: at none).

        Raises `RegisterRefused` where there is no way back, or `to` never served.
        """
        now, came_after = self._course_of(name)
        if not came_after:
            raise RegisterRefused(f"nothing published under the name {name} has ever served")
        target = came_after.get(now, 0) if to is None else to
        if target == now:
            raise RegisterRefused(f"{name} is at {f'publication {now}' if now else 'none'} already")
        if target and target not in came_after:
            served = listed(map(str, came_after), "and")
            raise RegisterRefused(f"publication {target} never served under the name {name}; {served} did")
        revision = self.publication(target).revision if target else ""
        record = pb.PolicyRecord(action=pb.POLICY_ACTION_ROLLED_BACK, name=name, publication=target, revision=revision)
        return self._with(record, actor, note)

    def _course_of(self, name: str) -> tuple[int, dict[int, int]]:
        """What serves under a name now (0: nothing published), and what did before, by publication that ever served."""
        now, came_after = 0, dict[int, int]()
        for record in (line.record for line in self.lines if line.record.name == name and not line.is_publication):
            if self.ignores(record):
                continue
            if record.action == pb.POLICY_ACTION_APPROVED:
                came_after[record.publication] = now
            now = record.publication
        return now, came_after

    def ignores(self, record: pb.PolicyRecord) -> bool:
        """Whether this does not count: an approval that needs another person, a way back to what none let serve."""
        if record.action == pb.POLICY_ACTION_APPROVED:
            return self.two_persons and _same(record.actor, self.publication(record.publication).actor)
        if record.action == pb.POLICY_ACTION_ROLLED_BACK and record.publication:
            before = (line.record for line in self.lines[: record.number - 1])
            approvals = (earlier for earlier in before if earlier.action == pb.POLICY_ACTION_APPROVED)
            return not any(
                earlier.publication == record.publication and not self.ignores(earlier) for earlier in approvals
            )
        return False

    def _with(self, record: pb.PolicyRecord, actor: str, note: str) -> Register:
        for what, text, longest in (
            ("the name of who does this", actor, _LONGEST_ACTOR),
            ("the note", note, _LONGEST_NOTE),
        ):
            if len(text) > longest or has_controls(text):
                raise RegisterRefused(f"{what} must be at most {longest} characters on one line")
        if not actor.strip():
            raise RegisterRefused("the name of who does this must not be empty")
        record.number, record.previous = len(self.lines) + 1, self.head
        record.actor, record.note = actor.strip(), note
        record.time.FromDatetime(datetime.datetime.now(datetime.UTC))
        data = record.SerializeToString(deterministic=True)
        return Register((*self.lines, Line(data, record)), two_persons=self.two_persons)


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _is_about_something(record: pb.PolicyRecord, before: Sequence[Line]) -> bool:
    """Whether a publication has what it names, and anything else names a publication of the same name."""
    if record.action == pb.POLICY_ACTION_PUBLISHED:
        kind = record.WhichOneof("published")
        return record.name == (FILE if kind == "routes" else record.policy.name if kind == "policy" else None)
    if record.action == pb.POLICY_ACTION_ROLLED_BACK and not record.publication:
        return True
    if record.action not in (pb.POLICY_ACTION_APPROVED, pb.POLICY_ACTION_ROLLED_BACK):
        return False
    line = before[record.publication - 1] if 1 <= record.publication <= len(before) else None
    return line is not None and line.is_publication and line.record.name == record.name
