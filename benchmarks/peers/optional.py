"""Peers that may be missing: they are looked for once, and their absence is said in one line."""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

Call = Callable[[], Sequence[int]]
"""One whole call of a peer; returns the picks, best first."""


@cache
def optional(package: str, module: str, name: str) -> Any | None:
    """`name` of `module`; None, said once, where `package` is not installed or does not load."""
    logging.disable(logging.WARNING)  # AIF360 warns of each extra that nobody asked for
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about its own source text
            return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as reason:
        print(f"{package} does not take part: {reason}", file=sys.stderr)
        return None
    finally:
        logging.disable(logging.NOTSET)
