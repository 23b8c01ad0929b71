"""The screen in a real Chromium: by keyboard and scanner alone, on a telephone, and when the vehicle falls silent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gateway.core.custody import registered_consignments
from gateway.core.exposure import to_ms
from gateway.vehicle.screen import page as page_module
from gateway.vehicle.state import BoxWord
from tests.vehicle.carried import breach, judgement
from tests.vehicle.screen.stages import Served, Stage, box_view, judged, serving
from tests.waiting import LIMIT_MS

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (tools/system-packages test)")
TARGET_PX = 44


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=LIMIT_MS)
        expect.set_options(timeout=LIMIT_MS)
        yield opened
        opened.close()


@pytest.fixture
def stage() -> Stage:
    return Stage(boxes=(box_view(1), box_view(2), box_view(3), box_view(4, BoxWord.STALE, 5.0, 400)))


@pytest.fixture
def served(stage: Stage) -> Iterator[Served]:
    with serving(stage) as running:
        yield running


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB", viewport={"width": 360, "height": 740})
    context.set_default_timeout(LIMIT_MS)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.goto(served.url)
    expect(opened.locator("body:not(.stale)")).to_be_attached(timeout=LIMIT_MS)
    yield opened
    context.close()
    assert faults == []


def scan(page: Page, *codes: str) -> None:
    """Type as a scanner does: wherever the focus is, with Enter after each code."""
    for code in codes:
        page.keyboard.type(code)
        page.keyboard.press("Enter")


def test_a_day_by_scanner_alone(page: Page, stage: Stage) -> None:
    scan(page, "DO-LOAD", "BADGE-7", "BOX-1", "BOX-2")
    expect(page.locator(".tile")).to_have_count(2)
    expect(page.locator(".task").first).to_have_text("Deliver Box 2 before 14:20")
    scan(page, "DO-HOME", "BOX-1", "T-1", "T-2", "T-3", "DO-30", "DO-UNDO")
    expect(page.locator("#answer .title").first).to_have_text("Undone: T-3")
    scan(page, "T-2", "DO-15")
    expect(page.get_by_role("button", name="15 min ago", pressed=True)).to_have_count(1)
    (consignment,) = registered_consignments(stage.desk.records)
    ago = [to_ms(i.carriage[0].begins) - to_ms(i.collected_at) for i in consignment.items if i.collected_at]
    assert [item.code for item in consignment.items] == ["T-1", "T-2"]
    assert ago == [0, 15 * 60_000]
    scan(page, "DO-SHIFT", "BADGE-8")
    expect(page.locator("#answer li")).to_have_text(["Box 1: no deadline", "Box 2: before 14:20"])
    scan(page, "DO-HAND-OVER", "BADGE-9", "BOX-2")
    expect(page.locator(".tile")).to_have_count(1)


def test_it_turns_grey_by_itself_when_the_vehicle_falls_silent(page: Page, served: Served) -> None:
    served.stop()
    expect(page.locator("body.stale")).to_be_attached(timeout=LIMIT_MS)
    expect(page.get_by_role("alert")).to_contain_text("Not updated")
    looks = Path(page_module.__file__).with_name("static").joinpath("screen.js").read_text(encoding="utf-8")
    # What the script counts to, not how long this machine took: the limit and one more look are within three seconds.
    assert "const STALE_MS = 2500;" in looks
    assert "setInterval(look, 250);" in looks


def test_without_its_script_nothing_looks_up_to_date(browser: Browser, served: Served) -> None:
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(LIMIT_MS)
    opened = context.new_page()
    opened.goto(served.url)
    expect(opened.locator("body.stale")).to_be_attached()
    expect(opened.locator(".lost")).to_be_visible()
    context.close()


def test_a_new_breach_is_heard_once(page: Page, stage: Stage) -> None:
    scan(page, "DO-LOAD", "BOX-3", "BOX-2", "DO-LOOK")
    expect(page.locator(".tile")).to_have_count(2)
    stage.judgements = {"C1": (judged("DOSE-1", judgement(breach())),)}
    stage.show(box_view(2, BoxWord.BREACH, 12.0))
    expect(page.locator("body[data-beeps='1']")).to_be_attached(timeout=LIMIT_MS)
    stage.show(box_view(3, BoxWord.BREACH, 12.0))
    expect(page.locator(".told")).to_have_text("Do not open it.")
    expect(page.locator("body[data-beeps='1']")).to_be_attached()
    scan(page, "DOSE-1")
    expect(page.locator("#answer .stop .title")).to_have_text("Do not give, call the pharmacy")


@pytest.mark.parametrize(("width", "height"), [(360, 740), (800, 480), (1024, 600), (1280, 800)])
def test_everything_is_large_enough_for_a_glove_and_nothing_is_cut_off(
    page: Page, stage: Stage, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    stage.show(box_view(2, BoxWord.WARN, 9.1), box_view(3, BoxWord.BREACH, -12.4))
    scan(page, "DO-LOAD", "BOX-1", "BOX-2", "BOX-3", "BOX-4")
    expect(page.locator(".tile")).to_have_count(4)
    scan(page, "DO-HOME", "BOX-1", "T-1")
    expect(page.locator(".ago")).to_have_count(4)
    for target in page.locator("button:visible, .mode:visible, .call a:visible, input#code").all():
        box = target.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= TARGET_PX, target.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width > height:  # in a vehicle the boxes stay in sight, whatever is done beside them
        expect(page.locator(".tile.breach")).to_be_in_viewport(ratio=1)
    for number in page.locator(".tile .number, .tile .word").all():
        assert number.evaluate("e => parseFloat(getComputedStyle(e).fontSize)") >= 32
        assert number.evaluate("e => e.getBoundingClientRect().right <= e.parentElement.getBoundingClientRect().right")


@pytest.mark.parametrize("language", ["nb-NO", "en-GB"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_of_the_screen(browser: Browser, served: Served, stage: Stage, language: str, scheme: str) -> None:
    """Kept where COLDCHAIN_SCREENSHOTS says."""
    stage.show(box_view(2, BoxWord.WARN, 9.1), box_view(3, BoxWord.BREACH, 12.4))
    context = browser.new_context(locale=language, color_scheme="dark" if scheme == "dark" else "light")
    context.set_default_timeout(LIMIT_MS)
    opened = context.new_page()
    opened.goto(served.url)
    scan(opened, "DO-LOAD", "BADGE-7", "BOX-1", "BOX-2", "BOX-3", "BOX-4")
    expect(opened.locator(".tile")).to_have_count(4)
    word = {"nb-NO": "Brudd", "en-GB": "Breach"}[language]
    expect(opened.locator(".tile.breach .word")).to_have_text(word)
    folder = os.environ.get("COLDCHAIN_SCREENSHOTS")
    if folder:
        opened.screenshot(path=f"{folder}/screen-{language}-{scheme}.png", full_page=True)
    context.close()
