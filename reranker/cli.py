"""The command line; each command imports what it needs when it runs, so that help and mistakes are quick."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reranker.errors import InvalidInput, RerankerError, Violation

if TYPE_CHECKING:
    from reranker.candidates import Candidates
    from reranker.slate import Slate

_COLUMNS = ("ids", "scores", "embeddings", "attributes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 an unforeseen failure, 2 bad input or settings."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except (RerankerError, OSError) as error:
        print(f"reranker {options.command}: {error}", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    from reranker.runtime.settings import add_flags

    parser = argparse.ArgumentParser(prog="reranker", description="Diverse, representative slates under quotas.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    serve = commands.add_parser(
        "serve", help="serve slates over gRPC", description="Serve slates over gRPC.", epilog=_PRECEDENCE
    )
    add_flags(serve)
    serve.add_argument("--check", action="store_true", help="validate settings and policies, warm up and exit")
    serve.set_defaults(run=_serve)

    rerank = commands.add_parser("rerank", help="re-rank one list from a file", description=_RERANK)
    rerank.add_argument("--policy", required=True, metavar="FILE", help="a policy as TOML")
    rerank.add_argument(
        "--candidates", required=True, metavar="FILE", help="candidates as JSON; - reads standard input"
    )
    rerank.add_argument("--slate-size", type=int, default=10, metavar="N", help="items in the slate (default 10)")
    rerank.add_argument("--explain", action="store_true", help="say why each item stands where it stands")
    rerank.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    rerank.set_defaults(run=_rerank)

    check = commands.add_parser("check-policy", help="name every mistake of a policy, and when its shares bind")
    check.add_argument("file", type=Path, metavar="FILE", help="a policy as TOML")
    check.set_defaults(run=_check_policy)

    describe = commands.add_parser("describe", help="say in plain words what a policy does")
    describe.add_argument("file", type=Path, metavar="FILE", help="a policy as TOML")
    describe.set_defaults(run=_describe)
    return parser


_PRECEDENCE = "Each flag has a variable: --worker-threads is RERANKER_WORKER_THREADS. A flag wins over its variable."
_RERANK = (
    "Re-rank one list, in this process. The JSON is an object of columns (ids, scores, and optionally embeddings and "
    "attributes) or a list of rows, each with id, score, optionally embedding, and any other key as an attribute."
)


def _serve(options: argparse.Namespace) -> int:
    from reranker.runtime.settings import resolve

    settings = resolve(vars(options))
    from reranker.runtime.process import check_only, serve

    return check_only(settings) if options.check else serve(settings)


def _rerank(options: argparse.Namespace) -> int:
    from reranker.candidates import Candidates
    from reranker.engine import rerank
    from reranker.policy import Policy

    policy = Policy.from_toml(Path(options.policy))
    candidates = Candidates(**_columns(_json(options.candidates)))
    slate = rerank(candidates, policy, options.slate_size, explain=options.explain)
    print(json.dumps(_as_json(slate)) if options.json else _as_text(candidates, slate))
    return 0


def _check_policy(options: argparse.Namespace) -> int:
    from reranker.policy import Policy, describe

    policy = Policy.from_toml(options.file)
    warned = describe.warnings(policy)
    verdict = f"{options.file}: sound, revision {policy.revision}"
    print(verdict, *describe.numbers(policy), *(f"warning: {text}" for text in warned), sep="\n")
    return 0


def _describe(options: argparse.Namespace) -> int:
    from reranker.policy import Policy, describe

    print(*describe.described(Policy.from_toml(options.file)), sep="\n")
    return 0


def _json(path: str) -> Any:
    try:
        return json.loads(sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput([Violation("candidates", f"must be JSON: {error}")], source=path) from None


def _columns(tree: Any) -> dict[str, Any]:
    """The arguments of `Candidates` from either form of the file."""
    if isinstance(tree, dict):
        unknown = [key for key in tree if key not in _COLUMNS]
        absent = [key for key in _COLUMNS[:2] if key not in tree]
        found = [Violation(f"candidates.{key}", f"no such column; there are {', '.join(_COLUMNS)}") for key in unknown]
        found += [Violation(f"candidates.{key}", "is missing") for key in absent]
        if found:
            raise InvalidInput(found)
        return tree
    if not isinstance(tree, list) or not all(isinstance(row, dict) for row in tree):
        raise InvalidInput([Violation("candidates", "must be an object of columns or a list of rows")])
    names = dict.fromkeys(key for row in tree for key in row if key not in ("id", "score", "embedding"))
    embeddings = [row.get("embedding") for row in tree]
    return {
        "ids": [row.get("id") for row in tree],
        "scores": [float("nan") if row.get("score") is None else row["score"] for row in tree],
        "embeddings": embeddings if any(vector is not None for vector in embeddings) else None,
        "attributes": {name: [row.get(name) for row in tree] for name in names},
    }


def _as_json(slate: Slate) -> dict[str, Any]:
    report = slate.report
    return {
        "ids": slate.ids,
        "positions": slate.positions.tolist(),
        "gains": slate.gains.tolist(),
        "status": report.status,
        "relevance_retained": report.relevance_retained,
        "quotas": [outcome.detail for outcome in report.quotas],
        "notes": list(report.notes),
        "explanations": [explanation.text for explanation in slate.explanations],
    }


def _as_text(candidates: Candidates, slate: Slate) -> str:
    report = slate.report
    ids, scores = [str(item) for item in slate.ids], candidates.scores[slate.positions]
    width = max([2, *map(len, ids)])
    lines = [f"{'slot':>4}  {'id':<{width}}  {'score':>10}  {'gain':>10}"]
    for slot, (item, score, gain) in enumerate(zip(ids, scores, slate.gains, strict=True), start=1):
        lines.append(f"{slot:>4}  {item:<{width}}  {score:>10.4g}  {gain:>10.4g}")
        if slate.explanations:
            lines.append(f"      {slate.explanations[slot - 1].text}")
    kept = "" if report.relevance_retained is None else f", {report.relevance_retained:.1%} of the relevance kept"
    lines.append(f"\n{report.status.value} by policy {report.policy_name} ({report.policy_revision[:12]}){kept}")
    lines += [f"  {outcome.status.value}  {outcome.detail}" for outcome in report.quotas]
    lines += [f"  note: {note}" for note in report.notes]
    return "\n".join(lines)
