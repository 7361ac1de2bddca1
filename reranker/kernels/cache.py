"""Where compiled kernels are kept, so that the next process need not compile them.

A folder is named by a hash of all kernel sources, the flags and the version of Numba; inside, Numba keeps processors
and versions of Python apart. Code that somebody else could have written is never loaded.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
from numba.core import caching, config

_CONFIG: Any = config  # its settings are made at run time, so no type checker can know them

# Re-association buys the vector units; NaN and infinity keep their meaning, because the checks at the door rely on it.
FASTMATH = frozenset({"reassoc", "contract", "nsz", "arcp"})


def source_key() -> str:
    """Hash of all kernel sources, the flags and the versions: what a cache entry depends on.

    Numba itself looks only at the file of the entry point; an edited helper in another file would leave stale code.
    """
    digest = hashlib.sha256()
    digest.update(f"{numba.__version__} {sorted(FASTMATH)} {_CONFIG.BOUNDSCHECK}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


_FOLDER = f"kernels-{source_key()}"


def _places() -> list[Path]:
    """Where a cache may be: where it is told or at the user's, and in the temporary folder."""
    named = os.environ.get("RERANKER_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR")
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    own = Path(named) if named else Path(user) / "diversity-reranker"
    return [own, Path(tempfile.gettempdir()) / f"diversity-reranker-{os.getuid()}"]


def _writable(root: Path) -> bool:
    """Whether we, and nobody else, can write there."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):  # what a read-only file system says, it says to root too
            found = root.stat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and not found.st_mode & 0o022


def _trusted(root: Path) -> bool:
    """Whether our kernels are there, and nobody but us and root could have put them there."""
    try:
        found = [path.stat() for path in (root, root / _FOLDER, *(root / _FOLDER).rglob("*"))]
    except OSError:
        return False
    return all(one.st_uid in (0, os.getuid()) and not one.st_mode & 0o022 for one in found)


def _root() -> tuple[Path | None, bool]:
    """The cache, and whether what is compiled can be added to it; a warm one that cannot is copied where one can."""
    warm = None
    for place in _places():
        if _writable(place):
            if warm is not None and not (place / _FOLDER).exists():
                _copy(warm / _FOLDER, place / _FOLDER)
            return place, True
        if warm is None and _trusted(place):
            warm = place
    return warm, False


def _copy(source: Path, target: Path) -> None:
    """Copy a folder as a whole or not at all; another process may be doing the same."""
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as between:
            copied = Path(shutil.copytree(source, Path(between) / "kernels"))
            copied.rename(target)
    except OSError:
        pass  # no room, or somebody was faster: what is missing is compiled


_ROOT, _GROWS = _root()


def folder() -> Path | None:
    """Where compiled kernels of these sources are kept; None where they cannot be."""
    return None if _ROOT is None else _ROOT / _FOLDER


def root() -> Path | None:
    """The folder that holds it, which `RERANKER_CACHE_DIR` names."""
    return _ROOT


def entries() -> int:
    """How many kernels have something in it, be it for another processor."""
    where = folder()
    return 0 if where is None else sum(1 for _ in where.rglob("*.nbi"))


def is_cached() -> bool:
    """Whether what is compiled now is found again by the next process."""
    return _GROWS


def cached(function: Callable[..., Any], compiler: Callable[..., Callable[[Callable[..., Any]], Any]]) -> Any:
    """The compiled form of `function` that `compiler` declares, which looks into the cache first."""
    with _cache_folder():
        if _GROWS or _ROOT is None:
            return compiler(cache=_GROWS)(function)
        dispatcher = compiler()(function)
        dispatcher._cache = _read_only(function)
        return dispatcher


@contextmanager
def _cache_folder() -> Iterator[None]:
    """Point Numba's cache at our folder while one kernel is being declared."""
    before = _CONFIG.CACHE_DIR
    if _ROOT is not None:
        _CONFIG.CACHE_DIR = str(_ROOT / _FOLDER)
    try:
        yield
    finally:
        _CONFIG.CACHE_DIR = before


def _read_only(function: Callable[..., Any]) -> Any:
    """A cache that is read and never written: Numba refuses a folder that it could not write into."""

    class Locator(caching.UserProvidedCacheLocator):
        def ensure_cache_path(self) -> None:
            pass

    class Implementation(caching.CompileResultCacheImpl):
        _locator_classes = [Locator]  # noqa: RUF012 - a list in the base too

    class Cache(caching.FunctionCache):
        _impl_class = Implementation

        def save_overload(self, sig: Any, data: Any) -> None:
            pass

    made: Any = Cache  # Numba's own constructor has no types
    return made(function)
