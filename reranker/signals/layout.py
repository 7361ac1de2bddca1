"""The file of one catalog version: a fixed header, aligned sections of plain arrays, and a description of them in JSON.

    header (64 bytes) | section | section | … | description

All numbers are little-endian. The header is written last, so a file that was not finished does not begin as a catalog
does. Header, description and every section have a CRC-32.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reranker.errors import BadCatalog

MAGIC = b"\x93RRCAT\r\n"  # no text file begins so, and a transfer that turns line ends shows
FORMAT = 1
ALIGNMENT = 64  # of sections: whole cache lines, and any vector instruction
_ENDIAN = 0x01020304
_HEADER = struct.Struct("<8sIIQQQI16xI")  # its own checksum is the last field
HEADER_BYTES = _HEADER.size
_BUILD_AGAIN = "build it again with `reranker catalog build`"
NO_CATALOG = f"is no catalog, or one whose build was cut short: {_BUILD_AGAIN}"

PRECISIONS = {"float32": "<f4", "float16": "<u2", "int8": "<i1"}
"""How vectors may be kept, and the type of their section: float16 is read as bits."""

MOST_SCALE = np.nextafter(np.finfo(np.float32).max / np.float32(127.0), np.float32(0.0))
"""The largest scale of an int8 row that 127 of it are finite with."""


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the file: where it begins, its bytes, their CRC-32, and the array type that they are."""

    at: int
    size: int
    crc: int
    dtype: str


@dataclass(frozen=True, slots=True)
class TextSections:
    """Texts one after the other: text t is `data[offsets[t]:offsets[t + 1]]` in UTF-8."""

    offsets: Section
    data: Section


@dataclass(frozen=True, slots=True)
class IdEntry:
    """The ids in the order of the rows, and the hash table over them; exactly one of texts and numbers is there."""

    table: Section
    texts: TextSections | None = None
    numbers: Section | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingEntry:
    """One embedding, row-major; `missing` rows have none and are zero. int8 has a float32 scale a row."""

    name: str
    dimension: int
    precision: str
    missing: int
    vectors: Section
    scales: Section | None = None


@dataclass(frozen=True, slots=True)
class AttributeEntry:
    """One attribute over a dictionary of `values` texts: code 0 is unknown, c is text c - 1; `unknown` rows have none.

    Exactly one form: one code a row; codes with `offsets` (row r has `codes[offsets[r]:offsets[r + 1]]`); or float32
    `probabilities`, rows x values.
    """

    name: str
    values: int
    unknown: int
    dictionary: TextSections
    codes: Section | None = None
    offsets: Section | None = None
    probabilities: Section | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file holds. `built` is when, in ISO 8601; `left_out` how many items the build was told to leave out."""

    version: str
    built: str
    items: int
    ids: IdEntry
    embeddings: tuple[EmbeddingEntry, ...] = ()
    attributes: tuple[AttributeEntry, ...] = ()
    left_out: int = 0
    sections: dict[str, Section] = field(default_factory=dict, compare=False, repr=False)
    """Every section by what it is, for messages; made when the file is read."""


def header(file_size: int, description: bytes) -> bytes:
    """The first bytes of a file that ends with this description."""
    known = (MAGIC, FORMAT, _ENDIAN, file_size, file_size - len(description), len(description), zlib.crc32(description))
    crc = zlib.crc32(_HEADER.pack(*known, 0)[:-4])
    return _HEADER.pack(*known, crc)


def description_of(manifest: Manifest) -> bytes:
    """The description that the file ends with."""
    tree = asdict(manifest)
    del tree["sections"]
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()


def read_manifest(path: Path, data: memoryview) -> Manifest:
    """What the file's bytes hold; raises `BadCatalog` unless header and description are whole and agree with them."""
    if bytes(data[: len(MAGIC)]) != MAGIC:
        raise BadCatalog(path, NO_CATALOG)
    if len(data) < HEADER_BYTES:
        raise BadCatalog(path, _cut_off(HEADER_BYTES, len(data)))
    _, version, endian, size, at, length, crc, own_crc = _HEADER.unpack(data[:HEADER_BYTES])
    if zlib.crc32(data[: HEADER_BYTES - 4]) != own_crc:
        raise BadCatalog(path, f"was damaged: its header does not agree with its checksum; {_BUILD_AGAIN}")
    if endian != _ENDIAN or sys.byteorder != "little":
        raise BadCatalog(path, "is for little-endian machines, which this is not")
    if version != FORMAT:
        raise BadCatalog(path, f"has format {version}, this release reads {FORMAT}: {_BUILD_AGAIN} of this release")
    if size != len(data):
        raise BadCatalog(path, _cut_off(size, len(data)))
    description = data[at : at + length]
    if at + length != size or zlib.crc32(description) != crc:
        raise BadCatalog(path, f"was damaged: its description does not agree with its checksum; {_BUILD_AGAIN}")
    try:
        manifest = _manifest(json.loads(bytes(description)))
        _check_sizes(manifest, at)
    except (KeyError, TypeError, ValueError) as error:  # nobody but a maker of such files meets this
        raise BadCatalog(path, f"has a description that cannot be: {error}; {_BUILD_AGAIN}") from None
    return manifest


def _cut_off(wanted: int, actual: int) -> str:
    what = "is cut off" if actual < wanted else "was added to"
    return f"{what}: it should have {wanted} bytes and has {actual}; copy it again, or {_BUILD_AGAIN}"


def _manifest(tree: dict[str, Any]) -> Manifest:
    ids = tree["ids"]
    manifest = Manifest(
        version=str(tree["version"]),
        built=str(tree["built"]),
        items=int(tree["items"]),
        ids=IdEntry(Section(**ids["table"]), _texts(ids["texts"]), _section(ids["numbers"])),
        embeddings=tuple(
            EmbeddingEntry(**{**each, "vectors": Section(**each["vectors"]), "scales": _section(each["scales"])})
            for each in tree["embeddings"]
        ),
        attributes=tuple(map(_attribute, tree["attributes"])),
        left_out=int(tree["left_out"]),
    )
    manifest.sections.update(_sections(manifest))
    return manifest


def _attribute(tree: dict[str, Any]) -> AttributeEntry:
    dictionary = _texts(tree["dictionary"])
    if dictionary is None:
        raise ValueError("an attribute without a dictionary")
    forms = {form: _section(tree[form]) for form in ("codes", "offsets", "probabilities")}
    return AttributeEntry(tree["name"], int(tree["values"]), int(tree["unknown"]), dictionary, **forms)


def _section(tree: dict[str, Any] | None) -> Section | None:
    return None if tree is None else Section(**tree)


def _texts(tree: dict[str, Any] | None) -> TextSections | None:
    return None if tree is None else TextSections(Section(**tree["offsets"]), Section(**tree["data"]))


def _sections(manifest: Manifest) -> Iterator[tuple[str, Section]]:
    """Every section with what it is, in words."""
    yield "the table of ids", manifest.ids.table
    if manifest.ids.texts is not None:
        yield from _of_texts("the ids", manifest.ids.texts)
    if manifest.ids.numbers is not None:
        yield "the ids", manifest.ids.numbers
    for embedding in manifest.embeddings:
        what = f"embedding {embedding.name!r}"
        yield what, embedding.vectors
        if embedding.scales is not None:
            yield f"scales of {what}", embedding.scales
    for attribute in manifest.attributes:
        what = f"attribute {attribute.name!r}"
        yield from _of_texts(f"the values of {what}", attribute.dictionary)
        forms = {"codes": attribute.codes, "offsets": attribute.offsets, "probabilities": attribute.probabilities}
        yield from ((f"{form} of {what}", section) for form, section in forms.items() if section is not None)


def _of_texts(what: str, texts: TextSections) -> Iterator[tuple[str, Section]]:
    yield f"offsets of {what}", texts.offsets
    yield what, texts.data


def _check_sizes(manifest: Manifest, end: int) -> None:
    """Raise `ValueError` unless every section lies before `end` and has the size that its numbers need."""
    for what, section in manifest.sections.items():
        if section.at < HEADER_BYTES or section.at % ALIGNMENT or not 0 <= section.size <= end - section.at:
            raise ValueError(f"{what} would lie outside the file")
    if manifest.items < 1 or manifest.ids.table.size < 8 * (manifest.items + 1) or manifest.ids.table.size % 8:
        raise ValueError("the table of ids would be too small")
    for known, size in (*_sizes_of_ids(manifest), *_sizes_of_columns(manifest)):
        if known is not None and known.size != size:
            raise ValueError(f"a section would have {known.size} bytes in place of {size}")


def _sizes_of_ids(manifest: Manifest) -> Iterator[tuple[Section | None, int]]:
    ids = manifest.ids
    if (ids.texts is None) == (ids.numbers is None):
        raise ValueError("ids would be neither texts nor numbers")
    if ids.texts is not None:
        yield ids.texts.offsets, 8 * (manifest.items + 1)
    yield ids.numbers, 8 * manifest.items


def _sizes_of_columns(manifest: Manifest) -> Iterator[tuple[Section | None, int]]:
    items = manifest.items
    for embedding in manifest.embeddings:
        if (embedding.scales is None) == (embedding.precision == "int8") or embedding.dimension < 1:
            raise ValueError("an embedding would have no scales or no numbers")
        yield embedding.vectors, items * embedding.dimension * np.dtype(PRECISIONS[embedding.precision]).itemsize
        yield embedding.scales, 4 * items
    for attribute in manifest.attributes:
        if (attribute.codes is None) == (attribute.probabilities is None):
            raise ValueError("an attribute would have neither codes nor probabilities")
        yield attribute.dictionary.offsets, 8 * (attribute.values + 1)
        yield attribute.offsets, 8 * (items + 1)
        yield attribute.probabilities, 4 * items * attribute.values
        if attribute.codes is not None and attribute.offsets is None:
            yield attribute.codes, items * np.dtype(attribute.codes.dtype).itemsize
