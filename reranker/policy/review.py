"""Whose review is due: a policy past its `review_by` serves on, and says so."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from reranker.policy.model import Policy
from reranker.policy.scalars import iso_date


def overdue(policies: Iterable[Policy], today: datetime.date) -> list[str]:
    """The names of the policies whose day of review has passed."""
    due = ((policy.name, iso_date(policy.message.about.review_by)) for policy in policies)
    return [name for name, day in due if day is not None and day < today]
