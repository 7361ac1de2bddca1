"""A catalog that is opened: what it says of itself, what it finds, and what it refuses to open."""

from __future__ import annotations

import gc
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reranker.errors import BadCatalog, InvalidInput
from reranker.signals import Catalog
from reranker.signals.layout import HEADER_BYTES
from tests.reference.catalogs import build_rows, catalog_of, some_rows

ROWS = some_rows(1, 50)
TEXTS = [{"id": text, "tone": "dark"} for text in ("a", "b\n", "日本", "x" * 1024)]


def is_mapped(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text()


def test_it_says_what_it_holds(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, ROWS, version="v1", precision="float16")
    assert (len(catalog), catalog.version, catalog.has_numbers) == (50, "v1", False)
    assert catalog.embeddings == ("",)
    assert set(catalog.attributes) == {"tone", "genre", "creator", "gender"}
    assert catalog.size == catalog.path.stat().st_size
    (vectors,) = catalog.manifest.embeddings
    assert (vectors.dimension, vectors.precision) == (8, "float16")
    assert vectors.missing == sum("embedding" not in row for row in ROWS)
    unknown = {entry.name: entry.unknown for entry in catalog.manifest.attributes}
    assert unknown["tone"] == sum("tone" not in row for row in ROWS)
    assert unknown["genre"] == sum(not row.get("genre") for row in ROWS)
    catalog.check()


def test_opening_a_folder_opens_its_current_version(tmp_path: Path) -> None:
    build_rows(tmp_path, ROWS, version="v1")
    assert Catalog.open(tmp_path).version == "v1"
    build_rows(tmp_path, ROWS, version="v2")
    assert Catalog.open(str(tmp_path)).version == "v2"


def test_ids_of_every_kind_are_found(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path / "texts", TEXTS)
    assert catalog.find(["日本", "nobody", "b\n", "a", "a", ""]).tolist() == [2, -1, 1, 0, 0, -1]
    assert catalog.find(["a", "x" * 1024]).tolist() == [0, 3]
    assert catalog.find([]).tolist() == []
    assert catalog.find(["\ud800", "a"]).tolist() == [-1, 0]  # half of a surrogate pair: nobody has it
    assert catalog.ids_of(np.array([2, 0])) == ["日本", "a"]
    numbers = catalog_of(tmp_path / "numbers", [{"id": 2**64 - 1, "tone": "a"}, {"id": 0, "tone": "b"}])
    assert numbers.has_numbers
    assert numbers.find([0, 5, 2**64 - 1, -1, 2**64]).tolist() == [1, -1, 0, -1, -1]
    assert numbers.find_numbers(np.array([5, 0], np.uint64)).tolist() == [-1, 1]
    assert numbers.ids_of(np.array([0])) == [2**64 - 1]
    numbers.check()


def test_ids_of_the_other_kind_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="must be text, as the catalog's are"):
        catalog_of(tmp_path / "texts", TEXTS).find([1, 2])
    with pytest.raises(InvalidInput, match="must be integers, as the catalog's are"):
        catalog_of(tmp_path / "numbers", [{"id": 1, "tone": "a"}]).find(["1"])


def test_columns_by_name_and_none_that_are_not_there(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, ROWS)
    ids = [row["id"] for row in ROWS[:5]]
    chosen = catalog.candidates(ids, range(5), embeddings=[], attributes=["tone", "shape"])
    assert (list(chosen.embeddings), list(chosen.attributes)) == ([], ["tone"])
    assert catalog.absent(["", "image"], ["tone", "shape"]) == (["image"], ["shape"])
    everything = catalog.candidates(ids, range(5))
    assert (tuple(everything.embeddings), tuple(everything.attributes)) == (catalog.embeddings, catalog.attributes)


def test_own_columns_come_first_and_win(tmp_path: Path) -> None:
    from reranker import Candidates

    catalog = catalog_of(tmp_path, ROWS)
    ids = [row["id"] for row in ROWS[:3]]
    own = Candidates(ids, [3, 2, 1], {"image": np.eye(3)}, {"tone": ["x", "y", "z"]})
    joined = catalog.join(own, catalog.find(ids))
    assert list(joined.embeddings) == ["image", ""]
    assert joined.attributes["tone"] is own.attributes["tone"]
    assert joined.unknown is not None
    assert not joined.unknown.any()


def test_dictionaries_too_large_for_memory_are_read_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [row["id"] for row in ROWS]
    decoded = catalog_of(tmp_path, ROWS).candidates(ids, np.zeros(50))
    monkeypatch.setattr("reranker.signals.columns._DECODED", 1)
    from_file = Catalog.open(tmp_path).candidates(ids, np.zeros(50))
    for name, column in decoded.attributes.items():
        assert from_file.attributes[name].values == column.values
        assert np.array_equal(from_file.attributes[name].codes, column.codes)


def test_what_it_gives_out_outlives_it(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, ROWS)
    path = catalog.path
    candidates = catalog.candidates([row["id"] for row in ROWS], np.zeros(50))
    assert is_mapped(path)
    path.unlink()
    assert catalog.find([ROWS[3]["id"]]).tolist() == [3]  # a deleted file lives on as long as it is mapped
    del catalog
    gc.collect()
    assert not is_mapped(path)
    assert candidates.attributes["tone"].values
    assert np.isfinite(candidates.embeddings[""].matrix).all()


def test_it_cannot_be_written_to(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, ROWS)
    assert not catalog._view(catalog.manifest.ids.table).flags.writeable


def spoilt(path: Path, spoil: Callable[[bytearray], Any]) -> Path:
    """A copy of a file that is not what it was."""
    data = bytearray(path.read_bytes())
    changed = spoil(data)
    copy = path.with_name("spoilt.catalog")
    copy.write_bytes(data if changed is None else changed)
    return copy


def flip(at: int) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        data[at] ^= 0x40

    return change


def cut(length: int) -> Callable[[bytearray], bytearray]:
    return lambda data: data[:length]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: b"", "is no catalog, or one whose build was cut short"),
        (lambda data: b"\x93RR", "is no catalog"),
        (lambda data: b'{"id": "a"}\n' * 100, "is no catalog"),
        (lambda data: bytes(HEADER_BYTES) + data[HEADER_BYTES:], "is no catalog, or one whose build was cut short"),
        (lambda data: data[: HEADER_BYTES - 1], "is cut off: it should have 64 bytes and has 63"),
        (lambda data: data[:-1], "is cut off: it should have"),
        (lambda data: data[: len(data) // 2], "is cut off: it should have"),
        (lambda data: data + b"more", "was added to: it should have"),
        (flip(9), "was damaged: its header"),
        (flip(40), "was damaged: its header"),
        (flip(-2), "was damaged: its description"),
    ],
)
def test_what_is_no_catalog_is_not_opened(tmp_path: Path, spoil: Callable[[bytearray], Any], words: str) -> None:
    path = spoilt(build_rows(tmp_path, ROWS).path, spoil)
    with pytest.raises(BadCatalog, match=words) as raised:
        Catalog.open(path)
    assert str(path) in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def resealed(data: bytearray, at: int, value: bytes) -> bytes:
    """The file with other bytes in its header, and with a checksum that knows of them."""
    import struct
    import zlib

    data[at : at + len(value)] = value
    data[HEADER_BYTES - 4 : HEADER_BYTES] = struct.pack("<I", zlib.crc32(bytes(data[: HEADER_BYTES - 4])))
    return bytes(data)


def test_other_formats_and_other_machines_are_named(tmp_path: Path) -> None:
    path = build_rows(tmp_path, ROWS).path
    with pytest.raises(BadCatalog, match="has format 2, this release reads 1: build it again"):
        Catalog.open(spoilt(path, lambda data: resealed(data, 8, b"\x02\0\0\0")))
    with pytest.raises(BadCatalog, match="little-endian"):
        Catalog.open(spoilt(path, lambda data: resealed(data, 12, b"\x01\x02\x03\x04")))


def test_every_damaged_section_is_found_and_named(tmp_path: Path) -> None:
    for precision in ("float32", "float16", "int8"):
        catalog = catalog_of(tmp_path / precision, ROWS, precision=precision)
        for what, section in catalog.manifest.sections.items():
            assert section.size, what
            copy = spoilt(catalog.path, flip(section.at + section.size // 2))
            with pytest.raises(BadCatalog) as raised:
                Catalog.open(copy)
            assert f"was damaged: {what} do not agree" in str(raised.value)


def test_no_byte_can_change_and_no_end_can_be_missing(tmp_path: Path) -> None:
    """Flipped bits are refused, or lie in the padding between sections and change nothing."""
    rows = some_rows(4, 12)
    path = build_rows(tmp_path, rows).path
    sections = Catalog.open(path).manifest.sections.values()
    covered = {at for section in sections for at in range(section.at, section.at + section.size)}
    rng = np.random.default_rng(0)
    size = path.stat().st_size
    for at in rng.integers(0, size, 400).tolist():
        copy = spoilt(path, flip(at))
        try:
            Catalog.open(copy)
        except BadCatalog:
            continue
        assert at not in covered
    for length in rng.integers(0, size, 100).tolist():
        with pytest.raises(BadCatalog):
            Catalog.open(spoilt(path, cut(length)))


def test_without_a_check_a_damaged_dictionary_is_no_traceback(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, [{"id": "a", "tone": "é"}])
    section = catalog.manifest.attributes[0].dictionary.data
    copy = spoilt(catalog.path, flip(section.at))
    with pytest.raises(BadCatalog, match="was damaged: a dictionary cannot be read"):
        Catalog.open(copy, check=False)
    Catalog.open(spoilt(catalog.path, flip(catalog.manifest.ids.table.at)), check=False)


def built_wrongly(tmp_path: Path, name: str, change: Callable[[Any], Any]) -> Path:
    """A file whose checksums agree with what does not make sense."""
    import zlib

    from reranker.signals.layout import description_of, header

    catalog = catalog_of(tmp_path, ROWS)
    manifest, data = catalog.manifest, bytearray(catalog.path.read_bytes())
    section = next(each for what, each in manifest.sections.items() if what == name)
    array = np.frombuffer(data, section.dtype, section.size // np.dtype(section.dtype).itemsize, section.at).copy()
    changed = change(array)
    data[section.at : section.at + section.size] = (array if changed is None else changed).tobytes()
    object.__setattr__(section, "crc", zlib.crc32(bytes(data[section.at : section.at + section.size])))
    description = description_of(manifest)
    body = bytes(data[: int.from_bytes(data[24:32], "little")])
    whole = bytearray(body + description)
    whole[:HEADER_BYTES] = header(len(whole), description)
    path = tmp_path / "wrong.catalog"
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize(
    ("section", "change", "words"),
    [
        ("the table of ids", lambda table: table + 1, "is full or names rows beyond the last"),
        ("the table of ids", lambda table: table * 0, "are not found where they are"),
        ("offsets of the ids", lambda offsets: offsets[::-1], "ids run into each other"),
        ("embedding ''", lambda numbers: numbers * np.float32(np.inf), "numbers that are not finite"),
        ("codes of attribute 'tone'", lambda codes: codes + 9, "codes or probabilities that cannot be"),
        ("codes of attribute 'genre'", lambda codes: codes * 0, "codes or probabilities that cannot be"),
        ("offsets of attribute 'genre'", lambda offsets: offsets[::-1], "codes or probabilities that cannot be"),
        ("probabilities of attribute 'gender'", lambda shares: shares + 1, "codes or probabilities that cannot be"),
    ],
)
def test_what_checksums_cannot_show_is_found_too(
    tmp_path: Path, section: str, change: Callable[[Any], Any], words: str
) -> None:
    with np.errstate(invalid="ignore"):
        path = built_wrongly(tmp_path, section, change)
    with pytest.raises(BadCatalog, match=words) as raised:
        Catalog.open(path)
    assert "was built wrongly" in str(raised.value)


def test_a_file_that_is_missing_or_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadCatalog, match="cannot be read: No such file"):
        Catalog.open(tmp_path / "nothing.catalog")
    with pytest.raises(BadCatalog, match="has no current version: `reranker catalog build"):
        Catalog.open(tmp_path)


def test_pages_are_shared_and_not_copied(tmp_path: Path) -> None:
    """What the mapping takes is the file's own pages: private dirty memory stays next to nothing."""
    rows = [{"id": i, "embedding": [float(i % 7 + 1)] * 256} for i in range(4_000)]
    catalog = catalog_of(tmp_path, rows)
    catalog.check()
    lines = Path("/proc/self/smaps").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if str(catalog.path) in line)
    sizes = dict(line.split(":", 1) for line in lines[start + 1 : start + 24] if ":" in line)
    assert int(sizes["Rss"].split()[0]) * 1024 >= catalog.size - mmap.PAGESIZE
    assert int(sizes["Private_Dirty"].split()[0]) == 0
    assert int(sizes["Anonymous"].split()[0]) == 0
    assert os.path.getsize(catalog.path) == catalog.size
