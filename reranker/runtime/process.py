"""The server as a process: one that serves by itself, or a supervisor with workers.

Exit codes:

0  it was asked to stop, and every call had ended or its time was up
1  it failed in a way that nobody foresaw
2  a setting, a policy or an address is wrong
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import threading
from collections.abc import Callable
from types import FrameType

from reranker.errors import RerankerError
from reranker.observability.logs import configure, log
from reranker.runtime.configuration import Configuration
from reranker.runtime.life import in_number, live, refuse, say, say_what_serves, stop_on
from reranker.runtime.server import Server, check
from reranker.runtime.settings import Settings
from reranker.runtime.supervisor import Supervisor

_ARENAS, _MOST_ARENAS = -8, 2  # M_ARENA_MAX of glibc's mallopt, and what it is set to
_OWN_FILES = 256  # sockets between processes, the store's connections, files of log, ledger and catalog


def serve(configuration: Configuration, read_again: Callable[[], Configuration]) -> int:
    """Run the server until a signal ends it; returns the exit code. `read_again` gives the configuration anew."""
    settings = configuration.settings
    configure(settings.log_level)
    make_room(settings.max_connections)
    share_memory()
    if settings.workers == 1:
        return _serve_alone(configuration)
    try:
        supervisor = Supervisor(configuration, read_again)
        if settings.cursor_key_file is None:
            warn_of_cursors(settings)
        return supervisor.run()
    except RerankerError as error:
        return refuse(error)
    except Exception as error:  # an OSError too: to the command line that would be a mistake of its caller
        log(logging.ERROR, "the supervisor failed", error)
        return 1


def _serve_alone(configuration: Configuration) -> int:
    settings = configuration.settings
    stop = stop_on(signal.SIGTERM, signal.SIGINT)
    signal.signal(signal.SIGHUP, _explain)
    try:
        server = Server(settings, sources=configuration.sources)
    except RerankerError as error:
        return refuse(error)
    if settings.cursor_key_file is None:
        warn_of_cursors(settings)
    admin = f", admin on http://{server.admin_address}" if server.admin_address else ""
    say(f"listening on {server.address}{admin}; warming up")
    return live(server, stop, on_ready=lambda: say_what_serves(server.policy_names), on_drain=lambda: None)


def _explain(_: int, __: FrameType | None) -> None:
    """SIGHUP without a supervisor. On a thread: the main one may be writing a line when the signal comes."""
    why = "a single process has no successor; policies, catalog, certificate and tokens reload by themselves"
    fields = {"why": why, "next": "for another setting or key restart it, or run it with --workers 2 or more"}
    threading.Thread(target=log, args=(logging.WARNING, "nothing to reload"), kwargs=fields, daemon=True).start()


def check_only(settings: Settings) -> int:
    """Validate settings and policies, warm up, open no port; returns the exit code."""
    configure(settings.log_level)
    try:
        names = check(settings)
    except RerankerError as error:
        return refuse(error)
    verb = "is" if len(names) == 1 else "are"
    say(f"settings and {in_number(names)} {verb} sound, every kernel is compiled: {', '.join(names)}")
    return 0


def make_room(connections: int) -> None:
    """Let this process, and what it forks, have so many connections open and its own files beside them.

    The limit that a login or systemd sets is for programs that know of no higher one than 1024, and may be raised. At
    the limit newcomers get no answer, and changed files cannot be read.
    """
    wanted = connections + _OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in (soft, hard) and wanted > hard:
        why = f"the system lets a process open {hard} files, max_connections = {connections} needs {wanted}"
        log(
            logging.WARNING, "too few open files", why=why, next="raise the limit (ulimit -n), or lower max_connections"
        )
        wanted = hard
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def share_memory() -> None:
    """Let all threads have two pools of memory between them.

    glibc gives them eight for each core, and each keeps the most that its threads ever had at once: memory then creeps
    up for as long as bursts meet other threads. What the environment says of it comes first.
    """
    library = ctypes.CDLL(None)
    said = "MALLOC_ARENA_MAX" in os.environ or "glibc.malloc.arena_max=" in os.environ.get("GLIBC_TUNABLES", "")
    if hasattr(library, "gnu_get_libc_version") and not said:
        library.mallopt(_ARENAS, _MOST_ARENAS)


def warn_of_cursors(settings: Settings) -> None:
    """Say that there is no file of keys; a server that others can reach has a sibling or a successor before long."""
    log(
        logging.INFO if settings.loopback else logging.WARNING,
        "cursors hold until this server ends",
        why="there is no --cursor-key-file, so their key is random",
        next="before a page outlives a restart or meets another server, give all of them one file of keys",
    )
