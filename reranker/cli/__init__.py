"""The command line; each command imports what it needs when it runs, so that help and mistakes are quick."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace

from reranker.cli import audit, catalog, folder, inputs, log, policy, replay, terminal, warm
from reranker.errors import InvalidInput, RerankerError, Violation

_BROKEN = 3  # what check-policy returns when a hard bound does not hold on the candidates


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 an unforeseen failure, 2 bad input or settings.

    `check-policy` returns 3 for a sound policy of which a hard bound does not hold on the given candidates.
    """
    terminal.prepare()
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except InvalidInput as error:
        terminal.refuse(options.command, inputs.in_words_of_the_command(error, options))
    except (RerankerError, OSError) as error:
        terminal.refuse(options.command, error)
    else:
        return code
    return 2


def _parser() -> argparse.ArgumentParser:
    from reranker.runtime.configuration import add_flags

    parser = argparse.ArgumentParser(
        prog="reranker", description="Diverse, representative slates under quotas.", epilog=_CODES
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    serve = commands.add_parser(
        "serve",
        help="serve slates over gRPC",
        description="Serve slates over gRPC.",
        epilog=f"{_PRECEDENCE} {_CODES} {_SIGNALS}",
    )
    add_flags(serve)
    serve.add_argument("--check", action="store_true", help="validate settings and policies, warm up and exit")
    serve.set_defaults(run=_serve)

    rerank = commands.add_parser("rerank", help="re-rank one list from a file", description=_RERANK, epilog=_CODES)
    rerank.add_argument("--policy", required=True, metavar="FILE", help="a policy as TOML")
    rerank.add_argument(
        "--candidates", required=True, metavar="FILE", help="candidates as JSON; - reads standard input"
    )
    inputs.add_context_flags(rerank)
    rerank.add_argument(
        "--page", type=int, default=1, metavar="N", help="the page to show; those before it are made first (default 1)"
    )
    rerank.add_argument("--explain", action="store_true", help="say why each item stands where it stands")
    rerank.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    rerank.set_defaults(run=_rerank)

    check = commands.add_parser(
        "check-policy", help="name every mistake of a policy, and try it on a list", description=_CHECK, epilog=_CODES
    )
    check.add_argument("policy", metavar="FILE", help="a policy as TOML, routes.toml, or a folder of both")
    check.add_argument("--candidates", metavar="FILE", help="a list to try it on, as JSON; - reads standard input")
    inputs.add_context_flags(check)
    check.add_argument(
        "--since", metavar="FILE", help="with routes: an earlier routes.toml; says who moves from which arm to which"
    )
    check.set_defaults(run=_check_policy)

    words = "say in plain words what a policy does"
    describe = commands.add_parser("describe", help=words, description=f"{words.capitalize()}.", epilog=_CODES)
    describe.add_argument("policy", metavar="FILE", help="a policy as TOML, or routes.toml")
    describe.set_defaults(run=_describe)

    audit.add_command(commands, _CODES)
    catalog.add_commands(commands, _CODES)
    log.add_commands(commands, _CODES)
    policy.add_commands(commands, _CODES)
    replay.add_commands(commands, _CODES)
    warm.add_command(commands, _CODES)
    return parser


_PRECEDENCE = (
    "Each flag has a variable and a key in the file of --config: --worker-threads is RERANKER_WORKER_THREADS and "
    "worker_threads. A flag wins over its variable, that over the file."
)
_CODES = (
    "Exit codes: 0 done; 1 something that nobody foresaw; 2 a mistake in a setting, a flag, a policy or a list, or "
    f'quotas that cannot hold under mode = "fail"; {_BROKEN}, of check-policy, a hard bound does not hold, of catalog '
    f"verify --absent, an id is still there, and of compare, a gate fails; {replay.NOT_KNOWN}, of compare, none fails, "
    "but the requests are too few to tell."
)
_SIGNALS = "130 and 143: a second SIGINT or SIGTERM ended the server at once."
_RERANK = f"Re-rank one list, in this process. {inputs.FORMAT}"
_CHECK = (
    "Name every mistake of a policy with its line and key, say when its shares begin to bind and which never do. Of "
    "routes.toml or a folder, name every mistake of every file. "
    "With candidates, also say whether every bound holds, what that costs in relevance and whom the guard takes away; "
    f"the exit code is {_BROKEN} when a hard bound does not hold. {inputs.FORMAT}"
)


def _serve(options: argparse.Namespace) -> int:
    from reranker.runtime.configuration import Configuration, resolve

    # Before NumPy loads: a request has one core, and a process that is to fork must have no threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    def read() -> Configuration:
        return resolve(vars(options))

    configuration = read()
    from reranker.runtime.process import check_only, serve

    return check_only(configuration.settings) if options.check else serve(configuration, read)


def _rerank(options: argparse.Namespace) -> int:
    request = inputs.read_request(options)
    from reranker.cli.show import as_json, as_text
    from reranker.engine import rerank

    context = request.context
    with terminal.announcing_compilation(options.command):
        for _ in range(options.page - 1):
            before = rerank(request.candidates, request.policy, request.slate_size, context=context)
            context = replace(context, cursor=before.cursor)
        slate = rerank(request.candidates, request.policy, request.slate_size, explain=options.explain, context=context)
    terminal.show([json.dumps(as_json(slate))] if options.json else as_text(request.candidates, slate))
    return 0


def _check_policy(options: argparse.Namespace) -> int:
    if folder.holds(options.policy):
        return folder.check(options)
    if options.since is not None:
        raise InvalidInput([Violation("--since", "goes with routes.toml or a folder")])
    from reranker.policy import binding

    request = None if options.candidates is None else inputs.read_request(options)
    policy = inputs.read_policy(options) if request is None else request.policy
    terminal.show([f"{options.policy}: sound, revision {policy.revision}", *binding.numbers(policy)])
    terminal.show(f"warning: {text}" for text in binding.warnings(policy))
    if request is None:
        return 0
    from reranker.cli.show import trial_as_text
    from reranker.engine.trial import try_policy

    with terminal.announcing_compilation(options.command):
        trial = try_policy(policy, request.candidates, request.slate_size, request.context)
    terminal.show(trial_as_text(trial))
    return _BROKEN if trial.broken else 0


def _describe(options: argparse.Namespace) -> int:
    if folder.holds(options.policy):
        return folder.describe(options)
    from reranker.policy import describe

    terminal.show(describe.described(inputs.read_policy(options)))
    return 0
