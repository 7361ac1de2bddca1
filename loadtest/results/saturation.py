"""Whether the generator kept its schedule. If not, its figures are about itself.

Latency counts from when a request was due, so a generator that falls behind makes a server look worse, never better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from loadtest.generator.records import Usage
from loadtest.results.latencies import Latencies

MOST_CPU = 0.9
"""Of one core: a Python process cannot do much more, and whatever comes next has to wait."""

LATE_MS = 5.0
"""What a busy machine's scheduler may cost."""

LATE_SHARE = 0.25
"""Of the 99th percentile that is reported: beyond it that figure is the generator's rather than the server's."""


def allowed(latency: Latencies, percent: float, deadline: float) -> float:
    """How many milliseconds late a request may leave at a percentile before that percentile is the generator's.

    What was never answered took as long as the `deadline` (in seconds) at least.
    """
    reported = latency.percentile(percent)
    return max(LATE_MS, LATE_SHARE * (reported if math.isfinite(reported) else deadline * 1e3))


def reasons(
    late: Latencies, latency: Latencies, clients: Sequence[Usage], not_sent: int, deadline: float
) -> tuple[str, ...]:
    """Why the generator is not to be believed; empty when it is."""
    found = []
    busiest = max((usage.share for usage in clients), default=0.0)
    if busiest >= MOST_CPU:
        found.append(f"a client process took {busiest:.0%} of a core, the limit is {MOST_CPU:.0%}")
    limit, lateness = allowed(latency, 99, deadline), late.percentile(99)
    if lateness > limit:
        found.append(f"1 % of the requests left {lateness:.1f} ms late or more, the limit is {limit:.1f} ms")
    if not_sent:
        found.append(f"{not_sent} requests never left: too many were unanswered")
    return tuple(found)
