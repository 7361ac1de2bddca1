"""`reranker warm-cache`: the kernels compiled ahead of the first start."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from reranker.errors import InvalidInput, Violation

_ABOUT = (
    "Compile every kernel into the cache, so that a server starts in a second or two. Do it once where an image is "
    "built or a machine is set up, with RERANKER_CACHE_DIR or --folder naming a place that servers read; it may be "
    "read-only for them. The cache holds for this version of the package, of Numba and of Python, and for this "
    "processor; a server on another one compiles anew."
)


def add_command(commands: Any, epilog: str) -> None:
    """`warm-cache`."""
    warm = commands.add_parser(
        "warm-cache", help="compile the kernels ahead of the first start", description=_ABOUT, epilog=epilog
    )
    warm.add_argument(
        "--folder", metavar="DIR", help="where the cache is (default: $RERANKER_CACHE_DIR, else the user's)"
    )
    warm.set_defaults(run=_warm)


def _let_others_read(folder: Path) -> None:
    """Servers may run as somebody else than who builds an image."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _warm(options: argparse.Namespace) -> int:
    if options.folder:
        os.environ["RERANKER_CACHE_DIR"] = options.folder
    from reranker.kernels import cache, jit

    where = cache.folder()
    if where is None or not cache.is_cached() or (options.folder and not where.is_relative_to(options.folder)):
        reason = "cannot be written to by this user alone: name another folder, or make it so (chmod u+w,go-w)"
        raise InvalidInput([Violation("--folder" if options.folder else "RERANKER_CACHE_DIR", reason)])
    compiled: list[bool] = []
    started = time.perf_counter()
    from reranker.engine import warm_up

    with jit.on_first_compilation(lambda: compiled.append(True)):
        warm_up()
    seconds = time.perf_counter() - started
    if options.folder:
        _let_others_read(Path(options.folder))
    size = sum(path.stat().st_size for path in where.rglob("*") if path.is_file())
    what = "compiled" if compiled else "were there already"
    print(f"{jit.warm_up()} kernels {what}, {seconds:.1f} s; {where}, {size / 1e6:.1f} MB")
    return 0
