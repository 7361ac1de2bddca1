"""Charts as pictures: Vega-Lite specifications, drawn once into SVG whose colours come from the page's style."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from reranker.errors import MissingExtra
from reranker.replay.accounts import SlotShares
from reranker.replay.bootstrap import Interval
from reranker.replay.comparison import Comparison
from reranker.replay.frontier import Point
from reranker.replay.measured import TIMES, UNKNOWN
from reranker.replay.words import MEANINGS, Measure
from reranker.texts import harmless

_VERSION = "6.1"  # of Vega-Lite: the same charts whatever the converter brings along
_PALETTE = 10  # colours --c0 to --c9 of the style; then they come again
_CONFIG = {
    "background": None,
    "font": "inherit",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--ink)",
        "gridColor": "var(--rule)",
        "domainColor": "var(--rule)",
        "tickColor": "var(--rule)",
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelFlush": False,
    },
    "legend": {"labelColor": "var(--ink)", "titleColor": "var(--ink)", "labelFontSize": 12, "titleFontSize": 12},
    "header": {"labelColor": "var(--ink)", "titleColor": "var(--ink)", "labelFontSize": 12},
    "title": {"color": "var(--ink)"},
}


def draw(spec: dict[str, Any], label: str) -> str:
    """The chart as SVG with a name for who cannot see it. Raises `MissingExtra` without the extra `report`."""
    try:
        import vl_convert
    except ImportError:
        raise MissingExtra("vl-convert-python", "report") from None
    # A character that XML does not have would end the converter, and this process with it.
    whole = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": _CONFIG, **_harmless(spec)}
    svg: str = vl_convert.vegalite_to_svg(whole, vl_version=_VERSION, allowed_base_urls=[])
    name = harmless(label).replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return svg.replace("<svg ", f'<svg role="graphics-document" aria-label="{name}" ', 1)


def by_slot(shares: SlotShares) -> dict[str, Any]:
    """Who stands in which slot: one row of stacked bars a policy."""
    rows = [
        {"policy": label, "slot": slot, "value": _named(value), "share": share, "order": place}
        for label, slots in shares.shares.items()
        for slot, of_slot in enumerate(slots, start=1)
        for place, (value, share) in enumerate(zip(shares.values, of_slot, strict=True))
        if share > 0.0
    ]
    values = [_named(value) for value in shares.values]
    slots = max((len(each) for each in shares.shares.values()), default=0)
    header = {"title": None, "labelOrient": "top", "labelAnchor": "start", "labelFontWeight": "bold", "labelPadding": 4}
    return {
        "data": {"values": rows},
        "mark": {"type": "bar", "stroke": "var(--page)", "strokeWidth": 1},
        "width": {"step": max(10, min(36, 400 // max(slots, 1)))},
        "height": 110,
        "encoding": {
            "row": {"field": "policy", "type": "nominal", "sort": list(shares.shares), "header": header},
            "x": {"field": "slot", "type": "ordinal", "title": "slot", "axis": {"labelAngle": 0}},
            "y": {"field": "share", "type": "quantitative", "title": None, "axis": {"format": "%", "tickCount": 4}},
            "color": {
                "field": "value",
                "type": "nominal",
                "title": shares.attribute,
                "scale": {"domain": values, "range": [_colour(v, place) for place, v in enumerate(shares.values)]},
            },
            "order": {"field": "order", "sort": "descending"},  # stacked as the legend lists them
        },
    }


def exposure(found: Comparison, attribute: str) -> dict[str, Any] | None:
    """Each value's share of the attention under both policies, with intervals; None where nothing is known."""
    rows = []
    for contrast in found.overall:
        if contrast.measure.name == "attention" and contrast.measure.attribute == attribute:
            for label, interval in ((found.baseline, contrast.baseline), (found.candidate, contrast.candidate)):
                rows.append({"value": contrast.measure.value, "policy": label, **_ends(interval)})
    rows = [row for row in rows if row["mean"] is not None]
    if not rows:
        return None
    encoding = {
        "y": {"field": "value", "type": "nominal", "title": None},
        "yOffset": {"field": "policy", "sort": [found.baseline, found.candidate]},
    }
    return _with_intervals(rows, encoding, "share of the attention", [found.baseline, found.candidate], percent=True)


def price(found: Comparison) -> dict[str, Any] | None:
    """What the candidate gives away, by cause; None where the run has not split it."""
    if found.price is None:
        return None
    causes = (
        ("upstream", Interval(0.0, 0.0, 0.0, found.price.both.requests)),
        ("quotas only", found.price.quotas_only),
        ("diversity only", found.price.diversity_only),
        ("both", found.price.both),
    )
    rows = [{"cause": name, "policy": found.candidate, **_ends(interval)} for name, interval in causes]
    encoding = {"y": {"field": "cause", "type": "nominal", "title": None, "sort": [name for name, _ in causes]}}
    return _with_intervals(rows, encoding, "relevance given away", [found.candidate], percent=True)


def latency(found: Comparison) -> dict[str, Any] | None:
    """Quantiles of what the engine took; None where it was not measured."""
    rows = [
        {"policy": label, "quantile": name, "microseconds": value}
        for label, quantiles in found.latency.items()
        for name, value in quantiles.items()
        if name != "p100"
    ]
    if not rows:
        return None
    return {
        "data": {"values": rows},
        "mark": "bar",
        "width": 400,
        "height": {"step": 16},
        "encoding": {
            "y": {"field": "quantile", "type": "nominal", "title": None},
            "yOffset": {"field": "policy", "sort": [found.baseline, found.candidate]},
            "x": {"field": "microseconds", "type": "quantitative", "title": "microseconds per request"},
            "color": _of_policies([found.baseline, found.candidate]),
        },
    }


def trade_off(points: Sequence[Point], name: str, attribute: str = "") -> dict[str, Any] | None:
    """Relevance kept against one measure, a point a setting; None where no point has it."""
    rows: list[dict[str, Any]] = []
    for order, point in enumerate(points):
        interval = point.gains.get(Measure(name, attribute))
        if interval is not None and interval.requests and point.cost.requests:
            rows.append(
                {
                    "kept": point.cost.mean,
                    "gain": interval.mean,
                    "low": interval.low,
                    "high": interval.high,
                    "policy": swept(points) if point.setting else point.label,
                    "label": ", ".join(f"{value:g}" for _, value in point.setting),
                    "order": order,
                }
            )
    if not rows:
        return None
    meaning = MEANINGS[name]
    spread = max(row["kept"] for row in rows) - min(row["kept"] for row in rows)
    x = {
        "field": "kept",
        "type": "quantitative",
        "title": "relevance kept",
        "scale": {"zero": False, "nice": True, "padding": 12},
        "axis": {"format": ".0%" if spread > 0.05 else ".1%", "tickCount": 7},
    }
    y = {
        "field": "gain",
        "type": "quantitative",
        "title": wrap(meaning.title, 36),
        "scale": {"zero": False},
        "axis": {"format": "~%" if meaning.percent else "~g", "tickCount": 6},
    }
    names = list(dict.fromkeys(row["policy"] for row in sorted(rows, key=lambda row: row["label"] == "")))
    policies = {
        "field": "policy",
        "type": "nominal",
        "title": None,
        "legend": {"orient": "top", "columns": 1, "labelLimit": 0},
    }
    colours = {"domain": names, "range": [f"var(--c{(1, 0, 3, 2)[place % 4]})" for place in range(len(names))]}
    shapes = {"domain": names, "range": [("circle", "square", "diamond", "cross")[p % 4] for p in range(len(names))]}
    return {
        "data": {"values": rows},
        "width": 400,
        "height": 240,
        "encoding": {"x": x},
        "layer": [
            {
                "transform": [{"filter": "datum.label !== ''"}],
                "mark": {"type": "line", "color": "var(--c1)", "strokeWidth": 1.5},
                "encoding": {"y": y, "order": {"field": "order"}},
            },
            {
                "mark": {"type": "rule", "color": "var(--soft)"},
                "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
                "encoding": {
                    "y": y,
                    "color": {**policies, "scale": colours},
                    "shape": {**policies, "scale": shapes},
                },
            },
            {
                # In turn to the left and to the right, as neighbours on a sweep are near each other.
                "mark": {
                    "type": "text",
                    "baseline": "middle",
                    "align": {"expr": "datum.order % 2 ? 'left' : 'right'"},
                    "dx": {"expr": "datum.order % 2 ? 8 : -8"},
                    "dy": -9,
                    "color": "var(--ink)",
                    "fontSize": 12,
                },
                "encoding": {"y": y, "text": {"field": "label"}},
            },
        ],
    }


def swept(points: Sequence[Point]) -> str:
    """What a sweep is called: the policy's settings that it varies."""
    return ", ".join(dict.fromkeys(path for point in points for path, _ in point.setting)) + " at the values shown"


def attributes_of(found: Comparison) -> list[str]:
    """The single attributes that have a share of the attention, in the order of the comparison."""
    names = [c.measure.attribute for c in found.overall if c.measure.name == "attention"]
    return [name for name in dict.fromkeys(names) if TIMES not in name]


def _with_intervals(
    rows: list[dict[str, Any]], encoding: dict[str, Any], title: str, policies: list[str], *, percent: bool
) -> dict[str, Any]:
    axis = {"format": "%"} if percent else {}
    x = {"field": "mean", "type": "quantitative", "title": title, "axis": axis}
    return {
        "data": {"values": rows},
        "width": 400,
        "height": {"step": 18},
        "encoding": {**encoding, "color": _of_policies(policies)},
        "layer": [
            {"mark": {"type": "bar", "opacity": 0.55}, "encoding": {"x": x}},
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": {"value": "var(--ink)"}},
            },
        ],
    }


def _of_policies(policies: list[str]) -> dict[str, Any]:
    colours = [f"var(--c{place})" for place in range(len(policies))]
    legend = {"legend": {"orient": "top", "columns": 1, "labelLimit": 0} if len(policies) > 1 else None}
    return {
        "field": "policy",
        "type": "nominal",
        "title": None,
        "scale": {"domain": policies, "range": colours},
        **legend,
    }


def _ends(interval: Interval) -> dict[str, Any]:
    if interval.requests == 0:
        return {"mean": None, "low": None, "high": None}
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def _harmless(part: Any) -> Any:
    """The same specification, every text in it without what no text is meant to hold."""
    if isinstance(part, str):
        # Vega reads titles as its own quoted text, in which a backslash would begin an escape.
        return harmless(part).replace("\\", "\N{REVERSE SOLIDUS OPERATOR}")
    if isinstance(part, dict):
        return {key: _harmless(value) for key, value in part.items()}
    return [_harmless(each) for each in part] if isinstance(part, list) else part


def _named(value: str) -> str:
    return value if value != UNKNOWN else "(unknown)"


def _colour(value: str, place: int) -> str:
    return "var(--soft)" if value == UNKNOWN else f"var(--c{place % _PALETTE})"
