"""How kernels are compiled, cached and warmed.

An entry point is marked `@kernel(signature)` and compiles once, for exactly that signature: in `warm_up()`, or at its
first call in a notebook. Nothing compiles inside a request of a warm process. A helper that only kernels call is marked
`@inner`, and becomes part of each caller, or `@linked`, and is called.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba import types
from numba.core import config, event

from reranker.kernels import cache
from reranker.kernels.ahead import compile_together
from reranker.kernels.cache import FASTMATH, cached

P = ParamSpec("P")
_CONFIG: Any = config  # its settings are made at run time, so no type checker can know them
R = TypeVar("R")

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
        self.module, self.name = function.__module__, f"{function.__module__}.{function.__qualname__}"
        self._signature = signature
        self._lock = threading.Lock()
        if _CONFIG.DISABLE_JIT:  # coverage and bounds-checked runs execute the Python source
            self._dispatcher: Any = None
            self._entry: Callable[P, R] = np.errstate(over="ignore", under="ignore")(function)  # as compiled code
        else:
            self._dispatcher = cached(function, partial(_compiler, borrows))
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
    njit: Any = numba.njit  # its stub knows no `_nrt`, the run-time that counts references
    options |= {"fastmath": set(FASTMATH), "nogil": True, "_nrt": not borrows, "no_cfunc_wrapper": True}
    return cast("Callable[[Callable[..., Any]], Any]", njit(**options))


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a helper that kernels call; it is compiled into each of them."""
    return cast("Callable[P, R]", _compiler(False, inline="always")(function))


def linked(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a helper too long to become part of each caller; a call costs the reference counts of its arrays."""
    return cast("Callable[P, R]", _in_one_form(_compiler(False, no_cpython_wrapper=True)(function)))


def linked_borrowing(function: Callable[P, R]) -> Callable[P, R]:
    """Mark such a helper that makes no arrays; a call costs little."""
    return cast("Callable[P, R]", _in_one_form(_compiler(True, no_cpython_wrapper=True)(function)))


def _in_one_form(dispatcher: Any) -> Any:
    """A helper that compiles once for all of its callers, whether they hand it an int32, an int64 or a literal.

    Numba would compile it for each of these, and for literals that are mere first guesses of its type inference.
    """
    if not _CONFIG.DISABLE_JIT:
        resolve = dispatcher.get_call_template
        dispatcher.get_call_template = lambda args, kws: resolve(
            tuple(map(_widest, args)), {name: _widest(kind) for name, kind in kws.items()}
        )
    return dispatcher


def _widest(kind: Any) -> Any:
    untyped: Any = types
    whole = untyped.unliteral(kind)
    return i64 if whole in untyped.signed_domain else whole


def warm_up() -> int:
    """Compile every kernel that has been imported, or load it from the cache; returns how many there are."""
    missing = len(_KERNELS) - cache.entries()
    if missing > len(_KERNELS) // 2 and cache.is_cached() and not _CONFIG.DISABLE_JIT:
        compile_together(compile_file, list(dict.fromkeys(entry.module for entry in _KERNELS)))
    for entry in _KERNELS:
        entry.compile()
    return len(_KERNELS)


def compile_file(module: str) -> None:
    """Compile the kernels of one imported module, or load them from the cache."""
    for entry in _KERNELS:
        if entry.module == module:
            entry.compile()


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
