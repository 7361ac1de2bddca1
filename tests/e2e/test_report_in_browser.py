"""The report as people meet it: in a real Chromium, in light and dark, on a telephone, on paper, by keyboard alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pytest

from reranker.replay.report import Report, as_html
from tests.unit.replay.test_report import replayed, report  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

WIDE, NARROW = 1280, 375
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FILTERS = {"gates": "tone", "measures": "ndcg", "slices": "kind", "groups": "dark", "list": "r3"}

COMPLAINTS: WeakKeyDictionary[Page, list[str]] = WeakKeyDictionary()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs: pip install -r requirements/browser.txt")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("there is no Chromium on the PATH nor in CHROMIUM; Debian's package is chromium")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=found)
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:  # noqa: F811
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(as_html(report), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": WIDE, "height": 900}, color_scheme="light")
    yield made
    made.close()


def opened(context: BrowserContext, address: str) -> Page:
    """The page in a context that keeps whatever it complains about, or asks for beside itself, for `is_quiet`."""
    page = context.new_page()
    page.set_default_timeout(20_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url))
    page.goto(address)
    assert complaints.pop(0).partition("#")[0] == address.partition("#")[0]  # itself: the counter-test of `request`
    COMPLAINTS[page] = complaints
    return page


def is_quiet(page: Page) -> bool:
    page.wait_for_timeout(50)
    itself = page.url.partition("#")[0]
    assert [said for said in COMPLAINTS[page] if said.partition("#")[0] != itself] == []
    return True


def state(page: Page) -> dict[str, str]:
    found: dict[str, str] = page.evaluate("Object.fromEntries(new URLSearchParams(location.hash.slice(1)))")
    return found


def shown(page: Page, name: str) -> int:
    script = "name => [...document.querySelectorAll(`#${name}-rows [data-find]`)].filter(e => !e.hidden).length"
    count: int = page.evaluate(script, name)
    return count


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_renders_asks_nobody_and_is_accessible(browser: Browser, address: str, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs requirements/browser.txt")
    options: dict[str, Any] = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "offline": True}
    context = browser.new_context(**options)
    page = opened(context, f"{address}#open=request-1,slices-numbers,latency-numbers")
    assert is_quiet(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.eval_on_selector_all(
        "svg", "all => all.map(e => e.getBoundingClientRect()).map(b => [b.left, b.right])"
    )
    assert len(boxes) >= 6
    assert all(0 <= left < left + 100 < right <= width for left, right in boxes)
    red, *_ = (int(part) for part in page.evaluate("getComputedStyle(document.body).backgroundColor")[4:-1].split(","))
    assert (red > 200) == (scheme == "light")
    found = axe.Axe().run(page).response
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
    assert len(found["passes"]) > 10
    context.close()


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_narrows_counts_and_is_in_the_address(context: BrowserContext, address: str, name: str) -> None:
    page = opened(context, f"{address}#open=slices-numbers")
    every, field = shown(page, name), page.locator(f"#{name}-filter")
    count = page.locator(f"#{name}-rows-count")
    assert count.inner_text() == f"{every} of {every} shown"
    field.fill(FILTERS[name].upper())
    some = shown(page, name)
    assert 0 < some < every or name in ("gates", "slices")
    assert count.inner_text() == f"{some} of {every} shown"
    assert state(page)[f"{name}-rows"] == FILTERS[name].upper()
    page.reload()
    assert field.input_value() == FILTERS[name].upper()
    assert shown(page, name) == some
    field.fill("no such thing anywhere")
    assert shown(page, name) == 0
    assert count.inner_text() == "nothing is found"
    field.fill("")
    assert shown(page, name) == every
    assert f"{name}-rows" not in state(page)
    assert is_quiet(page)


def test_every_link_leads_to_its_section_and_is_in_the_address(context: BrowserContext, address: str) -> None:
    page = opened(context, address)
    links = page.locator("nav a")
    assert links.count() >= 10
    for place in range(links.count()):
        links.nth(place).click()
        name = (links.nth(place).get_attribute("href") or "")[1:]
        assert state(page)["at"] == name
        assert page.evaluate("document.activeElement.closest('section').id") == name
        top, height = page.evaluate(
            f"(r => [r.top, innerHeight])(document.getElementById('{name}').getBoundingClientRect())"
        )
        assert top < height
    page.reload()
    assert page.evaluate("scrollY") > 0
    assert is_quiet(page)


def test_what_is_open_survives_a_reload_and_another_address(context: BrowserContext, address: str) -> None:
    page = opened(context, address)
    for name in ("request-2", "slots-1-numbers"):
        page.locator(f"#{name} > summary").click()
    page.wait_for_url(lambda url: url.endswith("#open=slots-1-numbers%2Crequest-2"))
    page.reload()
    assert page.locator("#request-2").get_attribute("open") is not None
    sides = page.locator("#request-2 .side")
    assert [sides.nth(i).locator("h3").inner_text() for i in (0, 1)] == ["upstream", "own"]
    boxes = [sides.nth(i).bounding_box() for i in (0, 1)]
    assert len({box["y"] for box in boxes if box is not None}) == 1  # side by side
    assert sides.nth(1).locator("tbody tr").count() == 5
    assert sides.nth(1).locator("small").count() == 5  # a reason for each
    page.evaluate("location.hash = '#open=request-3'")
    page.locator("#request-3[open]").wait_for()
    assert page.locator("#request-2").get_attribute("open") is None
    page.locator("#request-3 > summary").click()
    page.locator("#request-3:not([open])").wait_for()
    page.wait_for_url(lambda url: "open" not in url)
    assert is_quiet(page)


def test_a_keyboard_is_enough(context: BrowserContext, address: str) -> None:
    page = opened(context, address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the verdict"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('section').id") == "verdict"
    script = """(at => [at.tagName, at.closest('details')?.id ?? '', at.id, getComputedStyle(at).outlineStyle])
        (document.activeElement)"""
    seen = []
    for _ in range(200):
        page.keyboard.press("Tab")
        tag, within, name, outline = page.evaluate(script)
        if tag == "BODY":
            break
        seen.append(name or within)
        assert outline != "none"
        if tag == "SUMMARY" and within == "request-1":
            page.keyboard.press("Enter")
            assert page.locator("#request-1").get_attribute("open") is not None
            break
    assert {f"{name}-filter" for name in FILTERS if name != "slices"} <= set(seen)
    page.wait_for_url(lambda url: "request-1" in url)
    page.locator("#list-filter").focus()
    page.keyboard.type("r3")
    assert 0 < shown(page, "list") < len(page.locator("#list-rows details").all())
    assert is_quiet(page)


def test_paper_is_light_and_has_what_is_open(browser: Browser, address: str, tmp_path: Path) -> None:
    context = browser.new_context(color_scheme="dark")
    page = opened(context, f"{address}#open=request-1")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--page')") == "#fff"
    visible = {
        name: page.locator(name).first.is_visible() for name in ("nav", ".tools", "#request-1", "#request-2", "svg")
    }
    assert visible == {"nav": False, ".tools": False, "#request-1": True, "#request-2": False, "svg": True}
    page.pdf(path=str(tmp_path / "report.pdf"), format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert is_quiet(page)
    context.close()


def test_nothing_is_hidden_where_scripts_are_not_allowed(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("#list-rows details").count() > 0
    assert page.locator("#list-rows details").last.is_visible()
    assert page.locator("[hidden]").count() == 0
    context.close()
