"""What the status page says of the parts of one process."""

from __future__ import annotations

import math
from collections.abc import Mapping

from reranker.exposure.board import Board
from reranker.policy.snapshots import PolicyBook
from reranker.runtime.pages import Sections, duration
from reranker.service.admission import Admission, WorkerPool
from reranker.signals import Shelf
from reranker.store.address import StoreAddress


def sections_of(
    book: PolicyBook,
    workers: WorkerPool,
    admission: Admission,
    shelf: Shelf | None,
    board: Board,
    store: StoreAddress | None,
) -> Sections:
    """By part, in the order of the page."""
    sections: dict[str, Mapping[str, str | int | float]] = {
        "policies": {
            "all of it": book.revision,
            "routes": book.routes.revision if book.routes else "none",
            **{policy.name: policy.revision for policy in book.policies()},
        },
        "calls": {"waiting or worked on": workers.calls, "arrived so far": admission.arrivals},
        "exposure ledger": {
            "last read": "never" if math.isinf(board.age) else f"{duration(board.age)} ago",
            "streams": len(board.streams),
        },
    }
    if shelf is not None:
        catalog = shelf.catalog
        sections["catalog"] = {
            "version": catalog.version,
            "items": len(catalog),
            "built": catalog.manifest.built,
            "bytes": catalog.size,
        }
    if store is not None:
        sections["store"] = {"at": str(store)}
    return sections
