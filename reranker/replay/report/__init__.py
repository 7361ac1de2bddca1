"""The report of a comparison: one HTML file that needs nothing else, and the same as JSON."""

from __future__ import annotations

from reranker.replay.report.page import Report, as_html, as_json

__all__ = ["Report", "as_html", "as_json"]
