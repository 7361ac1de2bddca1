"""What commands say: nothing that a terminal would obey, nothing that it cannot show, and that they are busy."""

from __future__ import annotations

import io
import shutil
import sys
import textwrap
from collections.abc import Iterable
from contextlib import AbstractContextManager

from reranker.texts import escaped


def prepare() -> None:
    """Output escapes what the terminal's encoding lacks, where Python would end with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show(lines: Iterable[str]) -> None:
    """Print each line as one line, whatever names and values in it hold."""
    for line in lines:
        print(escaped(line))


def tell(sentences: Iterable[str]) -> None:
    """`show` sentences, on a terminal broken between words where it ends; elsewhere each stays one line."""
    if not sys.stdout.isatty():
        show(sentences)
        return
    # Names, options and paths stay whole: they are there to be copied.
    wrapping = textwrap.TextWrapper(
        shutil.get_terminal_size().columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    for sentence in map(escaped, sentences):
        show(wrapping.wrap(sentence) or [""])


def note(lines: Iterable[str]) -> None:
    """`show` on standard error: what is said beside a result that programs read."""
    for line in lines:
        print(escaped(line), file=sys.stderr)


def refuse(command: str, error: Exception) -> None:
    """Say on standard error why a command does nothing."""
    for line in f"reranker {command}: {error}".split("\n"):  # errors escape what they quote: the breaks are their own
        print(escaped(line), file=sys.stderr)


def announcing_compilation(command: str) -> AbstractContextManager[None]:
    """Say on standard error that kernels compile, if they do: it takes long enough to look like a hang."""
    from reranker.kernels import cache, jit

    def say() -> None:
        again = "once; later runs find them in the cache" if cache.is_cached() else "as no cache folder can be written"
        print(f"reranker {command}: compiling kernels, {again} …", file=sys.stderr, flush=True)

    return jit.on_first_compilation(say)
