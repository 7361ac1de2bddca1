"""What people call things: titles of items and words of queries, beside traffic that has only ids."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reranker.errors import InvalidInput, Violation

_FORMS = "must be .npz with `ids` and `titles`, or JSON: an object of texts by id"


def read_titles(path: Path) -> dict[str, str]:
    """Titles by item id, as text. Raises `InvalidInput`, `OSError`."""
    if path.suffix != ".npz":
        return _texts(path, "title")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(zip(map(str, stored["ids"].tolist()), map(str, stored["titles"].tolist()), strict=True))
    except (KeyError, ValueError, zipfile.BadZipFile):
        raise InvalidInput([Violation("--titles", _FORMS)], str(path)) from None


def read_queries(path: Path) -> dict[str, str]:
    """What was asked, by request id: texts, or objects with a `query`. Raises `InvalidInput`, `OSError`."""
    return _texts(path, "query")


def _texts(path: Path, word: str) -> dict[str, str]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        tree = None
    if not isinstance(tree, Mapping):
        raise InvalidInput([Violation(f"--{'titles' if word == 'title' else 'queries'}", _FORMS)], str(path))
    entries = ((key, entry.get(word, "") if isinstance(entry, Mapping) else entry) for key, entry in tree.items())
    return {str(key): str(text) for key, text in entries if text}
