"""The report as one HTML file, its verdict in words first, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from reranker.replay.browser import Changed
from reranker.replay.comparison import Comparison, plain
from reranker.replay.frontier import Point
from reranker.replay.measured import UNKNOWN
from reranker.replay.outcomes import Outcomes
from reranker.replay.outcomes import sentences as said_of_outcomes
from reranker.replay.report import charts, tables
from reranker.replay.report.facts import facts
from reranker.replay.report.html import Html, join, tag, text, typeset
from reranker.replay.report.requests import browser
from reranker.replay.verdict import headline, sentences
from reranker.replay.words import MEANINGS

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"  # it asks nobody for anything
_SHORT = {"verdict": "Verdict", "requests": "Requests", "about": "About"}  # what links call sections of long names
_TRADES = (("div", True), ("attention_gap", True), ("intra_list_average_distance", False))


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Everything that a report shows. `about` says in words what was replayed, e.g. {"requests": "1,300 of shades"}."""

    found: Comparison
    frontier: Sequence[Point] = ()
    changed: Sequence[Changed] = ()
    about: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    outcomes: Outcomes | None = None


def as_json(report: Report) -> str:
    """The report for programs; NaN is null. Equal reports are equal texts."""
    tree = {
        "headline": headline(report.found),
        "verdict": sentences(report.found),
        "warnings": list(report.warnings),
        "about": dict(report.about),
        "comparison": plain(report.found),
        "outcomes": plain(report.outcomes),
        "frontier": plain(list(report.frontier)),
        "changed": plain(list(report.changed)),
    }
    return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False)


def as_html(report: Report) -> str:
    """The page. Raises `MissingExtra` where charts cannot be drawn."""
    found = report.found
    sections = [section for section in _sections(report) if section is not None]
    links = [tag("li", tag("a", _SHORT.get(name, title), href=f"#{name}")) for name, title, _ in sections]
    body = [
        tag("a", "To the verdict", href="#verdict", class_="skip"),
        tag("header", tag("p", "Replay report of diversity-reranker", class_="muted"), _heading(report), facts(found)),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        tag(
            "main",
            *(tag("section", tag("h2", title, tabindex="-1"), content, id=name) for name, title, content in sections),
        ),
    ]
    head = [
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", f"{found.candidate} against {found.baseline}"),
        tag("style", Html(_resource("style.css"))),
    ]
    script = tag("script", Html(_resource("script.js")))
    page = tag("html", tag("head", *head), tag("body", *body, script), lang="en")
    return f"<!doctype html>\n{page}\n"


def _heading(report: Report) -> Html:
    outcome = report.found.outcome
    said = headline(report.found).removeprefix(f"{outcome.value}: ")
    return tag("h1", tables.badge(outcome), " ", text(said))


def _sections(report: Report) -> list[tuple[str, str, Html] | None]:
    found = report.found
    return [
        ("verdict", "The verdict in words", _verdict(report)),
        ("gates", "Gates", _filtered("gates", tables.gates(found))) if found.checks else None,
        ("outcomes", "What people did", _outcomes(report.outcomes)) if report.outcomes else None,
        ("slots", "Who stands where", _slots(found)) if found.slots else None,
        ("exposure", "Who gets the attention", _exposure(found)),
        ("price", "What it costs", _price(found)),
        ("trade-off", "The trade-off", _trade_off(report)) if report.frontier else None,
        ("measures", "All measures", _filtered("measures", tables.measures(found))),
        ("slices", "By slice", _slices(found)) if found.sliced else None,
        ("payers", "Who pays", _payers(found)),
        ("bounds", "Quotas", tables.bounds(found)) if any(found.deficits.values()) else None,
        ("requests", "The requests that change most", _requests(report)) if report.changed else None,
        ("about", "What was replayed", _about(report)),
    ]


def _verdict(report: Report) -> Html:
    said = sentences(report.found)[1:]  # the first is the heading
    warnings = [tag("p", tag("strong", "Note: "), warning) for warning in report.warnings]
    return join([*warnings, tag("ul", *(tag("li", typeset(sentence)) for sentence in said))])


def _outcomes(found: Outcomes) -> Html:
    return tag("ul", *(tag("li", typeset(sentence)) for sentence in said_of_outcomes(found)))


def _slots(found: Comparison) -> Html:
    parts = []
    for place, shares in enumerate(found.slots, start=1):
        label = f"Share of each {shares.attribute} in every slot, by policy"
        unknown = " Grey is unknown." if UNKNOWN in shares.values else ""
        about = f"{shares.attribute}: of all items that stand in a slot, the share of each value.{unknown}"
        drawn = charts.draw(charts.by_slot(shares), label)
        parts.append(_figure(drawn, about, _numbers(f"slots-{place}", tables.slots(shares))))
    return tag("div", *parts, class_="figures")


def _exposure(found: Comparison) -> Html:
    parts = []
    for place, attribute in enumerate(charts.attributes_of(found), start=1):
        spec = charts.exposure(found, attribute)
        if spec is None:
            continue
        about = f"{attribute}: share of the attention to items of known value, mean over requests; "
        about += f"lines are {100 * found.level:g} % intervals."
        drawn = charts.draw(spec, f"Attention by {attribute}, both policies")
        parts.append(_figure(drawn, about, _numbers(f"exposure-{place}", tables.exposures(found, attribute))))
    return tag("div", *parts, class_="figures") if parts else tag("p", "No attribute is compared by group.")


def _price(found: Comparison) -> Html:
    parts = []
    spec = charts.price(found)
    if spec is not None and found.price is not None:
        about = (
            f"Share of the upstream top's relevance that {found.candidate} gives away, and what each cause alone "
            f"would cost; lines are {100 * found.level:g} % intervals."
        )
        drawn = charts.draw(spec, "Relevance given away, by cause")
        parts.append(_figure(drawn, about, _numbers("price", tables.price(found.price))))
    timing = charts.latency(found)
    if timing is not None:
        about = (
            "Time that the engine took for a request while the run kept all cores busy: good for comparing the two, "
            "not for promising either."
        )
        drawn = charts.draw(timing, "Quantiles of the time a request took")
        parts.append(_figure(drawn, about, _numbers("latency", tables.latencies(found))))
    if not parts:
        return tag("p", "The run neither split the price nor took times.")
    return tag("div", *parts, class_="figures")


def _trade_off(report: Report) -> Html:
    attributes = list(dict.fromkeys(m.attribute for point in report.frontier for m in point.gains if m.attribute))
    parts = []
    for name, by_attribute in _TRADES:
        for attribute in attributes if by_attribute else [""]:
            spec = charts.trade_off(report.frontier, name, attribute)
            if spec is not None:
                of = f"{attribute}: " if attribute else ""
                better = "higher is better" if MEANINGS[name].better > 0 else "lower is better"
                about = f"{of}{MEANINGS[name].title}, against the relevance that is kept; {better}."
                parts.append(_figure(charts.draw(spec, about), about))
    numbers = _numbers("trade-off", tables.points(list(report.frontier)))
    return join([tag("div", *parts, class_="figures"), numbers])


def _slices(found: Comparison) -> Html:
    small = [part for part in found.slices if part.is_small]
    about = f"{len(found.slices)} slices of the requests, the small ones too."
    if small:
        about += f" {len(small)} of them have too few requests for any gate."
    content = _filtered("slices", tables.slices(found))
    return join([tag("p", about), _numbers("slices", content, f"All {len(found.sliced):,} rows")])


def _payers(found: Comparison) -> Html:
    return join([tables.payers(found), _filtered("groups", tables.groups(found))])


def _requests(report: Report) -> Html:
    about = (
        f"The {len(report.changed)} requests whose two slates share least. Open one to see both slates, and why each "
        "item stands where it does. Shaded items are on one of the two alone."
    )
    shown = browser(list(report.changed), report.found.baseline, report.found.candidate)
    label = "Search requests by words, item titles, ids or values"
    return join([tag("p", about), _filtered("list", shown, label)])


def _about(report: Report) -> Html:
    found = report.found
    rows = {
        "Baseline": found.baseline,
        "Candidate": found.candidate,
        "Requests": f"{found.requests:,}",
        **report.about,
        "Intervals": f"{100 * found.level:g} %, paired over requests, Bayesian bootstrap with one unseen request "
        f"(seed {found.seed}); those of gates are widened for the number of checks (Bonferroni)",
        "Noise": "by how much the baseline differs from itself between random halves of the same requests",
        "Attention": "an item's is 1 / log2(slot + 1): 1 in the first slot, 0.5 in the third",
    }
    return tag("dl", *(join([tag("dt", key), tag("dd", value)]) for key, value in rows.items()))


def _figure(svg: str, about: str, numbers: Html | str = "") -> Html:
    scrolled = tag("div", Html(svg), class_="scroll", tabindex="0", role="group", aria_label=about)
    return tag("figure", scrolled, tag("figcaption", about), numbers)


def _numbers(name: str, content: Html, title: str = "The numbers") -> Html:
    """What is there for who wants it; whether it is open is in the address."""
    return tag("details", tag("summary", title), content, id=f"{name}-numbers")


def _filtered(name: str, content: Html, label: str = "Show only rows with") -> Html:
    """Content whose rows can be narrowed by words; how many are left is said aloud."""
    field = Html(f'<input type="search" id="{name}-filter" data-filter="{name}-rows" autocomplete="off">')
    count = tag("output", "", id=f"{name}-rows-count", for_=f"{name}-filter", aria_live="polite", class_="muted")
    tools = tag("div", tag("label", label, field, for_=f"{name}-filter"), count, class_="tools")
    return join([tools, tag("div", content, id=f"{name}-rows")])


def _resource(name: str) -> str:
    return files("reranker.replay.report").joinpath(name).read_text(encoding="utf-8")
