"""Request logs: recorded requests in a file, one format for warm-up, replay, golden tests and load."""

from reranker.requestlog.files import read, read_bytes, write

__all__ = ["read", "read_bytes", "write"]
