from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from reranker.errors import InvalidInput
from reranker.replay.accounts import SlotShares
from reranker.replay.browser import Words, browse, most_changed
from reranker.replay.comparison import compare
from reranker.replay.frontier import frontier
from reranker.replay.measured import Yardstick
from reranker.replay.plan import Plan, entries_of, upstream
from reranker.replay.report import Report, as_html, as_json, charts
from reranker.replay.report.html import number, typeset
from reranker.replay.results import Results
from reranker.replay.survey import Traffic
from reranker.replay.titles import read_queries, read_titles
from reranker.replay.verdict import sentences
from reranker.replay.words import Measure
from reranker.requestlog import write
from reranker.texts import escaped
from reranker.v1.request_log_pb2 import RequestLog
from tests.unit.replay.runs import TONES, made_up, policy, run

HOSTILE = '<script>alert("x")</script>\u202e'
REQUESTS = 20


class Page(HTMLParser):
    """What a page is made of: every element with its attributes, ids, and the text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self._stack: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self._stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._stack and self._stack[-1] not in ("script", "style"):
            self.said.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Plan, Traffic]:
    records = made_up(21, requests=REQUESTS)
    bound = [{"attribute": "tone", "min_share": {"dark": 0.3}}]
    own = policy("own", objective={"strategy": "mmr", "diversity": 0.6}, quotas=bound, labels=TONES)
    entries = entries_of([upstream(), own], {"objective.diversity": [0.0, 0.3, 0.9]}, parts=True)
    results = run(records, entries, more=["form"])
    path = tmp_path_factory.mktemp("traffic") / "traffic.rlog"
    write(path, map(RequestLog.FromString, records))
    return results, Plan(entries, Yardstick.of([own], ["form"])), Traffic((path,))


@pytest.fixture(scope="module")
def report(replayed: tuple[Results, Plan, Traffic]) -> Report:
    results, plan, traffic = replayed
    words = Words({f"i{n}-{i}": f"{HOSTILE} {n}-{i}" for n in range(REQUESTS) for i in range(20)}, {"r3": HOSTILE})
    changed = browse(results, plan, traffic, "upstream", "own", words=words)
    found = compare(results, "upstream", "own")
    return Report(
        found,
        frontier(results, plan.entries, "own"),
        changed,
        {"Traffic": HOSTILE, "Width": "3\u00a0cm"},
        ["the catalog has gone on"],
    )


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(as_html(report))


def test_the_page_is_whole_and_needs_nothing_from_anywhere(report: Report, page: Page) -> None:
    text = as_html(report)
    assert text.startswith("<!doctype html>\n")
    assert page._stack == []
    addresses = {
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "action", "srcset", "data")
    }
    assert all(address and address.startswith("#") for address in addresses)
    style = text.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    (policy_,) = [each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy_ is not None
    assert policy_.startswith("default-src 'none'")


def test_the_verdict_comes_first_and_in_words(report: Report, page: Page) -> None:
    said = "".join(page.said)
    first, *others = sentences(report.found)
    assert first.split(": ", 1)[1].rstrip(".") in said
    positions = [said.index(typeset(sentence)) for sentence in others]
    assert positions == sorted(positions)
    assert positions[-1] < said.index("Measures over all requests")
    assert "the catalog has gone on" in said


def test_numbers_are_written_as_people_write_them() -> None:
    share, distance = Measure("relevance_retained"), Measure("mean_displacement")
    assert number(share, 0.9321) == "93.2 %"
    assert number(share, -0.046, signed=True) == "\N{MINUS SIGN}4.6"
    assert number(share, -0.0004, signed=True) == number(share, 0.0, signed=True) == "0.0"
    assert [number(distance, value) for value in (1234.5, 12.345, 2.345, 0.9876)] == ["1,234", "12.3", "2.35", "0.988"]
    assert number(distance, 0.5, signed=True) == "+0.500"
    assert number(distance, float("nan")) == "–"
    assert typeset("a-b -3 to 4-5, -.5 (-2)") == "a-b \N{MINUS SIGN}3 to 4-5, \N{MINUS SIGN}.5 (\N{MINUS SIGN}2)"


@pytest.mark.parametrize("hostile", ["\x00", "\x1b", "\ufffe", "\uffff", "\\x1b", "\\", '"', "'", '\\"'])
def test_a_chart_is_drawn_of_names_that_xml_or_vega_could_not_hold(hostile: str) -> None:
    shares = SlotShares(f"tone{hostile}", (f"d{hostile}rk",), {f"own{hostile}": [[1.0]]})
    drawn = charts.draw(charts.by_slot(shares), f"of {hostile}")
    shown = "".join(ElementTree.fromstring(drawn).itertext())
    for name in ("tone", "d", "own"):
        assert f"{name}{escaped(hostile)}".replace("\\", "\N{REVERSE SOLIDUS OPERATOR}") in shown


def test_what_comes_from_data_is_only_text(page: Page) -> None:
    assert len(page.all("script")) == 1
    said = "".join(page.said)
    assert '<script>alert("x")</script>\\u202e 3-' in said
    assert "\u202e" not in said
    assert "3\u00a0cm" in said  # what only looks unusual stays as it is


def test_links_and_labels_lead_somewhere_and_ids_are_unique(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in page.all("a"):
        assert (attributes["href"] or "")[1:] in ids
    for attributes in page.all("label"):
        assert attributes["for"] in ids
    for attributes in page.all("input"):
        assert attributes["data-filter"] in ids
        assert f"{attributes['data-filter']}-count" in ids


def test_every_chart_has_a_name_and_its_colours_from_the_style(report: Report, page: Page) -> None:
    svgs = page.all("svg")
    assert len(svgs) >= 6
    assert all(svg["role"] == "graphics-document" and svg["aria-label"] for svg in svgs)
    known = set(re.findall(r"(--\w+):", as_html(report).split("<style>")[1].split("</style>")[0]))
    used = set(re.findall(r"var\((--\w+)\)", as_html(report)))
    assert used <= known
    assert all(each.get("scope") for each in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))


def test_requests_are_browsed_with_both_sides_and_reasons(report: Report, page: Page) -> None:
    shown = [each for each in page.all("details") if (each.get("id") or "").startswith("request-")]
    assert len(shown) == len(report.changed) > 0
    changed = report.changed[0]
    assert changed.overlap <= report.changed[-1].overlap
    for side, other in ((changed.baseline, changed.candidate), (changed.candidate, changed.baseline)):
        assert [item.slot for item in side.items] == [1, 2, 3, 4, 5]
        assert all(item.why for item in side.items)
        assert all(item.stays == (item.id in {one.id for one in other.items}) for item in side.items)
        assert set(side.items[0].values) == {"tone", "form"}
    assert [item.rank for item in changed.baseline.items] == [1, 2, 3, 4, 5]


def test_the_most_changed_come_first(replayed: tuple[Results, Plan, Traffic]) -> None:
    results, _, _ = replayed
    chosen = most_changed(results, "upstream", "own", most=5)
    before, after = (results.answers[label].positions for label in ("upstream", "own"))
    shares = [len(np.intersect1d(a, b)) / 5 for a, b in zip(before, after, strict=True)]
    assert [share for _, share in chosen] == sorted(shares)[: len(chosen)]
    assert most_changed(results, "upstream", "upstream", most=5) == []


def test_the_frontier_has_every_setting_and_who_stands_for_himself(replayed: tuple[Results, Plan, Traffic]) -> None:
    results, plan, _ = replayed
    points = frontier(results, plan.entries, "own")
    assert [point.setting for point in points] == [
        *((("objective.diversity", value),) for value in (0.0, 0.3, 0.9)),
        (),
        (),
    ]
    assert [point.label for point in points[3:]] == ["upstream", "own"]
    kept = [point.cost.mean for point in points[:3]]
    assert kept == sorted(kept, reverse=True)
    assert frontier(results, plan.entries, "upstream") == []


def test_json_says_the_same_and_says_it_twice_alike(report: Report) -> None:
    tree = json.loads(as_json(report))
    assert tree["verdict"] == sentences(report.found)
    assert tree["comparison"]["outcome"] == report.found.outcome.value
    assert len(tree["changed"]) == len(report.changed)
    assert as_json(report) == as_json(report)
    assert as_html(report) == as_html(report)


def test_titles_and_queries_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", ids=np.array(["x", "y"]), titles=np.array(["X", "Y"]))
    assert read_titles(tmp_path / "a.npz") == {"x": "X", "y": "Y"}
    (tmp_path / "a.json").write_text('{"x": "X", "y": {"title": "Y"}, "z": {}}')
    assert read_titles(tmp_path / "a.json") == {"x": "X", "y": "Y"}
    (tmp_path / "q.json").write_text('{"r": {"query": "shoes", "relevant": []}, "s": "boots"}')
    assert read_queries(tmp_path / "q.json") == {"r": "shoes", "s": "boots"}
    np.savez(tmp_path / "b.npz", ids=np.array(["x"]))
    (tmp_path / "b.json").write_text("[1]")
    for path in (tmp_path / "b.npz", tmp_path / "b.json"):
        with pytest.raises(InvalidInput, match="--titles"):
            read_titles(path)
