"""The plot page: one HTML file with everything in it, that opens without a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

from examples.display import Screen
from loadtest.output import report
from loadtest.output.charts import Chart, Line
from loadtest.output.document import UNANSWERED, write_text

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #667; --rule: #ccd; --paper: #fff; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6ea; --soft: #a0a4b0; --rule: #3a3f4a; --paper: #16181d; --bad: #ff8a80; }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 76rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); } .bad { color: var(--bad); font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 34rem), 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: var(--ink); }
svg .title { font-size: 13px; font-weight: 600; } svg .tick, svg .name { fill: var(--soft); }
svg .grid { stroke: var(--rule); stroke-width: .6; } svg .level { stroke: var(--bad); stroke-dasharray: 3 3; }
pre { overflow-x: auto; font: 13px/1.4 ui-monospace, monospace; }
"""


def write(document: dict[str, Any], path: Path) -> None:
    """The page of a document as a file."""
    write_text(path, render(document))


def render(document: dict[str, Any]) -> str:
    """The page as text."""
    scenario, environment = document["scenario"], document["environment"]
    title = f"{document['mode']}: {scenario['name']}"
    verdict = document["verdict"]
    facts = [f"{name} {value}" for name, value in environment.items() if isinstance(value, str | int | float)]
    facts += [f"{name} {found}" for name, found in environment["packages"].items()]
    arrivals = ", ".join(f"{name} {value}" for name, value in scenario["arrivals"].items())
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(scenario['about'])}</p>",
        f'<p class="{"soft" if verdict == "met" else "bad"}">verdict: {escape(verdict)}</p>',
        *(f'<p class="bad">{escape(text)}</p>' for text in report.doubts_of(document["runs"])),
        f'<div class="charts">{"".join(chart.svg() for chart in charts_of(document))}</div>',
        f"<h2>Figures</h2>\n<pre>{escape(_printed(document))}</pre>",
        "<h2>Measured on</h2>",
        f'<p class="soft">{escape(document["time"])}; {escape("; ".join(facts))}</p>',
        f'<p class="soft">arrivals: {escape(arrivals)}; {document["workload"]["distinct"]} distinct requests of '
        f"{document['workload']['mean_bytes']:,} bytes</p>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n" + "\n".join(body) + "\n</html>\n"
    )


def charts_of(document: dict[str, Any]) -> list[Chart]:
    """The charts that this document has figures for."""
    limit = document["scenario"]["slo"].get("p99_ms")
    promise = ("promised p99", limit) if limit and document["mode"] != "picture" else None
    runs = document["runs"]
    charts = []
    steps = {float(run["rate"]): run for run in runs if run["role"] == "step"}  # of each rate the last try decides
    if len(steps) > 1:
        charts += _against_rate([steps[rate] for rate in sorted(steps)], promise)
    blocks = [run for run in runs if run["role"] == "block"]
    if blocks:
        charts += _in_pairs(blocks, document["servers"])
    for run in runs:
        if run["role"] not in ("step", "echo", "block"):
            charts += _over_time(run, promise)
    whole = [run for run in runs if run["role"] not in ("step", "block")]
    if whole:
        charts.append(_distribution(whole))
    return charts


def _against_rate(steps: Sequence[dict[str, Any]], promise: tuple[str, float] | None) -> list[Chart]:
    def line(name: str, of: Callable[[dict[str, Any]], float | None]) -> Line:
        return Line(name, [(float(step["rate"]), of(step)) for step in steps])

    def percentile(name: str) -> Line:
        return line(name, lambda step: _number(step["latency_ms"].get(name)))

    latency = [percentile(name) for name in ("p50", "p90", "p99", "p99.9")]
    cores = [line("server", lambda step: _cores(step)), line("busiest client", lambda s: max(s["client_cpu_shares"]))]
    return [
        Chart("Latency against rate", "requests a second", "milliseconds", latency, log_y=True, level=promise),
        Chart("Cores against rate", "requests a second", "cores", cores),
    ]


def _in_pairs(blocks: Sequence[dict[str, Any]], names: Sequence[str]) -> list[Chart]:
    """Both servers of a comparison, pair by pair."""

    def lines(of: Callable[[dict[str, Any]], float | None]) -> list[Line]:
        return [
            Line(name, [(float(block["pair"] + 1), of(block)) for block in blocks if block["server"] == which])
            for which, name in enumerate(names)
        ]

    figures = {
        "p50": lines(lambda block: _number(block["latency_ms"].get("p50"))),
        "p99": lines(lambda block: _number(block["latency_ms"].get("p99"))),
    }
    charts = [Chart(f"{name} by pair", "pair", "milliseconds", found) for name, found in figures.items()]
    cpu = lines(lambda block: block["server_cpu_us"])
    return [*charts, Chart("Server CPU by pair", "pair", "microseconds a request", cpu)]


def _over_time(run: dict[str, Any], promise: tuple[str, float] | None) -> list[Chart]:
    series = [second for second in run["series"] if not second["warm_up"]]
    dots = len(series) <= 120

    def line(name: str, key: str, scale: float = 1.0) -> Line:
        points = [(float(second["second"]), _number(second[key])) for second in series]
        return Line(name, [(x, None if y is None else y * scale) for x, y in points], dots=dots)

    name = run["role"]
    latency = [line("p50", "p50"), line("p99", "p99"), line("slowest", "longest"), line("late p99", "late_p99")]
    charts = [
        Chart(f"{name}: latency by second", "second due", "milliseconds", latency, log_y=True, level=promise),
        Chart(
            f"{name}: requests by second",
            "second due",
            "requests",
            [line("due", "due"), line("answered", "answered"), line("errors", "errors")],
        ),
    ]
    if any(second["server_cores"] is not None for second in series):
        charts.append(Chart(f"{name}: server's cores", "second", "cores", [line("server", "server_cores")]))
        charts.append(Chart(f"{name}: server's memory", "second", "MB", [line("server", "server_memory", 1e-6)]))
    return charts


def _distribution(runs: Sequence[dict[str, Any]]) -> Chart:
    """Percentiles on an axis that gives each further nine the same room."""
    marks = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)]
    places = [(-math.log10(1 - share), name) for name, share in marks]
    lines = []
    for run in runs:
        for key, what in (("latency_ms", ""), ("service_ms", ", since it left")):
            points = [(place, _number(run[key].get(name))) for place, name in places]
            lines.append(Line(run["role"] + what, points, dashed=bool(what)))
    return Chart("Percentiles", "share of requests", "milliseconds", lines, log_y=True, x_labels=places)


def _cores(run: dict[str, Any]) -> float | None:
    cpu = run["server_cpu_us"]
    return None if cpu is None else float(cpu * run["offered"] / 1e6)


def _number(value: Any) -> float | None:
    return math.inf if value == UNANSWERED else value


def _printed(document: dict[str, Any]) -> str:
    """What a terminal shows, as it shows it."""
    stream = StringIO()
    report.show(Screen(stream), document)
    return stream.getvalue().strip()
