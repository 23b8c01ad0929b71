"""The pages of quality staff in a real browser: by keys alone, on a phone, and in another zone."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from gateway.core.configuration import Box, Calibration, Logger
from gateway.hub.access import passwords
from gateway.hub.access.roles import Role
from gateway.hub.breaches.lifecycle import ReviewState
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.hub.web.quality.explorer import has_chart_library
from tests.hub.review.reviewing import Ward
from tests.hub.vans import LOGGER, Van, iso, observe
from tests.waiting import LIMIT_MS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CLOCK = {"start": iso(0), "stop": iso(7200), "rate": 1e5, "anchor_ns": 0}
PASSWORD = "ni rolige elger"
TABS_MAX = 80
ANOTHER = "C0:FF:EE:00:00:42"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
with_library = pytest.mark.skipif(
    not has_chart_library(), reason="built without uPlot: python hatch_build.py brings it"
)


@pytest.fixture
async def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rooms]:
    monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=1, memory_cost=64))
    opened = open_rooms(HubSettings(data_dir=tmp_path, demonstration=True, clock=CLOCK, language="en"))  # type: ignore[arg-type]  pydantic reads it
    opened.accounts.add("kari", "Kari Kvalitet", [Role.QUALITY], "setup", password=PASSWORD)
    Ward(opened.store).judge((10, 30), (40, 50), (55, None))
    calibration = Calibration(certificate="K", calibrated_at=iso(-86400), due_at=iso(86400))
    opened.registry.put_box(Box(code="BOX-1"), "test")
    opened.registry.put_logger(Logger(address=LOGGER, box="BOX-1", calibration=calibration), "test")
    opened.registry.put_logger(Logger(address=ANOTHER, calibration=calibration), "test")
    van = Van()
    for i in range(121):
        van.seal(observe(30 * i, 6.0, logger=ANOTHER, counter=i))
        if not 40 <= i < 80:  # nothing from 20 to 40 minutes
            van.seal(observe(30 * i, 5.0 + i % 2, counter=i))
    opened.enrolment.enrol(van.name, opened.enrolment.issue_code(van.name, "test"), van.key.public_bytes)
    opened.ingest.take(van.deliveries())
    yield opened
    opened.store.close()


@pytest.fixture
async def address(rooms: Rooms) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(create_app(rooms), port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    rooms.closing.set()
    server.should_exit = True
    await serving


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=LIMIT_MS)
        yield opened
        await opened.close()


@pytest.fixture
async def page(browser: Browser, address: str, rooms: Rooms) -> AsyncIterator[Page]:
    # Another zone than the hospital's: nothing that is shown may follow it.
    context = await browser.new_context(base_url=address, locale="en-GB", timezone_id="America/New_York")
    secret = rooms.sessions.open(rooms.accounts.check("kari", PASSWORD)).secret
    await context.add_cookies([{"name": "coldchain", "value": secret, "url": address}])
    opened = await context.new_page()
    opened.set_default_timeout(LIMIT_MS)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
    yield opened
    assert wrong == []


async def tab_to(page: Page, wanted: Locator) -> None:
    await wanted.wait_for()
    for _ in range(TABS_MAX):
        if await wanted.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    pytest.fail(f"{wanted} cannot be reached with Tab")


async def press(page: Page, name: str) -> None:
    await tab_to(page, page.get_by_role("button", name=name, exact=True))
    await page.keyboard.press("Enter")


async def test_from_the_queue_to_a_signature_by_keys_alone(page: Page, rooms: Rooms) -> None:
    await page.goto("/review?sort=oldest")
    await expect(page.locator("#keys")).to_be_visible(timeout=LIMIT_MS)
    for key in ("j", "j", "k"):
        await page.keyboard.press(key)
    await expect(page.locator("a.opens").first).to_be_focused(timeout=LIMIT_MS)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/review/1")
    await press(page, "Acknowledge")
    await press(page, "Begin the review")
    await tab_to(page, page.get_by_label("Root cause", exact=True))
    await page.keyboard.type("Box left")
    await tab_to(page, page.get_by_label("Corrective action", exact=True))
    await page.keyboard.type("Staff")
    await press(page, "Store cause and action")
    await press(page, "Close the review")
    await tab_to(page, page.get_by_label("Your password, again"))
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Holds: what was signed is what is stored.")).to_be_visible(timeout=LIMIT_MS)
    review = rooms.reviews.review(1)
    (concluded,) = (record for record in review.records if record.event == "conclude")
    assert concluded.document == {"cause": "box_open", "action": "trained"}
    assert [(one.printed_name, one.holds) for one in review.signatures] == [("Kari Kvalitet", True)]


async def test_several_are_acknowledged_by_keys(page: Page, rooms: Rooms) -> None:
    await page.goto("/review?sort=oldest")
    await expect(page.locator("#keys")).to_be_visible(timeout=LIMIT_MS)
    for key in ("j", "x", "j", "x"):
        await page.keyboard.press(key)
    await expect(page.locator("#picked")).to_have_text("2 selected", timeout=LIMIT_MS)
    await page.keyboard.press("a")
    await expect(page.locator("#reason")).to_be_focused(timeout=LIMIT_MS)
    await page.keyboard.type("jax is typed, and moves nothing")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Acknowledged", exact=True).last).to_be_visible(timeout=LIMIT_MS)
    states = [rooms.reviews.review(number).standing.state for number in (1, 2, 3)]
    assert states == [ReviewState.ACKNOWLEDGED, ReviewState.ACKNOWLEDGED, ReviewState.OPEN]


async def test_on_a_phone_nothing_is_cut_off(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    for path in ("/review", "/review/1", "/indicators?by=box", f"/explore?logger={LOGGER}&since={iso(0)[:16]}Z"):
        answer = await page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= 360, path
        if path == "/review/1":
            # The gap from 20 to 40 minutes is hatched, and what nothing was judged of is shaded as it was flagged.
            assert await page.locator("svg.trace .gap").count() > 0
            assert await page.locator("svg.trace .excursion").count() > 0


@with_library
async def test_the_explorer_zooms_in_norways_time_and_a_gap_stays_a_gap(page: Page) -> None:
    since, until = (iso(at_s).replace("+00:00", "Z") for at_s in (0, 3600))
    # Beside a logger that was heard all the time, a gap is one as well.
    await page.goto(f"/explore?logger={LOGGER}&logger={ANOTHER}&since={since}&until={until}")
    figure = page.locator("#explorer[data-ready]")
    await figure.wait_for()
    over = page.locator(".u-over")
    await over.scroll_into_view_if_needed()
    box = await over.bounding_box()
    assert box is not None
    gap, measured = [await drawn_at(page, part) for part in (0.5, 0.1)]
    assert gap == 0
    assert measured > 0
    await page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] / 2)
    # START_MS is 2026-06-21T00:00 UTC: two hours later in Norway, four earlier in New York.
    await expect(page.locator(".u-legend .u-value").first).to_contain_text(":06 +02:00", timeout=LIMIT_MS)
    first = await figure.get_attribute("data-ready")
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2, steps=5)
    await page.mouse.up()
    await expect(figure).not_to_have_attribute("data-ready", first or "", timeout=LIMIT_MS)
    assert "since=" in page.url
    assert "%2B02%3A00" in page.url


@with_library
async def test_the_explorer_draws_the_limits_of_a_profile_behind_the_lines(page: Page) -> None:
    since, until = (iso(at_s).replace("+00:00", "Z") for at_s in (0, 3600))
    for profile, is_drawn in (("", False), ("storage-2-8", True)):
        await page.goto(f"/explore?logger={LOGGER}&since={since}&until={until}&profile={profile}")
        await page.locator("#explorer[data-ready]").wait_for()
        # In the gap nothing hides them: 2 °C to 8 °C of what is shown from 1 °C to 9 °C.
        band, limit = [await share_of(page, token) for token in ("--band", "--limit")]
        assert (band > 0, limit > 0) == (is_drawn, is_drawn)
    assert 0.7 < band < 0.76


async def share_of(page: Page, token: str) -> float:
    """How much of the picture's middle is of a colour of the style sheet."""
    share: float = await page.evaluate(
        """token => {
            const canvas = document.querySelector('#chart canvas');
            const over = document.querySelector('.u-over').getBoundingClientRect();
            const whole = canvas.getBoundingClientRect();
            const scale = canvas.width / whole.width;
            const rgb = getComputedStyle(document.documentElement).getPropertyValue(token).trim();
            const wanted = [1, 3, 5].map((at) => parseInt(rgb.slice(at, at + 2), 16));
            const left = Math.round((over.left - whole.left + over.width * 0.45) * scale);
            const size = [over.width * 0.1, over.height].map((one) => Math.round(one * scale));
            const top = Math.round((over.top - whole.top) * scale);
            const pixels = canvas.getContext('2d').getImageData(left, top, ...size).data;
            let found = 0;
            for (let i = 0; i < pixels.length; i += 4) {
                if (wanted.every((one, at) => Math.abs(pixels[i + at] - one) < 4)) found++;
            }
            return found / (size[0] * size[1]);
        }""",
        token,
    )
    return share


async def drawn_at(page: Page, part: float) -> int:
    """How many pixels of the first line's colour stand in one column of the picture."""
    count: int = await page.evaluate(
        """part => {
            const canvas = document.querySelector('#chart canvas');
            const over = document.querySelector('.u-over').getBoundingClientRect();
            const whole = canvas.getBoundingClientRect();
            const scale = canvas.width / whole.width;
            const x = Math.round((over.left - whole.left + over.width * part) * scale);
            const top = Math.round((over.top - whole.top) * scale);
            const pixels = canvas.getContext('2d').getImageData(x, top, 3, Math.round(over.height * scale)).data;
            let found = 0;
            for (let i = 0; i < pixels.length; i += 4) {
                if (pixels[i + 3] > 60 && pixels[i + 2] - pixels[i] > 60) found++;
            }
            return found;
        }""",
        part,
    )
    return count
