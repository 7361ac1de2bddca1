"""`reranker replay` and `reranker compare`: recorded traffic through policies, and what that says of them."""

from __future__ import annotations

import argparse
import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reranker.cli import terminal
from reranker.cli.progress import Progress
from reranker.cli.replay_live import SERVED, add_live_flags, ask_servers, check_live_flags, timing_of, what_was_sent
from reranker.cli.replay_notes import before_the_numbers, not_there
from reranker.errors import FileViolation, InvalidInput, Violation

if TYPE_CHECKING:
    from reranker.policy import Policy
    from reranker.replay.comparison import Comparison
    from reranker.replay.gates import Gates
    from reranker.replay.outcomes import Outcomes
    from reranker.replay.plan import Plan
    from reranker.replay.report import Report
    from reranker.replay.results import Results
    from reranker.replay.survey import Traffic
    from reranker.signals import Catalog

FAILED, NOT_KNOWN = 3, 5
_REPLAY = (
    "Send recorded requests (LOG: a request log or a folder of them) through two policies or more, in this machine's "
    "processes, and compare the last policy with the first: a verdict in words, RUN/report.html and "
    "RUN/comparison.json. A run that was stopped, by whatever, goes on when the same command is given again. The word "
    "`upstream` is the upstream ranker's own order; it is the baseline where one policy alone is named. With --against "
    "the slates are made by servers, which are sent each request when it is due; the word `served` is then what a "
    "server does by itself. Needs the extras: pip install 'diversity-reranker[parquet,report]'."
)
_COMPARE = (
    "Compare two policies of a run that `reranker replay` has made, with other gates, titles or intervals. Exit code "
    f"0: every gate passes; {FAILED}: one fails; {NOT_KNOWN}: none fails, but the requests are too few to tell."
)


def add_commands(commands: Any, epilog: str) -> None:
    """Both commands."""
    replay = commands.add_parser(
        "replay", help="send recorded requests through policies", description=_REPLAY, epilog=epilog
    )
    replay.add_argument("logs", nargs="+", metavar="LOG", help="a request log, or a folder of them")
    replay.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="FILE",
        help="a policy as TOML, `upstream`, or with --against `served`, its default; baseline first",
    )
    replay.add_argument("--run", dest="folder", required=True, metavar="RUN", help="the folder of the run")
    replay.add_argument(
        "--catalog", metavar="FOLDER", help="the item catalog, for requests that refer to it or carry no columns at all"
    )
    replay.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="PATH=N,N",
        help="the last policy at these settings of one knob too",
    )
    replay.add_argument(
        "--attribute",
        action="append",
        default=[],
        metavar="NAME",
        help="measure this one beside those that policies name",
    )
    replay.add_argument("--limit", type=int, metavar="N", help="the first N requests alone")
    replay.add_argument("--jobs", type=int, metavar="N", help="processes (default: one for each core)")
    replay.add_argument(
        "--engine",
        choices=("local", "ray", "spark"),
        default="local",
        help="whose processes work: this machine's (default), Ray Data's or Spark's, each an extra",
    )
    replay.add_argument("--fresh", action="store_true", help="begin anew what the folder of the run holds")
    replay.add_argument(
        "--no-parts", action="store_true", help="do not split prices by cause: two replays less for each policy"
    )
    add_live_flags(replay)
    _add_comparison_flags(replay)
    replay.set_defaults(run=_replay)

    compare = commands.add_parser("compare", help="compare two policies of a run", description=_COMPARE, epilog=epilog)
    compare.add_argument("folder", metavar="RUN", help="the folder of the run")
    compare.add_argument("--baseline", metavar="LABEL", help="a policy of the run (default: its first)")
    compare.add_argument("--candidate", metavar="LABEL", help="a policy of the run (default: its last)")
    _add_comparison_flags(compare)
    compare.set_defaults(run=_compare)


def _add_comparison_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gates", metavar="FILE", help="limits that the candidate has to clear, as TOML")
    parser.add_argument("--titles", metavar="FILE", help="titles of items: .npz with ids and titles, or JSON by id")
    parser.add_argument("--queries", metavar="FILE", help="what was asked, by request id: JSON")
    parser.add_argument("--level", type=float, default=0.95, metavar="P", help="of intervals (default 0.95)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of intervals (default 0)")
    parser.add_argument(
        "--outcomes",
        metavar="FILE",
        help="what people did in an experiment between the two: JSON lines, - for standard input (docs/replay.md)",
    )
    parser.add_argument(
        "--arms", metavar="A,B", help="what the outcomes call baseline and candidate (default: their labels)"
    )
    parser.add_argument(
        "--candidate-share", type=float, default=0.5, metavar="P", help="that the experiment gave B (default 0.5)"
    )
    parser.add_argument(
        "--label-noise",
        metavar="RATE,…|FILE",
        help="compare again where so many labels are wrong: 0.05,0.1 or a confusion matrix (.toml, .json)",
    )
    parser.add_argument("--report", metavar="FILE", help="where the report goes (default RUN/report.html)")
    parser.add_argument(
        "--json", dest="json_file", metavar="FILE", help="where its JSON goes (default RUN/comparison.json)"
    )
    parser.add_argument(
        "--tables", metavar="FOLDER", help="write its numbers, those of each request too, as Parquet files in here"
    )


def _replay(options: argparse.Namespace) -> int:
    _check_numbers(options)
    check_live_flags(options)
    servers = options.against.split(",") if options.against else []
    policies = _policies(options.policy or [SERVED] * bool(servers), len(servers))
    from reranker.replay.measured import Yardstick
    from reranker.replay.plan import Plan, asked_of, entries_of, sweeps_of
    from reranker.replay.runner import run
    from reranker.replay.shards import RunFolder
    from reranker.replay.survey import Traffic
    from reranker.requestlog.traffic import files_of

    timing = timing_of(options)
    entries = entries_of(policies, sweeps_of(options.sweep), parts=not options.no_parts and timing is None)
    if timing is not None:
        entries = asked_of(entries, servers)
    traffic = Traffic(tuple(files_of(options.logs)), options.limit)
    catalog = _catalog(options.catalog)
    plan = Plan(entries, Yardstick.of(policies, options.attribute), options.catalog or "", timing=timing)
    folder = RunFolder(Path(options.folder))
    progress = Progress("requests")
    try:
        if timing is not None:
            ask_servers(options, plan, traffic, folder, catalog)
        with terminal.announcing_compilation(options.command):
            run(
                plan,
                traffic,
                folder,
                catalog=catalog,
                jobs=options.jobs,
                fresh=options.fresh and not servers,
                progress=progress,
                on=options.engine,
            )
    except KeyboardInterrupt:
        progress.close()
        terminal.note([f"stopped; the same command goes on from here ({options.folder})"])
        return 130
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        reason = "no space is left on its disk: make room, and the same command goes on where it was"
        raise InvalidInput([Violation(options.folder, reason)]) from None
    finally:
        progress.close()
    labels = [entry.label for entry in entries if not entry.part_of]
    _publish(options, folder, labels[0], labels[-1])
    return 0


def _compare(options: argparse.Namespace) -> int:
    _check_numbers(options)
    from reranker.replay.gates import Outcome
    from reranker.replay.shards import RunFolder

    folder = RunFolder(Path(options.folder))
    own = [entry["label"] for entry in folder.manifest["policies"] if not entry["part_of"]]
    found = _publish(options, folder, options.baseline or own[0], options.candidate or own[-1])
    return {Outcome.PASS: 0, Outcome.FAIL: FAILED, Outcome.INSUFFICIENT: NOT_KNOWN}[found.outcome]


def _publish(options: argparse.Namespace, folder: Any, baseline: str, candidate: str) -> Comparison:
    """Compare, write both reports, and say the verdict."""
    from reranker.replay.report import as_html, as_json
    from reranker.replay.verdict import sentences

    results = folder.results({baseline, candidate})
    report = _report(options, folder, results, baseline, candidate)
    terminal.tell([f"note: {warning}" for warning in report.warnings])
    terminal.tell(sentences(report.found))
    if report.outcomes is not None:
        from reranker.replay.outcomes import sentences as said_of_outcomes

        terminal.tell(["", *said_of_outcomes(report.outcomes)])
    page = Path(options.report or folder.path / "report.html")
    data = Path(options.json_file or folder.path / "comparison.json")
    for path, text in ((data, as_json(report)), (page, as_html(report))):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, text)
    terminal.show(["", f"the report: {page}", f"for programs: {data}"])
    if options.tables is not None:
        from reranker.replay.report.parquet import write_tables

        count = len(write_tables(Path(options.tables), report, results))
        terminal.show([f"{count} tables: {options.tables}"])
    return report.found


def _write(path: Path, text: str) -> None:
    """A file is there whole or as it was; into anything else, such as a pipe, the text is written."""
    from reranker.requestlog.whole import whole

    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    with whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _report(options: argparse.Namespace, folder: Any, results: Results, baseline: str, candidate: str) -> Report:
    from reranker.replay.browser import Words, browse
    from reranker.replay.comparison import compare
    from reranker.replay.frontier import frontier
    from reranker.replay.gates import DEFAULT, read_gates
    from reranker.replay.report import Report
    from reranker.replay.runner import plan_of, traffic_of
    from reranker.replay.slices import with_queries
    from reranker.replay.titles import read_queries, read_titles

    manifest = folder.manifest
    gates = DEFAULT if options.gates is None else read_gates(Path(options.gates))
    words = Words(
        {} if options.titles is None else read_titles(Path(options.titles)),
        {} if options.queries is None else read_queries(Path(options.queries)),
    )
    spent = {"level": options.level, "seed": options.seed}
    results = with_queries(results, words.queries)
    found = compare(results, baseline, candidate, gates=gates, **spent)
    plan, traffic = plan_of(manifest), traffic_of(manifest)
    catalog, changed_since = _read_again(manifest, plan, traffic)
    if options.label_noise is not None:
        if changed_since is not None:
            raise changed_since
        found = _under_noise(options, found, results, plan, traffic, gates, catalog)
    warnings = before_the_numbers(manifest, plan, {baseline, candidate}, results.traffic.recorded_catalogs)
    warnings += not_there(plan, found, results.providers)
    warnings += what_was_sent(plan, folder)
    changed = []
    servers = folder.answered_to if plan.timing else None
    try:
        if changed_since is not None:
            raise changed_since
        with terminal.announcing_compilation(options.command):
            changed = browse(
                results, plan, traffic, baseline, candidate, catalog=catalog, words=words, answered=servers
            )
    except (OSError, InvalidInput) as error:
        warnings.append(f"the requests that change most cannot be shown, as the traffic cannot be read again: {error}")
    about = {"Traffic": ", ".join(manifest["traffic"]), "Digest of the requests": manifest["digest"]}
    about |= {each["label"]: f"revision {each['revision']}" for each in manifest["policies"]}
    if plan.catalog:
        about["Catalog"] = f"{plan.catalog}, version {manifest['catalog_version']}"
    people = None if options.outcomes is None else _outcomes(options, results, baseline, candidate)
    return Report(found, frontier(results, plan.entries, candidate, **spent), changed, about, warnings, people)


def _read_again(manifest: dict[str, Any], plan: Plan, traffic: Traffic) -> tuple[Catalog | None, Exception | None]:
    """The catalog of a run, and why what the run was made of cannot be read again, where it cannot."""
    from reranker.replay.survey import Survey

    try:
        catalog = _catalog(plan.catalog)
        reason = "is not what was replayed: it has changed since"
        if catalog is not None and catalog.version != manifest["catalog_version"]:
            raise InvalidInput([Violation(plan.catalog, f"{reason}, to {catalog.version}")])
        if Survey.of(traffic).digest != manifest["digest"]:
            raise InvalidInput([Violation(", ".join(map(str, traffic.files)), reason)])
    except (OSError, InvalidInput) as error:
        return None, error
    return catalog, None


def _under_noise(
    options: argparse.Namespace,
    found: Comparison,
    results: Results,
    plan: Plan,
    traffic: Traffic,
    gates: Gates,
    catalog: Catalog | None,
) -> Comparison:
    from reranker.replay.noise import read_noise
    from reranker.replay.noisy import under_noise

    noises = read_noise(options.label_noise)
    return under_noise(found, results, plan, traffic, noises, gates=gates, catalog=catalog, seed=options.seed)


def _outcomes(options: argparse.Namespace, results: Results, baseline: str, candidate: str) -> Outcomes:
    from reranker.replay.outcomes import outcomes_of

    arms = None if options.arms is None else tuple(options.arms.split(","))
    spent = {"candidate_share": options.candidate_share, "level": options.level, "seed": options.seed}
    if options.outcomes == "-":
        return outcomes_of(results, baseline, candidate, sys.stdin, arms=arms, **spent)
    with Path(options.outcomes).open(encoding="utf-8", errors="replace") as lines:
        return outcomes_of(results, baseline, candidate, lines, arms=arms, **spent)


def _policies(files: list[str], servers: int) -> list[Policy]:
    """The policies in their order, the upstream order first where nothing else could be the baseline.

    Raises `InvalidInput` with every mistake of every file.
    """
    from reranker.policy import Policy
    from reranker.replay.plan import UPSTREAM, served, upstream

    words = {UPSTREAM: upstream, **({SERVED: served} if servers else {})}
    found: list[Violation] = []
    policies: list[Policy] = []
    for file in files:
        try:
            policies.append(words[file]() if file in words else Policy.from_toml(Path(file)))
        except InvalidInput as error:
            found += [FileViolation(each.path, each.reason, each.line, file) for each in error.violations]
        except OSError as error:
            found.append(FileViolation("policy", f"cannot be read: {error.strerror}", file=file))
    if not files:
        found.append(Violation("--policy", "must name a policy as TOML, or `upstream`"))
    if found:
        raise InvalidInput(found)
    return policies if len(policies) > 1 or servers > 1 else [upstream(), *policies]


def _catalog(folder: str | None) -> Catalog | None:
    if not folder:
        return None
    from reranker.signals import Catalog

    return Catalog.open(folder)


def _check_numbers(options: argparse.Namespace) -> None:
    found = []
    for flag, value in (("--limit", getattr(options, "limit", None)), ("--jobs", getattr(options, "jobs", None))):
        if value is not None and value < 1:
            found.append(Violation(flag, "must be at least 1"))
    if not 0.5 <= options.level < 1.0:
        found.append(Violation("--level", "must be at least 0.5 and below 1"))
    if not 0.0 < options.candidate_share < 1.0:
        found.append(Violation("--candidate-share", "must be above 0 and below 1"))
    arms = (options.arms or "A,B").split(",")
    if len(arms) != 2 or arms[0] == arms[1] or not all(arms):
        found.append(Violation("--arms", "must be two different names, such as control,treatment"))
    if options.outcomes not in (None, "-") and not Path(options.outcomes).is_file():
        found.append(Violation("--outcomes", f"{options.outcomes} is not there"))
    if options.seed < 0:
        found.append(Violation("--seed", "must be at least 0"))
    if options.label_noise is not None:
        from reranker.replay.noise import read_noise

        try:
            read_noise(options.label_noise)  # before the work
        except InvalidInput as error:
            source = error.source
            found += [FileViolation(e.path, e.reason, file=source) if source else e for e in error.violations]
    if found:
        raise InvalidInput(found)
