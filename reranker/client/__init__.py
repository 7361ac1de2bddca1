"""What a pipeline imports: a client that falls back to the upstream order, and builders of what it sends.

Imports gRPC, NumPy and the generated messages; never Numba.
"""

from reranker.client.client import Client, OnError
from reranker.client.columns import from_columns, recent_items
from reranker.client.context import request_context
from reranker.client.failures import ServerError
from reranker.client.reference import by_reference
from reranker.client.rows import CandidateBuilder, from_rows
from reranker.client.security import Tls
from reranker.client.slate import ClientSlate

__all__ = [
    "CandidateBuilder",
    "Client",
    "ClientSlate",
    "OnError",
    "ServerError",
    "Tls",
    "by_reference",
    "from_columns",
    "from_rows",
    "recent_items",
    "request_context",
]
