"""Request logs: recorded requests in a file, one format for warm-up, replay, golden tests and load."""

from reranker.requestlog.files import read, write

__all__ = ["read", "write"]
