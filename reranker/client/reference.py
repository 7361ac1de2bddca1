"""Columns by reference: the server looks them up in its item catalog, and only ids and scores travel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from reranker.client.values import is_torn
from reranker.errors import InvalidInput, Violation
from reranker.texts import TORN
from reranker.v1.candidates_pb2 import CandidateList, CatalogReference

Reference: TypeAlias = bool | CatalogReference
"""True: every column of the catalog that does not travel inline. False: none. Else what `by_reference` makes."""


def by_reference(*, embeddings: str | Iterable[str] = (), attributes: str | Iterable[str] = ()) -> CatalogReference:
    """The columns of the server's catalog to look up, by name; the main embedding is called "". No name means all.

    Naming what the policy reads saves the server looking up the rest. Raises `InvalidInput` naming every violation.
    """
    found: list[Violation] = []
    named = {
        "embeddings": _names("catalog.embeddings", embeddings, found),
        "attributes": _names("catalog.attributes", attributes, found),
    }
    if "" in named["attributes"]:
        found.append(Violation("catalog.attributes", "names must not be empty"))
    if found:
        raise InvalidInput(found)
    return CatalogReference(**named)


def refer(message: CandidateList, reference: Any, found: list[Violation]) -> None:
    """Write the reference into a list whose inline columns are there already; what is wrong is added to `found`."""
    if reference is False:
        return
    if reference is True:
        message.catalog.SetInParent()
        return
    if not isinstance(reference, CatalogReference):
        found.append(Violation("catalog", "must be True, False or what by_reference makes"))
        return
    for what in ("embeddings", "attributes"):
        inline = {column.name for column in getattr(message, what)}
        for i, name in enumerate(getattr(reference, what)):
            if name in inline:
                found.append(Violation(f"catalog.{what}[{i}]", "travels inline too: keep one of the two"))
    message.catalog.CopyFrom(reference)


def _names(path: str, names: Any, found: list[Violation]) -> list[str]:
    listed = [names] if isinstance(names, str) else list(names)
    for i, name in enumerate(listed):
        if not isinstance(name, str):
            found.append(Violation(f"{path}[{i}]", "must be text"))
        elif is_torn(name):
            found.append(Violation(f"{path}[{i}]", TORN))
    texts = [name for name in listed if isinstance(name, str)]
    if len(set(texts)) < len(texts):
        found.append(Violation(path, "names must be distinct"))
    return texts
