"""When requests are due: worked out in full before the first one is sent, so no answer can delay a question."""

from loadtest.arrivals.process import KINDS, Arrivals

__all__ = ["KINDS", "Arrivals"]
