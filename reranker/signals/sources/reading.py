"""Which reader reads what."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from reranker.errors import FileViolation, InvalidInput, Violation
from reranker.signals.batches import Batch
from reranker.signals.sources.jsonl import read_jsonl
from reranker.signals.sources.names import Names

FORMATS = ("jsonl", "npz", "parquet", "arrow")
_SUFFIXES = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".npz": "npz", ".parquet": "parquet", ".pq": "parquet",
    ".arrow": "arrow", ".arrows": "arrow", ".feather": "arrow", ".ipc": "arrow",
}  # fmt: skip


def read_batches(sources: Sequence[str], names: Names, form: str | None = None) -> Iterator[Batch]:
    """The items of all sources, one after the other; `-` is standard input, which holds JSONL or an Arrow stream.

    The form of a file is `form`, or what its name ends with. Raises `InvalidInput` before anything is read when a form
    cannot be told, `MissingExtra` where pyarrow is needed and not there.
    """
    forms = [_form_of(source, form) for source in sources]
    wrong = [
        Violation(source, f"must end with {', '.join(_SUFFIXES)}, or say --format: {', '.join(FORMATS)}")
        for source, known in zip(sources, forms, strict=True)
        if known is None
    ]
    wrong += [
        Violation("standard input", f"cannot hold {known}, which is read from several places at once: give a file")
        for source, known in zip(sources, forms, strict=True)
        if source == "-" and known in ("npz", "parquet")
    ]
    if list(sources).count("-") > 1:
        wrong.append(Violation("standard input", "can be read once"))
    if wrong:
        raise InvalidInput(wrong)
    return _read(sources, [known or "" for known in forms], names)


def _read(sources: Sequence[str], forms: Sequence[str], names: Names) -> Iterator[Batch]:
    for source, form in zip(sources, forms, strict=True):
        if source == "-":
            yield from _standard_input(form, names)
        elif form == "jsonl":
            with Path(source).open("rb") as stream:
                yield from read_jsonl(stream, source, names)
        elif form == "npz":
            from reranker.signals.sources.npz import read_npz

            yield from read_npz(_existing(source), names)
        else:
            from reranker.signals.sources.arrow import read_arrow, read_parquet

            yield from (read_parquet if form == "parquet" else read_arrow)(_existing(source), names)


def _standard_input(form: str, names: Names) -> Iterator[Batch]:
    if form == "jsonl":
        yield from read_jsonl(sys.stdin.buffer, "standard input", names)
    else:
        from reranker.signals.sources.arrow import read_arrow_stream

        yield from read_arrow_stream(sys.stdin.buffer, "standard input", names)


def _form_of(source: str, form: str | None) -> str | None:
    if form is not None:
        return form
    return "jsonl" if source == "-" else _SUFFIXES.get(Path(source).suffix.lower())


def _existing(source: str) -> Path:
    path = Path(source)
    if not path.is_file():
        raise InvalidInput([FileViolation("file", "there is no such file", file=source)])
    return path
