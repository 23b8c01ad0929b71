"""The vehicle's screen by the same measures as the hub's pages, with larger targets: it is used with gloves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from gateway.vehicle.state import BoxWord
from tests.interfaces.inspection import (
    find_barriers,
    find_cuts,
    find_faults_of_head,
    find_small_targets,
    listening,
    prepare,
    walk_with_tab,
)
from tests.vehicle.screen.stages import Served, Stage, box_view, serving
from tests.waiting import LIMIT_MS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (tools/system-packages test)")
TARGET_PX = 44


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    boxes = (box_view(1), box_view(2), box_view(3, BoxWord.BREACH, 11.4), box_view(4, BoxWord.STALE, 5.0, 400))
    with serving(Stage(boxes=boxes)) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=LIMIT_MS)
        yield opened
        opened.close()


@pytest.mark.parametrize("address", ["/screen", "/pin"])
@pytest.mark.parametrize(("language", "theme", "width"), [("nb", "light", 1280), ("en", "dark", 320)])
def test_screen(address: str, language: str, theme: str, width: int, browser: Browser, served: Served) -> None:
    size = {"width": width, "height": 800}
    context = browser.new_context(locale=language, viewport=size, color_scheme=theme)  # type: ignore[arg-type]  they are those
    page = prepare(context).new_page()
    with listening(page, served.url) as faults:
        page.goto(served.url + address)
        found = [*find_faults_of_head(page, language), *find_barriers(page), *find_cuts(page)]
        found += find_small_targets(page, TARGET_PX)
        page.keyboard.press("Tab")  # the first key turns the sound on, and its button goes
        found += walk_with_tab(page)
    context.close()
    assert not [*found, *faults], "\n".join([*found, *faults])
