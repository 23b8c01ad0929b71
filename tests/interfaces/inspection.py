"""What is asked of every page, whoever serves it; each answer is a list of faults in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import BrowserContext, Page

from tests.waiting import LIMIT_MS

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
STOPS_MAX = 60
"""Of the hundreds in the reference of the interface: they are all alike."""
OF_LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")
"""What may be right at a desk in light and wrong on a telephone in the dark."""
INSPECTION = Path(__file__).with_name("inspection.js")


def prepare(context: BrowserContext) -> BrowserContext:
    """Give each page of a context what asks, past its content security policy, which stays in force for the page."""
    context.set_default_timeout(LIMIT_MS)
    context.add_init_script(path=INSPECTION)
    context.add_init_script(AXE_SCRIPT)
    return context


@contextmanager
def listening(page: Page, url: str) -> Iterator[list[str]]:
    """Collect what a page should not do: errors, refused content, requests to other hosts."""
    faults: list[str] = []

    def hear(text: str, kind: str = "error") -> None:
        if kind in {"error", "warning"}:
            faults.append(f"console: {text}")

    def see(asked: str) -> None:
        if not asked.startswith((url, "data:", "blob:")):
            faults.append(f"asks another host: {asked}")

    hearings: list[tuple[Any, Any]] = [
        ("console", lambda message: hear(message.text, message.type)),
        ("pageerror", lambda error: hear(str(error))),
        ("request", lambda request: see(request.url)),
    ]
    for event, heard in hearings:
        page.on(event, heard)
    try:
        yield faults
    finally:
        for event, heard in hearings:
            page.remove_listener(event, heard)


def find_barriers(page: Page, *rules: str) -> list[str]:
    """Return what axe-core says of WCAG 2.2 AA, by all of its rules or by these alone."""
    chosen = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": TAGS}
    options = {"runOnly": chosen, "resultTypes": ["violations"]}
    found: dict[str, Any] = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"axe {one['id']} ({one['impact']}): {node['html'][:160]} {_say(node)}"
        for one in found["violations"]
        for node in one["nodes"][:3]
    ]


def find_small_targets(page: Page, least_px: int) -> list[str]:
    """Return what is hard to hit."""
    return [f"below {least_px} px: {one}" for one in _ask(page, "small", least_px)]


def find_cuts(page: Page) -> list[str]:
    """Return what does not fit the width."""
    return _ask(page, "cut")


def find_wide_lists(page: Page) -> list[str]:
    """Return lists whose last column is out of sight."""
    return [f"goes on to the side: {one}" for one in _ask(page, "wide")]


def find_unplaced_times(page: Page) -> list[str]:
    """Return times of the clock without an offset."""
    return [f"time without offset: {one}" for one in _ask(page, "unplaced")]


def walk_with_tab(page: Page) -> list[str]:
    """Go round with Tab; return where it did not follow the document, or could not be seen."""
    for _ in range(int(page.evaluate("most => inspection.begin(most)", STOPS_MAX)) - 1):
        page.keyboard.press("Tab")
    return _ask(page, "end")


def find_faults_of_head(page: Page, language: str) -> list[str]:
    """Return what is wrong with language, title and headings."""
    lang, title = page.locator("html").get_attribute("lang"), page.title()
    headings = page.locator("h1").count()
    faults = [] if lang == language else [f"lang is {lang}, not {language}"]
    faults += [] if title.strip() else ["no title"]
    return faults + ([] if headings == 1 else [f"{headings} headings of the first level"])


def _ask(page: Page, what: str, *given: object) -> list[str]:
    answer: Sequence[str] = page.evaluate("([what, given]) => inspection[what](...given)", [what, list(given)])
    return list(answer)


def _say(node: dict[str, Any]) -> str:
    return "; ".join(check["message"] for check in [*node["any"], *node["all"], *node["none"]])[:300]
