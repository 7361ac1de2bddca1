"""`reranker policy publish | approve | rollback | history`: policies for all servers of a store, and who did what."""

from __future__ import annotations

import argparse
import getpass
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reranker.cli import terminal
from reranker.cli.folder import ROUTES
from reranker.errors import InvalidInput, RegisterRefused, StoreUnavailable, Violation

if TYPE_CHECKING:
    from reranker.policy import Policy, PolicyBook
    from reranker.policy.folder import Folder
    from reranker.policy.register import Published, Register
    from reranker.policy.register_store import StoredRegister
    from reranker.policy.routes import Routes
    from reranker.runtime.settings import Settings
    from reranker.v1.policy_register_pb2 import PolicyRecord

_SETTINGS = ("config", "profile", "store", "store_prefix", "store_password_file", "store_ca", "policies")
_SECONDS = 10.0  # for one round trip; nobody's request waits for it
_ABOUT = (
    "Published policies serve in the place of files of the same name, on every server of the store. The settings are "
    "the servers' own: flags, RERANKER_* variables or --config."
)
_PUBLISH = (
    "Check a policy, or routes.toml, beside what serves, and put it forward; nothing serves it until it is approved. "
    "Without a store, check it and put it into the folder of --policies, whose servers take it over."
)
_APPROVE = "Let what was published serve. With --profile production, not by who published it."
_ROLLBACK = "Let what served before serve again, at once; it was approved then."
_HISTORY = "Who did what when, the newest last; and what serves."


def add_commands(commands: Any, epilog: str) -> None:
    """`policy` and its four commands."""
    policy = commands.add_parser(
        "policy", help="publish, approve and roll back policies for all servers", description=_ABOUT, epilog=epilog
    )
    actions = policy.add_subparsers(dest="action", required=True, metavar="action")

    publish = actions.add_parser("publish", help="put a policy forward", description=_PUBLISH, epilog=epilog)
    publish.add_argument("file", metavar="FILE", help="a policy as TOML, or routes.toml")
    publish.add_argument("--report", metavar="FILE", help="a replay's report that speaks for it; its SHA-256 is kept")
    _add_flags(publish, by=True)
    publish.set_defaults(run=_publish)

    approve = actions.add_parser("approve", help="let it serve", description=_APPROVE, epilog=epilog)
    approve.add_argument("number", metavar="NUMBER", type=int, help="the publication's, as `publish` printed it")
    _add_flags(approve, by=True)
    approve.set_defaults(run=_approve)

    rollback = actions.add_parser("rollback", help="go back to what was", description=_ROLLBACK, epilog=epilog)
    rollback.add_argument("name", metavar="NAME", help="the policy's name, or routes.toml")
    rollback.add_argument(
        "--to", type=int, metavar="NUMBER", help="the publication to go back to; 0: the folder's file, or none"
    )
    _add_flags(rollback, by=True)
    rollback.set_defaults(run=_roll_back)

    history = actions.add_parser("history", help="say who did what when", description=_HISTORY, epilog=epilog)
    history.add_argument("name", metavar="NAME", nargs="?", help="of this policy, or of routes.toml, alone")
    history.add_argument("--diff", action="store_true", help="show what each publication changed")
    _add_flags(history, by=False)
    history.set_defaults(run=_history)


def _add_flags(command: argparse.ArgumentParser, *, by: bool) -> None:
    if by:
        command.add_argument("--by", metavar="NAME", help="who does this (default: the name that you are logged in by)")
        command.add_argument("--note", metavar="TEXT", default="", help="why, for those who read the history")
    command.add_argument("--config", metavar="FILE", help="a TOML file of settings")
    command.add_argument("--store", metavar="URL", help="the store of the servers")
    command.add_argument("--store-prefix", metavar="TEXT", help="what its keys begin with, as the servers have it")
    command.add_argument("--store-password-file", metavar="FILE", help="file of the store's password")
    command.add_argument("--store-ca", metavar="FILE", help="file of the certificates that vouch for the store")
    command.add_argument("--policies", metavar="FOLDER", help="the folder that the servers have beside the store")
    command.add_argument("--profile", metavar="…", help="development or production")


def _publish(options: argparse.Namespace) -> int:
    settings = _settings(options)
    if settings.store is None:
        return _put_into_the_folder(options, settings)
    subject, actor, digest = _subject(Path(options.file)), _actor(options), _digest(options.report)
    name = getattr(subject, "name", ROUTES)
    folder = _folder(settings)
    with _opened(settings) as stored:
        register = stored.read()
        published = register.published()
        _check(folder, published.with_(subject))
        before = published.get(name) or _in_folder(folder, name)
        register = register.publish(subject, actor, before=before, note=options.note, report_digest=digest)
        _append(stored, register)
    record = register.lines[-1].record
    lines = [f"published {name}, revision {record.revision}, as publication {record.number}; nothing serves it yet"]
    lines += [f"  {line}" for line in record.diff]
    who = "somebody else than you, in production" if settings.production else "who looked at it"
    terminal.show([*lines, f"next, by {who}: reranker policy approve {record.number}"])
    return 0


def _approve(options: argparse.Namespace) -> int:
    settings, actor = _settings(options), _actor(options)
    with _opened(settings) as stored:
        register = stored.read().approve(options.number, actor, note=options.note)
        _check(_folder(settings), register.published())
        _append(stored, register)
    record = register.lines[-1].record
    what = f"{record.name}, revision {record.revision}"
    terminal.show([f"approved publication {record.publication}: servers take {what} over within seconds"])
    return 0


def _roll_back(options: argparse.Namespace) -> int:
    settings, actor = _settings(options), _actor(options)
    with _opened(settings) as stored:
        register = stored.read().roll_back(options.name, actor, to=options.to, note=options.note)
        _check(_folder(settings), register.published())
        _append(stored, register)
    record = register.lines[-1].record
    to = f"publication {record.publication}, revision {record.revision}" if record.publication else "what servers have"
    terminal.show([f"rolled {record.name} back to {to}: servers take that over within seconds"])
    return 0


def _history(options: argparse.Namespace) -> int:
    settings = _settings(options)
    with _opened(settings) as stored:
        register = stored.read()
    records = [line.record for line in register.lines if options.name in (None, line.record.name)]
    if not records:
        terminal.show(["nothing was ever published" + (f" under the name {options.name}" if options.name else "")])
        return 0
    for record in records:
        terminal.show([_in_words(record, register), *(f"        {line}" for line in record.diff if options.diff)])
    names = {record.name for record in records}
    for state, numbers in (("serves", register.serving()), ("waits for approval", register.waiting())):
        for name, number in sorted(numbers.items()):
            if name in names:
                revision = register.publication(number).revision
                terminal.show([f"{state}: {name}, publication {number}, revision {revision}"])
    return 0


def _in_words(record: PolicyRecord, register: Register) -> str:
    from reranker.v1 import policy_register_pb2 as pb

    did = {
        pb.POLICY_ACTION_PUBLISHED: f"published {record.name}, revision {record.revision}",
        pb.POLICY_ACTION_APPROVED: f"approved {record.publication}: {record.name}, revision {record.revision}",
        pb.POLICY_ACTION_ROLLED_BACK: f"rolled {record.name} back to {record.publication or 'what servers have'}",
    }[record.action]
    ignored = ", which does not count in production: nobody approves his own" if register.ignores(record) else ""
    report = f", report {record.report_digest[:12]}" if record.report_digest else ""
    note = f" ({record.note})" if record.note else ""
    when = record.time.ToDatetime().isoformat(" ", "seconds")
    return f"{record.number:>5}  {when}Z  {record.actor} {did}{ignored}{report}{note}"


def _settings(options: argparse.Namespace) -> Settings:
    from reranker.runtime.configuration import resolve

    return resolve({name: getattr(options, name) for name in _SETTINGS}).settings


@contextmanager
def _opened(settings: Settings) -> Iterator[StoredRegister]:
    """The register in the servers' store."""
    if settings.store is None:
        reason = "is needed: published policies are in the servers' store; of a folder, version control has the history"
        raise InvalidInput([Violation("--store", reason)])
    from reranker.policy.register_store import StoredRegister
    from reranker.store.store import Store

    address = settings.store.with_files(settings.store_password_file, settings.store_ca)
    store = Store(address, connections=1)
    store.start(_SECONDS)
    try:
        yield StoredRegister(store, _SECONDS, prefix=settings.store_prefix, two_persons=settings.production)
    finally:
        store.close()


def _append(stored: StoredRegister, register: Register) -> None:
    try:
        stored.append(register)
    except StoreUnavailable as error:
        raise RegisterRefused(f"{error}; whether it was written is not known: look at `history`") from None


def _subject(file: Path) -> Policy | Routes:
    from reranker.policy import Policy
    from reranker.policy.files import read_bytes
    from reranker.policy.routes import Routes

    if file.name == ROUTES:
        return Routes.from_file(read_bytes(file), None, str(file))
    return Policy.from_toml(file)


def _folder(settings: Settings) -> Folder | None:
    from reranker.policy.folder import Folder

    return None if settings.policies is None else Folder.read(settings.policies)


def _check(folder: Folder | None, published: Published) -> PolicyBook:
    """What servers would make of it: every mistake, before anybody can meet it."""
    from reranker.policy import PolicyBook

    try:
        return PolicyBook.of(folder, published)
    except InvalidInput as error:
        if folder is None and published.routes is not None:
            hint = "where a policy is a file of the servers, name their folder"
            raise InvalidInput([*error.violations, Violation("--policies", hint)]) from None
        raise


def _in_folder(folder: Folder | None, name: str) -> Policy | Routes | None:
    """What servers have under a name without the register."""
    from reranker.policy import PolicyBook

    book = PolicyBook.of(folder)
    if name == ROUTES:
        return book.routes
    return book.get(name) if name in book.names() else None


def _put_into_the_folder(options: argparse.Namespace, settings: Settings) -> int:
    """Check a file beside all others of a folder, and let it take its place there in one step."""
    from reranker.policy import PolicyBook
    from reranker.policy.files import read_bytes, replace_file
    from reranker.policy.folder import Folder

    file = Path(options.file)
    given = {"--by": options.by, "--note": options.note, "--report": options.report}
    found = [Violation(flag, "goes with a store only: a folder keeps no history") for flag in given if given[flag]]
    if settings.policies is None:
        found = [Violation("--store", "or --policies is needed: where the servers look")]
    if file.suffix != ".toml" or file.name.startswith("."):
        found.append(Violation(str(file), "must be a name that ends in .toml, without a dot before it"))
    if found or settings.policies is None:
        raise InvalidInput(found)
    data = read_bytes(file)
    book = PolicyBook.of(Folder.read(settings.policies).with_file(file.name, data))
    place = settings.policies / file.name
    replace_file(place, data)
    terminal.show([f"{place}: checked with the others, and in its place; servers take it over within seconds"])
    terminal.show([f"all together are revision {book.revision} now"])
    return 0


def _actor(options: argparse.Namespace) -> str:
    if options.by:
        return str(options.by)
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise InvalidInput([Violation("--by", "is needed: this machine does not know who you are")]) from None


def _digest(report: str | None) -> str:
    if report is None:
        return ""
    with Path(report).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
