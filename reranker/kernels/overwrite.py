"""Arrays written over others of the same length.

NumPy's assignment compares the shapes first and, for the text of an error that cannot occur in a kernel, compiles three
seconds' worth of Python's string functions.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from reranker.kernels.jit import inner


@inner
def overwrite(target: NDArray[Any], source: NDArray[Any]) -> None:
    """target[:] = source, for one dimension and equal lengths."""
    for at in range(len(target)):
        target[at] = source[at]
