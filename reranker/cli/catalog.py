"""`reranker catalog build | inspect | verify | erased`: the item catalog from the command line."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reranker.cli import terminal
from reranker.errors import FileViolation, InvalidInput, Violation
from reranker.store import DEFAULT_PREFIX
from reranker.texts import escaped

if TYPE_CHECKING:
    from reranker.candidates import Id
    from reranker.signals import Catalog
    from reranker.signals.build import Built
    from reranker.signals.sources import Names

_SECONDS_FOR_THE_STORE = 5.0  # to be reached
STILL_THERE = 3  # what `verify --absent` returns when the catalog has one of the ids
LEFT_OUT = 3  # what `erased` returns when some ids cannot be printed
_BUILD = (
    "Build a version of the item catalog in FOLDER and make it the current one; a server that serves the folder takes "
    "it over within a second or two. Each item has an id, embeddings and attributes: one JSON object a line, one row "
    "of a Parquet or Arrow file, or arrays of a .npz file (ids, embeddings, embedding.NAME, attribute.NAME). In rows, "
    "`id` is the id, `embedding` the main embedding, and every other key an attribute; a list is several values, an "
    "object probabilities by label. Parquet and Arrow need the extra: pip install 'diversity-reranker[parquet]'."
)
_INSPECT = "Say what a catalog holds: its version, its size, its columns."
_VERIFY = (
    "Read a catalog from end to end and say whether every byte is what was built. With --absent, also say which of the "
    "ids in a file, one a line, the catalog does not have: they are printed, one a line, and the exit code is "
    f"{STILL_THERE} when it has one of them."
)


_ERASED = (
    "Print the ids that were erased over gRPC, one a line: those in the file `erased` of a catalog's folder, which "
    "builds in that folder leave out by themselves, or those in a store, for `build --without` and `verify --absent`. "
    f"The exit code is {LEFT_OUT} when some have line breaks or the like, and are left out."
)


def add_commands(commands: Any, epilog: str) -> None:
    """`catalog` and its four commands."""
    catalog = commands.add_parser(
        "catalog", help="build, inspect and verify the item catalog", description="The item catalog.", epilog=epilog
    )
    actions = catalog.add_subparsers(dest="action", required=True, metavar="action")

    build = actions.add_parser("build", help="build a version", description=_BUILD, epilog=epilog)
    build.add_argument("folder", metavar="FOLDER", help="where the versions are; made if it is not there")
    build.add_argument(
        "sources", nargs="*", metavar="FILE", help="the items; none, or -, is standard input, as JSONL by default"
    )
    build.add_argument("--format", choices=("jsonl", "npz", "parquet", "arrow"), help="by default, what the name says")
    build.add_argument("--id", metavar="KEY", help="the key of the id (default id)")
    build.add_argument(
        "--embedding",
        action="append",
        metavar="[NAME=]KEY",
        help="the key of an embedding, the main one where it has no name (default embedding); may be repeated",
    )
    build.add_argument(
        "--attribute",
        action="append",
        metavar="[NAME=]KEY",
        help="the key of an attribute, under another name perhaps (default: every other key); may be repeated",
    )
    build.add_argument(
        "--precision",
        choices=("float32", "float16", "int8"),
        default="float32",
        help="how embeddings are kept: exact, half the size, or a quarter of it (default float32)",
    )
    build.add_argument("--without", metavar="FILE", help="ids to leave out, one a line: items that were erased")
    build.add_argument("--version", default="", metavar="NAME", help="its name (default: the time and a checksum)")
    build.add_argument(
        "--keep", type=int, default=2, metavar="N", help="how many versions stay in the folder (default 2)"
    )
    build.set_defaults(run=_build)

    inspect = actions.add_parser("inspect", help="say what it holds", description=_INSPECT, epilog=epilog)
    inspect.add_argument("path", metavar="PATH", help="a folder, for its current version, or the file of a version")
    inspect.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    inspect.set_defaults(run=_inspect)

    verify = actions.add_parser("verify", help="read all of it, look for ids", description=_VERIFY, epilog=epilog)
    verify.add_argument("path", metavar="PATH", help="a folder, for its current version, or the file of a version")
    verify.add_argument("--absent", metavar="FILE", help="ids that should not be in it, one a line")
    verify.set_defaults(run=_verify)

    erased = actions.add_parser("erased", help="say which ids were erased", description=_ERASED, epilog=epilog)
    erased.add_argument("source", metavar="FOLDER|URL", help="a folder of versions, or the URL of a store")
    erased.add_argument("--store-password-file", metavar="FILE", help="file of the store's password")
    erased.add_argument("--store-ca", metavar="FILE", help="file of the certificates that vouch for the store")
    erased.add_argument("--store-prefix", metavar="TEXT", default=DEFAULT_PREFIX, help="as the servers have it")
    erased.set_defaults(run=_erased)


def _build(options: argparse.Namespace) -> int:
    found: list[Violation] = []
    names = _names(options, found)
    if options.keep < 1:
        found.append(Violation("--keep", "must be at least 1: the version that is built stays"))
    if found:
        raise InvalidInput(found)
    from reranker.signals.build import build_catalog
    from reranker.signals.sources import read_batches

    started = time.perf_counter()
    without = frozenset() if options.without is None else _ids_of_either_kind(options.without)
    batches = read_batches(options.sources or ["-"], names, options.format)
    with terminal.announcing_compilation("catalog"):
        built = build_catalog(
            Path(options.folder),
            batches,
            precision=options.precision,
            without=without,
            version=options.version,
            keep=options.keep,
        )
    terminal.show(_built_as_text(built, time.perf_counter() - started))
    return 0


def _inspect(options: argparse.Namespace) -> int:
    from reranker.signals import Catalog

    catalog = Catalog.open(options.path, check=False)
    terminal.show([json.dumps(as_json(catalog))] if options.json else as_text(catalog))
    return 0


def _verify(options: argparse.Namespace) -> int:
    from reranker.signals import Catalog

    with terminal.announcing_compilation("catalog"):
        catalog = Catalog.open(options.path)
        asked = [] if options.absent is None else _ids_like(catalog, options.absent)
        rows = catalog.find(asked)
    summary = f"{catalog.path}: sound, {len(catalog)} items, version {catalog.version}"
    if options.absent is None:
        terminal.show([summary])
        return 0
    terminal.show(str(item) for item, row in zip(asked, rows.tolist(), strict=True) if row < 0)
    there = [str(item) for item, row in zip(asked, rows.tolist(), strict=True) if row >= 0]
    words = f"{len(asked) - len(there)} of {len(asked)} ids are absent"
    terminal.note([summary, f"{options.absent}: {words}", *(f"still there: {item}" for item in there)])
    return STILL_THERE if there else 0


def _erased(options: argparse.Namespace) -> int:
    from reranker.signals.erased import read_erased

    ids = _erased_in_store(options) if "://" in options.source else read_erased(Path(options.source))
    lines = [str(item) for item in ids]
    plain = [line for line in lines if escaped(line) == line and line.strip()]
    terminal.show(plain)
    if len(plain) == len(lines):
        return 0
    terminal.note([f"{len(lines) - len(plain)} ids have characters that no line can hold, and are left out"])
    return LEFT_OUT


def _erased_in_store(options: argparse.Namespace) -> list[Id]:
    from reranker.signals.stored import StoredItems, StoredSettings
    from reranker.store import StoreAddress
    from reranker.store.store import Store

    files = [None if name is None else Path(name) for name in (options.store_password_file, options.store_ca)]
    try:
        address = StoreAddress.parse(options.source).with_files(*files)
    except ValueError as error:
        raise InvalidInput([Violation("URL", str(error))]) from None
    store = Store(address, connections=1)
    store.start(_SECONDS_FOR_THE_STORE)
    try:
        return StoredItems(store, StoredSettings(options.store_prefix, cache_bytes=0)).feed.erased_ids()
    finally:
        store.close()


def as_json(catalog: Catalog) -> dict[str, Any]:
    """What a catalog holds, for programs."""
    manifest = catalog.manifest
    return {
        "file": str(catalog.path),
        "version": manifest.version,
        "built": manifest.built,
        "items": manifest.items,
        "left_out": manifest.left_out,
        "bytes": catalog.size,
        "ids": "numbers" if catalog.has_numbers else "text",
        "embeddings": [
            {"name": each.name, "dimension": each.dimension, "precision": each.precision, "missing": each.missing}
            for each in manifest.embeddings
        ],
        "attributes": [
            {"name": each.name, "values": each.values, "form": _form(each), "unknown": each.unknown}
            for each in manifest.attributes
        ],
    }


def as_text(catalog: Catalog) -> list[str]:
    """What a catalog holds, by line."""
    manifest = catalog.manifest
    ids = "64-bit numbers" if catalog.has_numbers else "text"
    lines = [
        f"{catalog.path}",
        f"version {manifest.version}, built {manifest.built}, {_size(catalog.size)}",
        f"{manifest.items:,} items, ids are {ids}" + (f", {manifest.left_out:,} left out" if manifest.left_out else ""),
    ]
    for vectors in manifest.embeddings:
        name = f"embedding {vectors.name}" if vectors.name else "embedding, the main one"
        known = manifest.items - vectors.missing
        lines.append(f"  {name}: {vectors.dimension} x {vectors.precision}, {known / manifest.items:.1%} have it")
    for labels in manifest.attributes:
        known = manifest.items - labels.unknown
        what = {"one": "one value an item", "several": "several values an item"}.get(_form(labels), "probabilities")
        share = f"known for {known / manifest.items:.1%}"
        lines.append(f"  attribute {labels.name}: {labels.values:,} values, {what}, {share}")
    return lines


def _form(attribute: Any) -> str:
    if attribute.probabilities is not None:
        return "probabilities"
    return "one" if attribute.offsets is None else "several"


def _built_as_text(built: Built, seconds: float) -> list[str]:
    left_out = f", {built.left_out:,} left out" if built.left_out else ""
    items = "item" if built.items == 1 else "items"
    return [
        f"{built.path}: {built.items:,} {items}{left_out}, {_size(built.size)}, in {seconds:.1f} s; it is current now"
    ]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count:,} bytes"


def _names(options: argparse.Namespace, found: list[Violation]) -> Names:
    from reranker.signals.sources import Names

    embeddings = _pairs("--embedding", options.embedding, "", found)
    return Names(options.id, embeddings, _pairs("--attribute", options.attribute, None, found))


def _pairs(
    flag: str, texts: Sequence[str] | None, unnamed: str | None, found: list[Violation]
) -> dict[str, str] | None:
    """Keys by name; a key alone has the name `unnamed`, or its own where that is None."""
    if texts is None:
        return None
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, key = text.rpartition("=")
        if not equals:
            name = key if unnamed is None else unnamed
        if not key or (equals and not name):
            found.append(Violation(f"{flag} {text}", "must look like KEY or NAME=KEY"))
        elif name in pairs:
            reason = "is the second one without a name: say NAME=KEY" if not equals else "gives a name the second key"
            found.append(Violation(f"{flag} {text}", reason))
        pairs.setdefault(name, key)
    return pairs


def _lines(path: str) -> list[str]:
    """The lines of a file that are not blank; `-` is standard input."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidInput([FileViolation("file", "must be text in UTF-8, one id a line", file=path)]) from None
    return [line for line in text.split("\n") if line.strip()]


def _ids_of_either_kind(path: str) -> frozenset[Id]:
    """Ids as text and, where they can be read so, as numbers: what the catalog's are is not known yet."""
    lines = [line.rstrip("\r") for line in _lines(path)]
    return frozenset([*lines, *(int(line) for line in lines if line.isascii() and line.isdecimal())])


def _ids_like(catalog: Catalog, path: str) -> list[Id]:
    """Ids of the kind that the catalog's are."""
    lines = [line.rstrip("\r") for line in _lines(path)]
    if not catalog.has_numbers:
        return list(lines)
    wrong = [number for number, line in enumerate(lines, start=1) if not (line.isascii() and line.isdecimal())]
    if wrong:
        reason = "must be a whole number, as the catalog's ids are"
        raise InvalidInput(FileViolation("id", reason, number, path) for number in wrong[:20])
    return [int(line) for line in lines]
