"""`reranker audit`: whom the upstream ranker itself pushes down, and who is missing from its results."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reranker.cli import terminal
from reranker.errors import InvalidInput, Violation

if TYPE_CHECKING:
    from reranker.replay.audit import Judgements

_AUDIT = (
    "Audit the upstream ranker by what it made (LOG: a request log, a folder of them, or result sets as JSON lines, "
    ".jsonl): which groups its scores put lower than others of the same request, at equal signals (--given, --alike) "
    "and at equal position (--relevance), who gets the attention, and who is missing from the results against a target "
    "(--target). Every file is read once and nothing of it is kept. Result sets without scores, as of an image "
    "generator, are audited for who is in them."
)


def add_command(commands: Any, epilog: str) -> None:
    """The command."""
    words = "say which groups the upstream ranker itself pushes down"
    audit = commands.add_parser("audit", help=words, description=_AUDIT, epilog=epilog)
    audit.add_argument("logs", nargs="+", metavar="LOG", help="a request log, a folder of them, or a .jsonl file")
    audit.add_argument("--catalog", metavar="FOLDER", help="the item catalog, for requests without columns")
    for flag, name, what in (
        ("--attribute", "NAME", "compare its values as groups (default: every attribute of few values)"),
        ("--by", "FIELD", "every slice of it too: kind, surface, intent, language, country, list length, prompt, …"),
        ("--given", "NAME", "compare candidates of the same request and the same value of this attribute too"),
        ("--target", "T", "uniform, request (each request's own), ATTR:VALUE=SHARE,…, or a .toml or .json file"),
    ):
        audit.add_argument(flag, action="append", default=[], metavar=name, help=f"{what}; may be repeated")
    audit.add_argument(
        "--alike", type=float, metavar="COSINE", help="compare each item with the most similar of other groups too"
    )
    audit.add_argument(
        "--relevance",
        metavar="FILE",
        help="JSON lines of request_id, item_id and relevance (0 to 1); others have 0",
    )
    audit.add_argument("--only-judged", action="store_true", help="items without a line in --relevance do not count")
    audit.add_argument("--queries", metavar="FILE", help="what was asked, by request id, as JSON: --by query or prompt")
    audit.add_argument("--top", type=int, metavar="K", help="what is shown of a list (default: its slate size)")
    audit.add_argument("--significance", type=float, default=0.05, metavar="P", help="of all findings (default 0.05)")
    audit.add_argument("--seed", type=int, default=0, metavar="N", help="of intervals (default 0)")
    audit.add_argument("--json", action="store_true", help="print one JSON object instead of words and tables")
    audit.add_argument("--parquet", metavar="FILE", help="all findings as a table; needs the extra `parquet`")
    audit.set_defaults(run=_audit)


def _audit(options: argparse.Namespace) -> int:
    _check_numbers(options)
    from reranker.replay.audit import Question, Source, audit, read_targets
    from reranker.replay.audit.sets import SETS
    from reranker.replay.audit.words import sentences, tables
    from reranker.replay.comparison import plain
    from reranker.replay.titles import read_queries
    from reranker.requestlog.traffic import files_of
    from reranker.signals import Catalog

    if options.parquet is not None:
        from reranker.replay.audit import parquet  # before the work, should the extra be missing
    question = Question(
        tuple(dict.fromkeys(options.attribute)),
        tuple(dict.fromkeys(options.by)),
        tuple(dict.fromkeys(options.given)),
        options.alike,
        read_targets(options.target),
    )
    files = [file for path in options.logs for file in ([Path(path)] if path.endswith(SETS) else files_of([path]))]
    source = Source(
        tuple(files),
        None if options.catalog is None else Catalog.open(options.catalog),
        {} if options.queries is None else read_queries(Path(options.queries)),
        options.top,
    )
    judgements = _judgements(options)
    with terminal.announcing_compilation(options.command):
        found = audit(source, question, judgements, significance=options.significance, seed=options.seed)
    if not found.requests:
        raise InvalidInput([Violation("LOG", "holds no result set that could be read")])
    if options.parquet is not None:
        parquet.write(Path(options.parquet), found)
    if options.json:
        tree = {"verdict": sentences(found), "audit": plain(found)}
        terminal.show([json.dumps(tree, ensure_ascii=False, allow_nan=False)])
    else:
        terminal.show([*sentences(found), *tables(found)])
    return 0


def _judgements(options: argparse.Namespace) -> Judgements | None:
    if options.relevance is None:
        return None
    from reranker.replay.audit import Judgements

    with Path(options.relevance).open(encoding="utf-8", errors="replace") as lines:
        return Judgements.read(lines, options.relevance, only_judged=options.only_judged)


def _check_numbers(options: argparse.Namespace) -> None:
    found = []
    if options.top is not None and options.top < 1:
        found.append(Violation("--top", "must be at least 1"))
    if not 0.0 < options.significance < 0.5:
        found.append(Violation("--significance", "must be above 0 and below 0.5"))
    if options.alike is not None and not -1.0 < options.alike <= 1.0:
        found.append(Violation("--alike", "must be above -1 and at most 1"))
    if options.seed < 0:
        found.append(Violation("--seed", "must be at least 0"))
    if options.only_judged and options.relevance is None:
        found.append(Violation("--only-judged", "goes with --relevance"))
    if found:
        raise InvalidInput(found)
