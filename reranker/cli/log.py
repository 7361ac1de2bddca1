"""`reranker log inspect | convert`: request logs from the command line."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reranker.cli import terminal
from reranker.errors import InvalidInput, Violation

if TYPE_CHECKING:
    from reranker.requestlog.traffic import Contents

_INSPECT = (
    "Say what request logs hold: how many records of which time, kinds, surfaces and policies, whether their items are "
    "in a catalog and in which version of it. A folder stands for every log in it."
)
_CONVERT = (
    "Write request logs into one file: length-delimited messages (.rlog), the same compressed (.rlog.gz), or Parquet "
    "(.parquet), which has the record in the column `record` and needs the extra: pip install "
    "'diversity-reranker[parquet]'. The file appears whole or not at all."
)
_SHOWN = 8


def add_commands(commands: Any, epilog: str) -> None:
    """`log` and its commands."""
    log = commands.add_parser(
        "log", help="inspect and convert request logs", description="Request logs.", epilog=epilog
    )
    actions = log.add_subparsers(dest="action", required=True, metavar="action")

    inspect = actions.add_parser("inspect", help="say what they hold", description=_INSPECT, epilog=epilog)
    inspect.add_argument("paths", nargs="+", metavar="PATH", help="a request log, or a folder of them")
    inspect.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    inspect.set_defaults(run=_inspect)

    convert = actions.add_parser("convert", help="write them in another form", description=_CONVERT, epilog=epilog)
    convert.add_argument("paths", nargs="+", metavar="PATH", help="a request log, or a folder of them")
    convert.add_argument("target", metavar="TARGET", help="the file to write: .rlog, .rlog.gz or .parquet")
    convert.set_defaults(run=_convert)


def _inspect(options: argparse.Namespace) -> int:
    from reranker.requestlog.traffic import Contents, files_of, records_of

    files = files_of(options.paths)
    contents = Contents()
    for record in records_of(files):
        contents.add(record)
    tree = _as_json(contents, len(files))
    terminal.show([json.dumps(tree)] if options.json else _as_text(contents, len(files)))
    return 0


def _convert(options: argparse.Namespace) -> int:
    from reranker.requestlog import write
    from reranker.requestlog.traffic import SUFFIXES, files_of, parsed, records_of

    target = Path(options.target)
    if not target.name.endswith(SUFFIXES):
        raise InvalidInput([Violation("TARGET", f"must end in {', '.join(SUFFIXES)}")])
    files = files_of(options.paths)
    if any(target.exists() and target.samefile(file) for file in files):
        raise InvalidInput([Violation("TARGET", "is one of the logs to read")])
    records = parsed(records_of(files))
    if target.suffix == ".parquet":
        from reranker.requestlog import parquet

        count = parquet.write(target, records)
    else:
        count = write(target, records)
    terminal.show([f"{count:,} records written to {target}"])
    return 0


def _as_json(contents: Contents, files: int) -> dict[str, Any]:
    return {
        "files": files,
        "records": contents.records,
        "bytes": contents.size,
        "broken": contents.broken,
        "first": _moment(contents.first),
        "last": _moment(contents.last),
        "candidates": contents.candidates[0],
        "longest_list": contents.candidates[1],
        "by_reference": contents.by_reference,
        "answered": contents.answered,
        "refined": contents.refined,
        "sampling_rates": {f"{rate:g}": count for rate, count in contents.sampling_rates.items()},
        "kinds": dict(contents.kinds),
        "surfaces": dict(contents.surfaces),
        "policies": dict(contents.policies),
        "arms": dict(contents.arms),
        "catalogs": dict(contents.catalogs),
        "origins": dict(contents.origins),
    }


def _as_text(contents: Contents, files: int) -> list[str]:
    whole = contents.records - contents.broken
    lines = [f"{contents.records:,} records in {files:,} files, {contents.size / 1e6:,.1f} MB of messages"]
    if contents.first is not None:
        lines.append(f"  from {_moment(contents.first)} to {_moment(contents.last)}")
    if whole:
        mean = contents.candidates[0] / whole
        lines.append(f"  candidates: {mean:,.0f} in the mean, {contents.candidates[1]:,} in the longest list")
        lines.append(f"  by reference to a catalog: {contents.by_reference:,}; with an answer: {contents.answered:,}")
    rates: Counter[str] = Counter()
    for rate, count in contents.sampling_rates.items():
        rates[f"{rate:g}" if rate else ""] += count
    for title, counted in (
        ("sampling rate", rates),
        ("kind", contents.kinds),
        ("surface", contents.surfaces),
        ("policy", contents.policies),
        ("arm", contents.arms),
        ("catalog", contents.catalogs),
        ("origin", contents.origins),
    ):
        lines += _counted(title, counted)
    if contents.refined:
        lines.append(f"  {contents.refined:,} are refined: they should not have been recorded, and are not replayed")
    if contents.broken:
        lines.append(f"  {contents.broken:,} are no RequestLog messages")
    return lines


def _counted(title: str, counted: Counter[str]) -> list[str]:
    if not counted or set(counted) == {""}:
        return []
    named = [f"{value or '(none)'} {count:,}" for value, count in counted.most_common(_SHOWN)]
    more = f" and {len(counted) - _SHOWN} more" if len(counted) > _SHOWN else ""
    return [f"  {title}: {', '.join(named)}{more}"]


def _moment(time: float | None) -> str | None:
    return None if time is None else datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
