"""A document as it is printed: the tables it has figures for, then what should make a reader doubt them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from examples.display import WIDTH, Screen
from loadtest.output import tables

_PARTS: tuple[tuple[str, str, Callable[[Screen, Any], None]], ...] = (
    ("comparison", "Compared", tables.comparison),
    ("picture", "The picture", tables.picture),
    ("overload", "Overload", tables.overload),
    ("scaling", "Workers", tables.scaling),
    ("slopes", "What lasts", tables.slopes),
    ("gates", "Promises", tables.gates),
)


def show(screen: Screen, document: dict[str, Any]) -> None:
    """Print it."""
    runs = document["runs"]
    whole = [run for run in runs if run["role"] not in ("step", "block")]
    steps = [run for run in runs if run["role"] == "step"]
    echo = next((run for run in whole if run["role"] == "echo"), None)
    if steps:
        screen.heading("Rates")
        tables.steps(screen, steps)
    if whole:
        screen.heading("Figures")
        tables.latencies(screen, whole)
        screen.line()
        tables.costs(screen, whole)
    for run in whole:
        if run["stages_us"] is not None:
            screen.heading("Where the server's time goes" + (f": {run['role']}" if len(whole) > 2 else ""))
            tables.stages(screen, run, echo)
    for part, heading, table in _PARTS:
        if document.get(part):
            screen.heading(heading)
            table(screen, document[part])
    doubts = doubts_of(runs)
    if doubts or document.get("findings"):
        screen.line()
    for text in document.get("findings", []):
        screen.paragraph(text)
    for text in doubts:
        for line in textwrap.wrap(text, WIDTH):
            screen.line(screen.paint(line, "yellow"))


def doubts_of(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Everything that should make a reader doubt the figures, as sentences."""
    found = []
    parts = [run for run in runs if run["role"] in ("step", "block")]
    saturated = [run for run in parts if run["saturated"]]
    if saturated:
        first = f"at {saturated[0]['rate']:.0f} a second {saturated[0]['saturated'][0]}"
        found.append(f"in {len(saturated)} of {len(parts)} runs the generator was saturated; the first: {first}")
    if any(run["server_gone"] for run in runs):
        found.append("the server's process ended while it was under load; what was due later was never answered")
    for run in runs:
        if run["role"] in ("step", "block"):
            continue
        name = run["role"]
        found += [f"{name}: the generator was saturated: {reason}" for reason in run["saturated"]]
        others = run["others_share"]
        if others is not None and others > 0.1:
            found.append(f"{name}: other programs took {others:.0%} of this machine; without them it is better")
        for percentile in ("p99", "p99.9"):
            due, left = run["latency_ms"].get(percentile), run["service_ms"].get(percentile)
            numbers = isinstance(due, float) and isinstance(left, float)
            if numbers and not run["saturated"] and due - left > 0.25 * due:
                found.append(
                    f"{name}: {due - left:.1f} of the {due:.1f} ms at {percentile} are requests that left late: "
                    "the generator's, not the server's"
                )
    return found
