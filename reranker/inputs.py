"""How columns of any origin are read: as lists, or as arrays of real numbers; what cannot be read is a violation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import date, timedelta
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from reranker.errors import Violation

SHOWN = 20  # violations of one kind that are listed one by one; the rest is counted
MASKED = "has masked entries: fill them in, or leave those candidates out"
_REAL = "must be real numbers"
_NEVER_REAL = (bool, np.bool_, complex, np.complexfloating, date, timedelta, np.datetime64, np.timedelta64)

Scalar = TypeVar("Scalar", bound=np.generic)


def entries(data: Any, *, refused: tuple[type, ...]) -> list[Any] | None:
    """A list of its own of what any ordered iterable holds; None when `data` is none, or of a `refused` type."""
    if isinstance(data, (*refused, set, frozenset)):  # a set has no order to hold other columns against
        return None
    try:
        each = iter(data)
    except TypeError:
        return None
    return list(each)


def spread(data: Any) -> Any:
    """Generators, views of a mapping and other one-way iterables as a list; all else as it is."""
    known = isinstance(data, Sequence | Mapping | Set | np.ndarray) or hasattr(data, "__array__")
    return list(data) if isinstance(data, Iterable) and not known else data


def is_masked(data: Any) -> bool:
    """Whether an array, or an array in a list, hides entries behind a mask; NumPy would drop the mask in silence."""
    if isinstance(data, np.ndarray):
        return type(data) is not np.ndarray and bool(np.ma.is_masked(data))
    if not isinstance(data, list | tuple):
        return False
    kinds = {kind for kind in set(map(type, data)) if issubclass(kind, np.ndarray) and kind is not np.ndarray}
    return bool(kinds) and any(is_masked(item) for item in data if type(item) in kinds)


def read_numbers(
    path: str, data: Any, dtype: type[Scalar], reason: str, found: list[Violation]
) -> NDArray[Scalar] | None:
    """`data` as a C-contiguous array of `dtype` with memory of its own; None, with a violation, when it is not numbers.

    None among the numbers becomes NaN, and what `dtype` cannot hold infinite: both are the caller's to refuse by row.
    """
    if is_masked(data):
        found.append(Violation(path, MASKED))
        return None
    try:
        array = np.asarray(spread(data))
        objection = _objection(data, array, reason)
        if not objection:
            with np.errstate(over="ignore", invalid="ignore"):
                return np.array(array, dtype=dtype, order="C")
    except (TypeError, ValueError):
        objection = reason
    except OverflowError:  # a Python integer beyond every float
        objection = "must be finite"
    found.append(Violation(path, objection))
    return None


def _objection(data: Any, array: NDArray[Any], reason: str) -> str:
    """Why these are no real numbers; empty when they are, or when only the conversion can tell."""
    if array.dtype.kind in "bcmM":
        return _REAL
    if array.dtype.kind == "O":
        kinds = set(map(type, array.flat))
    elif isinstance(data, list | tuple):
        kinds = set(map(type, data))  # [True, 0.5] is an array of floats by now
    else:
        kinds = set()
    if any(issubclass(kind, _NEVER_REAL) for kind in kinds):
        return _REAL
    text = array.dtype.kind not in "iufO" or any(issubclass(kind, str | bytes) for kind in kinds)
    return reason if text else ""


def list_rows(path: str, bad: NDArray[np.bool_], reason: str, found: list[Violation]) -> None:
    """One violation per marked row, the first few by index and the rest as a count."""
    if not bad.any():
        return
    rows = np.flatnonzero(bad)
    found.extend(Violation(f"{path}[{row}]", reason) for row in rows[:SHOWN].tolist())
    if len(rows) > SHOWN:
        found.append(Violation(path, f"{reason}; {len(rows) - SHOWN} more rows are not"))
