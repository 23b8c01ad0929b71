"""Every page, in both languages, light and dark, on a desk and on a telephone, by keyboard and without scripts."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.routing import Route

from tests.hub.vans import iso
from tests.interfaces.hubs import HOURS, LOGGERS, LONGEST, Hub, fill, nothing, serving_hub
from tests.interfaces.inspection import (
    OF_LOOKS,
    find_barriers,
    find_cuts,
    find_faults_of_head,
    find_small_targets,
    find_unplaced_times,
    find_wide_lists,
    listening,
    prepare,
    walk_with_tab,
)
from tests.waiting import LIMIT_MS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (tools/system-packages test)")
SCREENSHOTS = os.environ.get("COLDCHAIN_SCREENSHOTS", "")
"""A folder that keeps a picture of every page in both languages and themes."""
DESK, TELEPHONE = {"width": 1280, "height": 800}, {"width": 320, "height": 640}
"""320 CSS px is also what a desk of 1280 px has at 400 % (WCAG 1.4.10)."""
TARGET_PX = 24
SINCE = iso(0).replace("+00:00", "Z")
UNTIL = iso(HOURS * 3600).replace("+00:00", "Z")
A_LOGGER = LOGGERS["BOX-GAP"]

PAGES: dict[str, tuple[str, ...]] = {
    "/": ("/",),
    "/alerts": ("/alerts",),
    "/api/docs": ("/api/docs",),
    "/arrivals": ("/arrivals", f"/arrivals?show=expected&day={SINCE[:10]}"),
    "/audit": ("/audit",),
    "/bench": (
        "/bench",
        *(f"/bench?code={code}" for code in ("SEND-20", "SEND-12", "SEND-5", "SEND-GAP", "SEND-NONE", LONGEST, "NO-1")),
    ),
    "/explore": ("/explore", f"/explore?logger={A_LOGGER}&logger={LOGGERS[LONGEST]}&since={SINCE}&until={UNTIL}"),
    "/hand-in": ("/hand-in",),
    "/hand-ins": ("/hand-ins",),
    "/inbox": ("/inbox",),
    "/indicators": ("/indicators", f"/indicators?by=box&since={SINCE[:10]}&until={UNTIL[:10]}"),
    "/labels": ("/labels", f"/labels?codes=BOX-20+{LONGEST}"),
    "/login": ("/login",),
    "/register": ("/register?code=BOX-SPARE",),
    "/review": ("/review?stage=all", "/review?box=BOX-SPARE"),
    "/review/{breach_id}": tuple(f"/review/{number}" for number in (1, 2, 3, 4, 5)),
    "/setup": ("/setup",),
    "/setup/boxes": ("/setup/boxes",),
    "/setup/boxes/edit": ("/setup/boxes/edit", f"/setup/boxes/edit?code={LONGEST}"),
    "/setup/choices": ("/setup/choices",),
    "/setup/choices/edit": ("/setup/choices/edit?list=cause&code=box_open",),
    "/setup/consignments": ("/setup/consignments",),
    "/setup/consignments/import": ("/setup/consignments/import",),
    "/setup/consignments/new": ("/setup/consignments/new",),
    "/setup/gateways": ("/setup/gateways",),
    "/setup/gateways/one": ("/setup/gateways/one?name=van-1",),
    "/setup/loggers": ("/setup/loggers",),
    "/setup/loggers/new": ("/setup/loggers/new",),
    "/setup/loggers/one": (f"/setup/loggers/one?address={A_LOGGER}",),
    "/setup/loggers/recalibration": (f"/setup/loggers/recalibration?address={A_LOGGER}&offset_c=0.5",),
    "/setup/notification": ("/setup/notification",),
    "/setup/notification/edit": ("/setup/notification/edit",),
    "/setup/notification/policy": ("/setup/notification/policy?name=samples",),
    "/setup/people": ("/setup/people",),
    "/setup/people/new": ("/setup/people/new",),
    "/setup/people/one": ("/setup/people/one?name=kari",),
    "/setup/profiles": ("/setup/profiles",),
    "/setup/profiles/edit": ("/setup/profiles/edit?id=potassium",),
    "/setup/profiles/one": ("/setup/profiles/one?id=potassium",),
}
"""Addresses of each route that shows a page; the first ones are those looked at most closely."""
NO_PAGES = {
    "/api/openapi.json": "a description for programs",
    "/explore/data": "JSON for the explorer's script",
    "/indicators.csv": "a file",
    "/login/sign-on": "leads to the hospital's own login",
    "/login/sign-on/back": "is come back to from there",
    "/logged-out": "is reached from there alone",
    "/setup/consignments/sample.csv": "a file",
    "/setup/consignments/template.csv": "a file",
    "/sign-in-again": "leads to the hospital's own login",
}
EMPTY = (
    "/",
    "/alerts",
    "/inbox",
    "/hand-ins",
    "/arrivals",
    "/bench",
    "/explore",
    "/indicators",
    "/review",
    "/setup/boxes",
    "/setup/consignments",
    "/setup/gateways",
    "/setup/loggers",
)
ADDRESSES = [address for addresses in PAGES.values() for address in addresses]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with serving_hub(tmp_path_factory.mktemp("full", numbered=False), fill) as served:
        yield served


@pytest.fixture(scope="module")
def empty_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with serving_hub(tmp_path_factory.mktemp("empty", numbered=False), nothing) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=LIMIT_MS)
        yield opened
        opened.close()


@dataclass(frozen=True, slots=True)
class Looks:
    """The ways in which each page is looked at."""

    desk: Page
    telephone: Page
    plain: Page
    titles: dict[str, str]


def open_looks(browser: Browser, hub: Hub) -> Looks:
    """Open a page at a desk in bokmål and light, one on a telephone in English and dark, and one without scripts."""

    def open_page(language: str, size: dict[str, int], **how: object) -> Page:
        context = browser.new_context(base_url=hub.url, locale=f"{language}-NO", viewport=size, **how)  # type: ignore[arg-type]  as they are named there
        context.add_cookies([{"name": "coldchain", "value": hub.secret, "url": hub.url}])
        return prepare(context).new_page()

    return Looks(
        desk=open_page("nb", DESK, color_scheme="light"),
        telephone=open_page("en", TELEPHONE, color_scheme="dark", has_touch=True),
        plain=open_page("nb", DESK, java_script_enabled=False),
        titles={},
    )


@pytest.fixture(scope="module")
def looks(browser: Browser, hub: Hub) -> Looks:
    return open_looks(browser, hub)


@pytest.fixture(scope="module")
def empty_looks(browser: Browser, empty_hub: Hub) -> Looks:
    return open_looks(browser, empty_hub)


def test_no_page_is_forgotten(hub: Hub) -> None:
    served = {
        str(context.path)
        for context in iter_route_contexts(hub.app.routes)
        if isinstance(context.original_route, Route)
        and "GET" in (context.original_route.methods or ())
        and not str(context.path).startswith("/api/v1")
    }
    forgotten = served - PAGES.keys() - NO_PAGES.keys()
    assert not forgotten, f"give PAGES an address of {sorted(forgotten)}, or NO_PAGES the reason why it is none"
    assert not (PAGES.keys() | NO_PAGES.keys()) - served, "no longer served"


@pytest.mark.parametrize("address", ADDRESSES)
def test_page(address: str, hub: Hub, looks: Looks) -> None:
    faults = look_at(address, hub, looks)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("address", EMPTY)
def test_page_of_an_empty_hub(address: str, empty_hub: Hub, empty_looks: Looks) -> None:
    faults = look_at(address, empty_hub, empty_looks)
    assert not faults, "\n".join(faults)


def test_titles_tell_pages_apart(looks: Looks) -> None:
    told: dict[str, str] = {}
    for address, title in looks.titles.items():
        other = told.setdefault(title, address)
        assert other.partition("?")[0] == address.partition("?")[0], f"{title}: {other} and {address}"


def test_the_menu_of_a_telephone_opens_over_the_page_by_keyboard(looks: Looks) -> None:
    page = looks.telephone
    page.goto("/review")
    nav, opens = page.locator("nav").first, page.get_by_role("button", name="Menu", exact=True)
    assert not nav.is_visible()
    before_px = page.locator("h1").evaluate("heading => heading.getBoundingClientRect().top")
    opens.press("Enter")
    expect(nav).to_be_visible(timeout=LIMIT_MS)
    assert not [*find_barriers(page, *OF_LOOKS), *find_cuts(page), *find_small_targets(page, TARGET_PX)]
    assert page.locator("h1").evaluate("heading => heading.getBoundingClientRect().top") == before_px
    page.keyboard.press("Escape")
    expect(nav).to_be_hidden(timeout=LIMIT_MS)
    expect(opens).to_be_focused(timeout=LIMIT_MS)
    looks.desk.goto("/review")
    assert looks.desk.locator("nav").first.is_visible()
    assert not looks.desk.get_by_role("button", name="Meny").is_visible()


def test_a_scan_titles_the_page_in_its_language(looks: Looks) -> None:
    page = looks.desk
    page.goto("/bench")
    page.keyboard.type("SEND-12")
    page.keyboard.press("Enter")
    expect(page).to_have_title("SEND-12 · Mottak · Coldchain", timeout=LIMIT_MS)


def look_at(address: str, hub: Hub, looks: Looks) -> list[str]:
    faults = [f"desk: {one}" for one in _at_the_desk(address, hub, looks)]
    faults += [f"telephone: {one}" for one in _on_the_telephone(address, hub, looks.telephone)]
    return faults + [f"without scripts: {one}" for one in _without_scripts(address, looks.plain)]


def _at_the_desk(address: str, hub: Hub, looks: Looks) -> list[str]:
    page = looks.desk
    with listening(page, hub.url) as faults:
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, f"{address} answers {answer.status}"
        looks.titles[address] = page.title()
        found = [*find_faults_of_head(page, "nb"), *find_barriers(page), *find_small_targets(page, TARGET_PX)]
        _keep(page, f"{hub.name}{address}-nb-desk", "light", "dark")
        found += [*find_unplaced_times(page), *walk_with_tab(page)]
        page.evaluate("() => { document.documentElement.style.fontSize = '200%'; }")
        found += [f"at 200 %: {one}" for one in find_cuts(page)]
    return [*found, *faults]


def _on_the_telephone(address: str, hub: Hub, page: Page) -> list[str]:
    with listening(page, hub.url) as faults:
        page.goto(address)
        found = [*find_faults_of_head(page, "en"), *find_barriers(page, *OF_LOOKS), *find_cuts(page)]
        found += [*find_small_targets(page, TARGET_PX), *find_unplaced_times(page), *find_wide_lists(page)]
        _keep(page, f"{hub.name}{address}-en-telephone", "dark", "light")
    return [*found, *faults]


def _without_scripts(address: str, page: Page) -> list[str]:
    page.goto(address)
    is_there = page.locator("h1").is_visible() and len(page.locator("main").inner_text()) > 40
    return [] if is_there else ["there is nothing to read"]


def _keep(page: Page, name: str, *themes: str) -> None:
    if not SCREENSHOTS:
        return
    folder = Path(SCREENSHOTS)
    folder.mkdir(parents=True, exist_ok=True)
    for theme in themes:
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  one of the two
        written = re.sub(r"[^A-Za-z0-9]+", "-", re.sub(r"W{9,}", "W", name)).strip("-")[:160]
        page.screenshot(path=folder / f"{written}-{theme}.png", full_page=True)
    page.emulate_media(color_scheme=themes[0])  # type: ignore[arg-type]  one of the two
