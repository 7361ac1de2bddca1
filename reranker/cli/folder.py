"""`check-policy` and `describe` of what is more than one policy: routes.toml, or a whole folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from reranker.cli import inputs, terminal
from reranker.errors import InvalidInput, Violation

if TYPE_CHECKING:
    from reranker.policy import PolicyBook
    from reranker.policy.routes import Routes

ROUTES = "routes.toml"


def holds(path: str) -> bool:
    """Whether the path names a folder or routes, not a policy."""
    return Path(path).is_dir() or Path(path).name == ROUTES


def check(options: argparse.Namespace) -> int:
    """Name every mistake of every file: routes are sound only beside the policies that they name."""
    given = [*(["--candidates"] if options.candidates is not None else []), *inputs.context_flags(options)]
    if given:
        raise InvalidInput(Violation(flag, "goes with the file of one policy") for flag in given)
    book = _book(options.policy)
    lines = [f"{options.policy}: sound, revision {book.revision}"]
    lines += [f"  {policy.name}, revision {policy.revision}" for policy in book.policies()]
    if book.routes:
        lines.append(f"  {ROUTES}, revision {book.routes.revision}")
    if options.since is not None:
        lines += _moves(book.routes, Path(options.since))
    terminal.show(lines)
    return 0


def describe(options: argparse.Namespace) -> int:
    """Say in plain words which request meets what."""
    from reranker.policy.describe import described
    from reranker.policy.describe_routes import described_routes

    book = _book(options.policy)
    lines = described_routes(book.routes) if book.routes else ["Requests that name no policy meet default."]
    if Path(options.policy).is_dir():
        for policy in book.policies():
            lines += ["", *described(policy)]
    terminal.show(lines)
    return 0


def _book(path: str) -> PolicyBook:
    from reranker.policy import PolicyBook
    from reranker.policy.folder import Folder

    if Path(path).is_dir():
        return PolicyBook.load(Path(path))
    with Path(path).open("rb"):  # its own error where it cannot be read, before that of its folder
        return PolicyBook.of(Folder.read(Path(path).parent))


def _moves(routes: Routes | None, since: Path) -> list[str]:
    from reranker.policy.describe_routes import described_moves
    from reranker.policy.files import read_bytes
    from reranker.policy.routes import Routes

    if routes is None:
        raise InvalidInput([Violation("--since", f"goes with {ROUTES}, and there is none")])
    return ["since then:", *described_moves(Routes.from_file(read_bytes(since), None, str(since)), routes)]
