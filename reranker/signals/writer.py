"""The file of one version, written from front to back; it becomes a catalog with its very last write."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.signals.layout import ALIGNMENT, HEADER_BYTES, Manifest, Section, description_of, header


class CatalogWriter:
    """Writes sections, then the description and the header; what it leaves when it is given up is no catalog."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._file.write(bytes(HEADER_BYTES))
        self._at = HEADER_BYTES
        self.crc = 0  # over the checksums of all sections: names the content

    def write(self, dtype: str, pieces: Iterator[NDArray[Any]]) -> Section:
        """One section of a type from its pieces; integers that do not fit into it are a mistake of the caller's."""
        self._pad()
        begin, crc = self._at, 0
        for piece in pieces:
            data = np.ascontiguousarray(piece, dtype).data.cast("B") if piece.size else b""
            crc = zlib.crc32(data, crc)
            self._at += self._file.write(data)
        self.crc = zlib.crc32(crc.to_bytes(4, "little"), self.crc)
        return Section(begin, self._at - begin, crc, dtype)

    def finish(self, manifest: Manifest) -> int:
        """Write what makes it a catalog, and see to it that it is on the disk; returns its size."""
        self._pad()
        description = description_of(manifest)
        self._file.write(description)
        size = self._at + len(description)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.seek(0)
        self._file.write(header(size, description))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.close()
        return size

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _pad(self) -> None:
        gap = -self._at % ALIGNMENT
        self._file.write(bytes(gap))
        self._at += gap
