"""Setting a hub up in a real browser, with the keyboard alone."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest
import uvicorn
from playwright.async_api import Page, async_playwright, expect

from gateway.hub.access.roles import Role
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import Rooms
from gateway.hub.signals.alerts import AlertKind, raise_alert
from tests.hub.samples import NOW_MS
from tests.hub.setup.forms import PASSWORD
from tests.hub.vans import LOGGER, iso, sqlite_only
from tests.waiting import LIMIT_MS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TABS_MAX = 80

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"), sqlite_only]


@pytest.fixture
async def page(rooms: Rooms) -> AsyncIterator[Page]:
    server = uvicorn.Server(uvicorn.Config(create_app(rooms), port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.02)
    base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    session = rooms.sessions.open(rooms.accounts.check(Role.ADMINISTRATOR.value, PASSWORD))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=LIMIT_MS)
        opened = await browser.new_page(base_url=base, locale="en-GB")
        await opened.context.add_cookies([{"name": "coldchain", "value": session.secret, "url": base}])
        opened.set_default_timeout(LIMIT_MS)
        expect.set_options(timeout=LIMIT_MS)
        yield opened
        await browser.close()
    rooms.closing.set()
    server.should_exit = True
    await serving


async def reach(page: Page, selector: str) -> None:
    """Go to an element with Tab, as somebody without a mouse does."""
    wanted = page.locator(selector).first
    await wanted.wait_for()
    for _ in range(TABS_MAX):
        if await wanted.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is out of reach of the keyboard")


async def fill(page: Page, **texts: str) -> None:
    """Type into fields by their ids, in the order in which the keyboard reaches them."""
    for name, text in texts.items():
        await reach(page, f"#{name}")
        await page.keyboard.press("Control+A")
        await page.keyboard.type(text)


async def press(page: Page, selector: str) -> None:
    """Reach a button or a link and press it; the next page has loaded then."""
    await reach(page, selector)
    async with page.expect_navigation(wait_until="load"):
        await page.keyboard.press("Enter")


SUBMIT = "main form.sheet button.act"


async def test_a_box_its_logger_and_a_gateway(rooms: Rooms, page: Page) -> None:
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if "Security Policy" in message.text else None)
    await page.goto("/")
    await press(page, 'nav a[href="/setup"]')
    await press(page, 'main .doors a[href="/setup/boxes"]')
    await press(page, 'a[href="/setup/boxes/edit"]')
    await expect(page.locator("#code")).to_be_focused()
    await fill(page, code="BOX-1", label="EPS 21 l")
    await press(page, SUBMIT)
    await expect(page.locator("#fault-code")).to_have_text("A box of this code is registered already.")
    await expect(page.locator("#code")).to_be_focused()
    await expect(page.locator("#label")).to_have_value("EPS 21 l")
    await fill(page, code="BOX-2")
    await press(page, SUBMIT)
    await expect(page.get_by_text("BOX-2 is saved.")).to_be_visible()
    await page.goto("/setup/loggers/new")
    await fill(page, address="C0:FF:EE:00:00:09", box="BOX-2", certificate="K-118")
    await page.locator("#calibrated_at").fill("2026-01-15")  # how a date is typed is the browser's own matter
    await page.locator("#due_at").fill("2027-01-15")
    await fill(page, offset_c="-0,12", uncertainty_c="0,15")
    await press(page, SUBMIT)
    await expect(page.get_by_role("heading", name="Logger C0:FF:EE:00:00:09")).to_be_visible()
    logger = next(one for one in rooms.registry.loggers() if one.address != LOGGER)
    assert logger.calibration is not None
    assert (logger.box, logger.calibration.offset_c) == ("BOX-2", -0.12)
    await page.goto("/setup/gateways")
    await fill(page, gateway="VAN-2")
    await press(page, SUBMIT)
    await expect(page.locator("svg.qr")).to_be_visible()
    assert len(str(await page.locator(".secret").get_attribute("data-code"))) == 24
    assert wrong == []


async def test_what_waits_is_found_and_dealt_with(rooms: Rooms, page: Page) -> None:
    about = {"gateway": "van-1", "epoch": "aa", "reason": "two versions"}
    with rooms.store.write() as connection:
        raise_alert(connection, AlertKind.LOG_FORKED, about, NOW_MS)
    await page.goto("/")
    await expect(page.get_by_text("1 alert waits.")).to_be_visible()
    await press(page, 'main .doors a[href="/alerts"]')
    await reach(page, 'input[name="ids"]')
    await page.keyboard.press("Space")
    await fill(page, reason="the card was restored")
    await press(page, ".bulk-bar button")
    await expect(page.get_by_text("No alert waits.")).to_be_visible()
    await press(page, 'nav a[href="/audit"]')
    await reach(page, "main summary")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("“the card was restored”")).to_be_visible()
    await expect(page.get_by_role("cell", name="two versions")).to_be_visible()
    await press(page, 'nav a[href="/setup"]')
    await press(page, 'main .doors a[href="/setup/notification"]')
    await press(page, 'a[href="/setup/notification/edit"]')
    await expect(page.locator("#name")).to_be_focused()
    await fill(page, name="TECH", duties="technician", channel1_id="board", channel1_url="https://alerts.example/in")
    await press(page, SUBMIT)
    await expect(page.get_by_text("board (https://alerts.example/…)")).to_be_visible()


async def test_a_file_with_a_fault_is_corrected_and_registered(rooms: Rooms, page: Page) -> None:
    await page.goto("/setup/consignments/import")
    text = f"consignment,box,in_box_since,item,profile\nC-1,BOX-1,{iso(0)},T-1,potasium"
    await reach(page, "#csv")
    await page.keyboard.insert_text(text)
    await press(page, SUBMIT)
    await expect(page.get_by_role("cell", name="There is no profile of this name.")).to_be_visible()
    await expect(page.locator("#csv")).to_be_focused()
    assert rooms.registry.consignment("C-1") is None
    await page.keyboard.press("Control+A")
    await page.keyboard.insert_text(text.replace("potasium", "potassium"))
    await press(page, SUBMIT)
    await expect(page.get_by_text("Nothing is registered yet.")).to_be_visible()
    assert rooms.registry.consignment("C-1") is None
    await press(page, 'button[name="confirm"]')
    await expect(page.get_by_text("1 consignment is registered.")).to_be_visible()
    assert rooms.registry.consignment("C-1") is not None


async def test_a_draft_is_tried_on_a_past_trip(rooms: Rooms, page: Page) -> None:
    await page.goto("/setup/profiles/edit?id=potassium")
    text = await page.locator("#text").input_value()
    await reach(page, "#text")
    await page.keyboard.press("Control+A")
    await page.keyboard.insert_text(text.replace("below_c = 8", "below_c = 1").replace("from_c = 15", "from_c = 1"))
    await press(page, SUBMIT)
    await expect(page.get_by_text("1 verdict of 1 would be another.")).to_be_visible()
    sides = page.locator(".trip .sides .badge")
    assert [said.strip() for said in await sides.all_inner_texts()][:1] == ["Reject"]
    newest = rooms.registry.profile("potassium")
    assert newest is not None
    assert newest.version == 1


async def test_somebody_new_and_nothing_is_cut_off_on_a_phone(rooms: Rooms, page: Page) -> None:
    await page.goto("/setup/people/new")
    await fill(page, name="kari", printed_name="Kari Nordmann", password="ni rolige rein", again="ni rolige rein")
    await reach(page, "#role-receiver")
    await page.keyboard.press("Space")
    await press(page, SUBMIT)
    await expect(page.get_by_text("The account is made.")).to_be_visible()
    account = rooms.accounts.account("kari")
    assert account is not None
    assert account.roles == {Role.RECEIVER}
    await page.set_viewport_size({"width": 360, "height": 740})
    for path in (
        "/setup",
        "/setup/boxes/edit?code=BOX-1",
        f"/setup/loggers/one?address={LOGGER}",
        "/setup/gateways/one?name=van-1",
        "/setup/consignments/new",
        "/setup/consignments/import",
        "/setup/profiles/edit?id=potassium",
        "/setup/people/one?name=kari",
        "/setup/choices",
    ):
        await page.goto(path)
        width = await page.evaluate("() => document.documentElement.scrollWidth")
        assert width <= 360, path
