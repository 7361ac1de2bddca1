"""What a good slate is: the policy words, their one model, the checks, and the named policies that serve."""

from __future__ import annotations

from reranker.policy.model import Policy
from reranker.policy.snapshots import PolicyBook

__all__ = ["Policy", "PolicyBook"]
