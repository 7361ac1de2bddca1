"""How columns of any origin are read: as lists, or as arrays of real numbers; what cannot be read is a violation."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set, Sized
from datetime import date, timedelta
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from reranker.errors import Violation

SHOWN = 20  # violations of one kind that are listed one by one; the rest is counted
MASKED = "has masked entries: fill them in, or leave those candidates out"
_REAL = "must be real numbers"
_NUMBER, _REAL_NUMBER = "must be a number", "must be a real number"
_ROW, _REAL_ROW = "must be a row of numbers", "must be a row of real numbers"
_FINITE = "must be finite"
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
    path: str, data: Any, dtype: type[Scalar], reason: str, found: list[Violation], *, width: int | None = None
) -> NDArray[Scalar] | None:
    """`data` as a C-contiguous array of `dtype` with memory of its own; None, with violations, when it is not numbers.

    None among the numbers becomes NaN, and what `dtype` cannot hold infinite: both are the caller's to refuse by row.
    Where rows are to blame, each of them is named, and then those that are not finite too; `width` is how many
    numbers a row holds: None one, 0 as many as most rows.
    """
    if is_masked(data):
        found.append(Violation(path, MASKED))
        return None
    data = spread(data)
    try:
        array = np.asarray(data)
        objection = _objection(data, array, reason)
        if not objection:
            with np.errstate(over="ignore", invalid="ignore"):
                return np.array(array, dtype=dtype, order="C")
    except (TypeError, ValueError):
        objection = reason
    except OverflowError:  # a Python integer beyond every float
        objection = _FINITE
    rows = _listed(data)
    reasons = list(map(_number_reason, rows)) if width is None else _row_reasons(rows, width, dtype)
    if not any(reasons):
        found.append(Violation(path, objection))
    for each in dict.fromkeys(filter(None, reasons)):
        list_rows(path, np.array([reason == each for reason in reasons]), each, found)
    return None


def usual_width(rows: Iterable[Any]) -> int:
    """The length that most rows have; 1 when none has any."""
    lengths = Counter(len(row) for row in rows if isinstance(row, Sized) and getattr(row, "ndim", None) != 0)
    return lengths.most_common(1)[0][0] if lengths else 1


def _listed(data: Any) -> list[Any]:
    """The entries of a list, or of an array of objects; of all else none."""
    if isinstance(data, np.ndarray) and data.dtype == object and data.ndim:
        return list(data)
    return list(data) if isinstance(data, list | tuple) else []


def _number_reason(entry: Any) -> str:
    """Why this is not one finite real number; empty when it is."""
    if isinstance(entry, _NEVER_REAL):
        return _REAL_NUMBER
    if isinstance(entry, str | bytes) or (isinstance(entry, Sized) and getattr(entry, "ndim", None) != 0):
        return _NUMBER
    try:
        return "" if entry is not None and math.isfinite(float(entry)) else _FINITE
    except OverflowError:
        return _FINITE
    except (TypeError, ValueError):
        return _NUMBER


def _row_reasons(rows: list[Any], width: int, dtype: type[Scalar]) -> list[str]:
    """Why each row is none of so many numbers, or of as many as most have; empty for those that are."""
    wanted = width or usual_width(rows)
    length = f"must have {wanted} {'number' if wanted == 1 else 'numbers'}{'' if width else ', as most rows have'}"
    return [_row_reason(row, dtype) or ("" if len(row) == wanted else length) for row in map(spread, rows)]


def _row_reason(row: Any, dtype: type[Scalar]) -> str:
    """Why this is no row of finite real numbers; empty when it is."""
    if not isinstance(row, list | tuple | np.ndarray):
        return _ROW
    try:
        array = np.asarray(row)
        objection = _objection(row, array, _ROW)
        if objection or array.ndim != 1:
            return _REAL_ROW if objection == _REAL else _ROW
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = np.array(array, dtype=dtype)
    except (TypeError, ValueError):
        return _ROW
    except OverflowError:
        return _FINITE
    return "" if np.isfinite(numbers).all() else _FINITE


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
