"""The real server: started from this tree, from any commit, or found where somebody else has started it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import grpc

from examples.server_process import ROOT, ServerFailed, running_process
from loadtest.errors import LoadtestError
from loadtest.servers.target import Target, on_this_machine
from loadtest.servers.usage import ended, listens
from reranker.client.failures import exception_of
from reranker.v1.reranker_service_pb2 import RerankRequest

COMMITS = ROOT / "build" / "loadtest" / "commits"
MOST_COMMITS = 10
_SECONDS_FOR_AN_ANSWER = 10.0


@contextmanager
def running(what: str, policies: Path, flags: Sequence[str] = ()) -> Iterator[Target]:
    """A server to put under load, stopped in the end if it was started here.

    `what` is "." for this tree, host:port for a server that runs on this machine, a folder that holds the sources, or
    a commit. Raises `LoadtestError` when it is none of these, `ServerFailed` when the server does not come up.
    """
    if is_address(what):
        yield Target(what, on_this_machine(what))
        return
    if what == ".":
        tree = ROOT
    elif (Path(what) / "server.py").is_file():
        tree = Path(what).resolve()
    else:
        tree = sources_of(what)
    with running_process(policies, flags, tree) as server, survives_nobody(server.pid):
        yield Target("this tree" if what == "." else what, server.address, server.pid)


@contextmanager
def survives_nobody(pid: int) -> Iterator[None]:
    """See to it that a process ends when this one is killed without a chance to stop it."""
    # The shell reads until this process closes its end, which the system does for it if need be.
    watch = ["sh", "-c", f"read _; kill {pid}"]
    with subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True) as watchman:
        try:
            yield
        finally:
            watchman.kill()  # before the process ends: afterwards its number may be somebody else's


def check_process(pid: int, what: str) -> None:
    """Raises `LoadtestError` unless `pid` is a process that may be the server at the address `what`.

    Its CPU would be reported as the server's. Where the system shows its sockets, one of them must listen there.
    """
    if not is_address(what):
        raise LoadtestError("--pid is for a server that runs already: --server host:port")
    if pid < 1 or ended(pid):
        raise LoadtestError(f"--pid: there is no process {pid}")
    if listens(pid, int(what.rpartition(":")[2])) is False:
        raise LoadtestError(f"--pid: process {pid} does not listen at {what}")


def answers_of(target: Target, bodies: Sequence[bytes]) -> list[bytes]:
    """What the server answers to each request, one after the other.

    Raises `LoadtestError` for one that it refuses, `ServerFailed` when there is no server.
    """
    answers = []
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(target.address, options) as channel:
        path = "/reranker.v1.RerankerService/Rerank"
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
        for body in bodies:
            try:
                answers.append(call(body, timeout=_SECONDS_FOR_AN_ANSWER))
            except grpc.RpcError as error:
                if isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.UNAVAILABLE and not answers:
                    raise ServerFailed(f"no server answers at {target.address}: {error.details()}") from None
                request = RerankRequest.FromString(body).request_id
                raise LoadtestError(f"{target.name} refuses request {request}: {exception_of(error)}") from None
    return answers


def is_address(what: str) -> bool:
    """Whether it is host:port, and so a server that runs already."""
    host, separator, port = what.rpartition(":")
    return bool(separator and host and port.isascii() and port.isdecimal())


def sources_of(commit: str, folder: Path = COMMITS) -> Path:
    """The sources as they were at a commit, unpacked beside the work tree, which is not touched.

    They stay there, the last ten that were used: compiled kernels are kept by path, so that only the first server of a
    commit has to compile.
    Raises `LoadtestError` when there is no such commit.
    """
    full = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
    if full is None:
        raise LoadtestError(f"{commit!r} is no server's address, no folder with server.py and no commit")
    tree = folder / full.decode().strip()
    if not tree.is_dir():
        archive = _git("archive", "--format=tar", tree.name)
        if archive is None:
            raise LoadtestError(f"git cannot unpack {commit!r}")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as partial, tarfile.open(fileobj=BytesIO(archive)) as contents:
            contents.extraction_filter = getattr(tarfile, "data_filter", None)  # Python has it from 3.11.4 on
            contents.extractall(Path(partial) / "tree")
            (Path(partial) / "tree").rename(tree)
    os.utime(tree)
    by_use = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for old in by_use[:-MOST_COMMITS]:
        shutil.rmtree(old, ignore_errors=True)
    return tree


def _git(*arguments: str) -> bytes | None:
    """What git prints; None when it fails or is not there."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
