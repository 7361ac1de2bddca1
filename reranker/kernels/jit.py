"""How kernels are compiled, cached and warmed.

An entry point is marked `@kernel(signature)` and compiles once, for exactly that signature: in `warm_up()`, or at its
first call in a notebook. Nothing compiles inside a request of a warm process. A helper that only kernels call is marked
`@inner`, and becomes part of each caller, or `@linked`, and is called.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, cast

import numba
from numba import types
from numba.core import config, event

P = ParamSpec("P")
_CONFIG: Any = config  # its settings are made at run time, so no type checker can know them
R = TypeVar("R")

# Re-association buys the vector units; NaN and infinity keep their meaning, because the checks at the door rely on it.
FASTMATH = frozenset({"reassoc", "contract", "nsz", "arcp"})

f32 = types.float32
f64 = types.float64
i32 = types.int32
i64 = types.int64
u16 = types.uint16
boolean = types.boolean


def read_only(dtype: types.Type, dimensions: int) -> types.Array:
    """A C-contiguous input array; writeable arrays convert to it without a second compilation."""
    return types.Array(dtype, dimensions, "C", readonly=True)


def scratch(dtype: types.Type, dimensions: int) -> types.Array:
    """A C-contiguous array that the kernel writes."""
    return types.Array(dtype, dimensions, "C")


def tuple_of(*members: types.Type) -> Any:
    """The type of a kernel's several results."""
    tuples: Any = types.Tuple
    return tuples(members)


def named_tuple_of(kind: type, *members: types.Type) -> Any:
    """The type of an argument that is a NamedTuple of arrays; writeable ones only, as numba converts none inside it."""
    tuples: Any = types.NamedTuple
    return tuples(members, kind)


class Kernel(Generic[P, R]):
    """One compiled entry point; calling it before `warm_up()` compiles it first."""

    def __init__(self, function: Callable[P, R], signature: object, borrows: bool) -> None:
        self.__doc__ = function.__doc__
        self.name = f"{function.__module__}.{function.__qualname__}"
        self._signature = signature
        self._lock = threading.Lock()
        if _CONFIG.DISABLE_JIT:  # coverage and bounds-checked runs execute the Python source
            self._dispatcher: Any = None
            self._entry: Callable[P, R] = function
        else:
            with _cache_folder():
                self._dispatcher = _compiler(borrows, cache=_CACHING)(function)
            self._entry = self._compile_and_call

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the kernel."""
        return self._entry(*args, **kwargs)

    def compile(self) -> None:
        """Compile, or load from the cache, and refuse every other signature from then on."""
        if self._dispatcher is None:
            return
        with self._lock:
            if not self._dispatcher.signatures:
                self._dispatcher.compile(self._signature)
                self._dispatcher.disable_compile()
                self._entry = self._dispatcher

    @property
    def compiled(self) -> bool:
        """True once no call can trigger a compilation."""
        return self._dispatcher is None or bool(self._dispatcher.signatures)

    def _compile_and_call(self, *args: P.args, **kwargs: P.kwargs) -> R:
        self.compile()
        return cast(R, self._dispatcher(*args, **kwargs))


_KERNELS: list[Kernel[Any, Any]] = []


def kernel(signature: object, *, borrows: bool = False) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """Mark an entry point, compiled for `signature` alone.

    One that `borrows` makes no array of its own, and counts no references to those that its caller lends it: in a hot
    loop the counts of what helpers are handed take longer than the work.
    """

    def register(function: Callable[P, R]) -> Kernel[P, R]:
        entry = Kernel(function, signature, borrows)
        _KERNELS.append(entry)
        return entry

    return register


def _compiler(borrows: bool, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    compiler: Any = numba.njit(fastmath=set(FASTMATH), nogil=True, _nrt=not borrows, **options)
    return cast("Callable[[Callable[..., Any]], Any]", compiler)


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a helper that kernels call; it is compiled into each of them."""
    return cast("Callable[P, R]", _compiler(False, inline="always")(function))


def linked(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a helper too long to become part of each caller; a call costs the reference counts of its arrays."""
    return cast("Callable[P, R]", _compiler(False)(function))


def linked_borrowing(function: Callable[P, R]) -> Callable[P, R]:
    """Mark such a helper that makes no arrays; a call costs little."""
    return cast("Callable[P, R]", _compiler(True)(function))


def warm_up() -> int:
    """Compile every kernel that has been imported, or load it from the cache; returns how many there are."""
    for entry in _KERNELS:
        entry.compile()
    return len(_KERNELS)


def is_warm() -> bool:
    """True when no kernel can compile any more."""
    return all(entry.compiled for entry in _KERNELS)


class _First(event.Listener):
    """Calls once, when the first compilation begins."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def on_start(self, event: Any) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()

    def on_end(self, event: Any) -> None:
        pass


@contextmanager
def on_first_compilation(call: Callable[[], None]) -> Iterator[None]:
    """`call` is called once if anything compiles meanwhile; what comes from the cache does not."""
    with event.install_listener("numba:compile", _First(call)):
        yield


def is_cached() -> bool:
    """Whether what is compiled now is found again by the next process."""
    return _CACHING


def source_key() -> str:
    """Hash of all kernel sources, the flags and the versions: what a cache entry depends on.

    Numba itself looks only at the file of the entry point; an edited helper in another file would leave stale code.
    """
    digest = hashlib.sha256()
    digest.update(f"{numba.__version__} {sorted(FASTMATH)} {_CONFIG.BOUNDSCHECK}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _writable_cache_root() -> Path | None:
    named = os.environ.get("RERANKER_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR")
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    places = [named] if named else [os.path.join(user, "diversity-reranker")]
    places.append(os.path.join(tempfile.gettempdir(), f"diversity-reranker-{os.getuid()}"))
    for place in places:
        root = Path(place)
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(root, os.W_OK) and root.stat().st_uid == os.getuid():  # never load code that others wrote
            return root
    return None


_ROOT = _writable_cache_root()
_CACHING = _ROOT is not None


@contextmanager
def _cache_folder() -> Iterator[None]:
    """Point Numba's cache at our folder while one kernel is being declared."""
    before = _CONFIG.CACHE_DIR
    if _ROOT is not None:
        _CONFIG.CACHE_DIR = str(_ROOT / f"kernels-{_SOURCE_KEY}")
    try:
        yield
    finally:
        _CONFIG.CACHE_DIR = before


_SOURCE_KEY = source_key()
