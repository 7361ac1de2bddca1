"""What a catalog is built from: JSONL, NumPy archives, Parquet and Arrow, each a stream of batches."""

from reranker.signals.sources.names import Names
from reranker.signals.sources.reading import FORMATS, read_batches

__all__ = ["FORMATS", "Names", "read_batches"]
