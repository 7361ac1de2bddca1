"""Attribute values and missing ones, by the rule of `reranker.candidates`, which needs Numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from reranker.texts import is_whole

_MISSING_TYPES = frozenset({"NAType", "NaTType"})  # pandas' own, known by name so that pandas need not be here


def is_missing(value: Any) -> bool:
    """True for None, a float NaN and pandas' NA and NaT."""
    if value is None or type(value).__name__ in _MISSING_TYPES:
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def is_several(value: Any) -> bool:
    """True for what holds several values of one item."""
    return isinstance(value, list | tuple | set | frozenset | np.ndarray)


def as_text(value: Any) -> str:
    """A value as policies compare it: True is "true", 3 is "3", 3.0 is "3.0"; empty when it has no whole text."""
    if isinstance(value, str):
        text = str.__str__(value)  # str() of an enum that is text would be the name of its member
        return text if is_whole(text) else ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return str(float(value)) if np.isfinite(value) else ""
    return ""


def is_torn(value: Any) -> bool:
    """True for text that no message can carry: half of a surrogate pair stands alone in it."""
    return isinstance(value, str) and not is_whole(value)
