"""An empty cache filled by several processes at once: LLVM takes a minute, and one core, for what a server needs.

Each process takes one file of kernels after the other, the longest first, and says so in a folder that all of them
see; what one compiles the others load. A process that fails leaves its file to whoever needs it. A helper runs this
file: `python -m reranker.kernels.ahead CLAIMS MODULE...`.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from reranker.kernels import cache

_MOST = 4  # processes: more of them would wait for the longest file


def compile_together(compile_file: Callable[[str], None], names: Sequence[str]) -> None:
    """Compile the kernels of the modules `names`, helped by a process for each other processor.

    Everything is compiled or in the cache when it returns, but for what a helper failed at.
    """
    longest_first = sorted(names, key=_length, reverse=True)
    with tempfile.TemporaryDirectory() as claims:
        helpers = _start_helpers(claims, longest_first)
        try:
            _take_turns(Path(claims), longest_first, compile_file)
            for helper in helpers:
                helper.wait()
        finally:
            for helper in helpers:
                with helper:  # which closes its standard input, and so ends it where something went wrong here
                    pass


def _take_turns(claims: Path, names: Iterable[str], compile_file: Callable[[str], None]) -> None:
    """Compile each module that no other process has taken."""
    for name in names:
        try:
            (claims / name).touch(exist_ok=False)
        except OSError:
            continue
        compile_file(name)


def _start_helpers(claims: str, names: Sequence[str]) -> list[subprocess.Popen[bytes]]:
    """Processes that find the same sources and the same cache; none where none can be started."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "RERANKER_CACHE_DIR": str(cache.root())}
    command = [sys.executable, "-m", "reranker.kernels.ahead", claims, *names]
    helpers = []
    for _ in range(min(_MOST, len(os.sched_getaffinity(0))) - 1):
        try:
            helpers.append(subprocess.Popen(command, env=environment, stdin=subprocess.PIPE))
        except OSError:
            break
    return helpers


def _length(name: str) -> int:
    """Bytes of a module's source, as far as it goes a measure of the work."""
    file = sys.modules[name].__file__
    return 0 if file is None else os.path.getsize(file)


def _help(claims: str, names: Sequence[str]) -> None:
    """What a helper does, until nothing is left or nobody to compile for."""
    from reranker.kernels import jit

    threading.Thread(target=_end_with_the_other_end, daemon=True).start()

    def compile_file(name: str) -> None:
        importlib.import_module(name)
        jit.compile_file(name)

    _take_turns(Path(claims), names, compile_file)


def _end_with_the_other_end() -> None:
    """Leave at once when whoever started this process is gone, which the system says by closing its standard input."""
    while os.read(0, 1):  # not sys.stdin: its lock would be held while the interpreter shuts down
        pass
    os._exit(0)


if __name__ == "__main__":
    _help(sys.argv[1], sys.argv[2:])
