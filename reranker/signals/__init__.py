"""The item catalog: embeddings and attributes by id, in one mapped file that all workers share."""

from reranker.signals.catalog import Catalog
from reranker.signals.shelf import Shelf

__all__ = ["Catalog", "Shelf"]
