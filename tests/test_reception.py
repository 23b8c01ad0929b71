"""A box that came by taxi, with real processes: handed in by a one-time code, read out at the reception, judged.

Nobody hears its logger for two hours. Somebody without an account hands the box in; the laboratory scans and receives
it before the gateway at the reception has heard it; the page that is open turns to the verdict by itself, from the
logger's memory. The logger is simulated, all else is real: gateway, hub, broker, Chromium.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from gateway.core.exposure import to_ms
from gateway.demo.company import Company
from gateway.hub.access.tokens import ADMIN_TOKEN_FILE
from tests.faults.rounds import begun, until
from tests.test_home_visit import CHROMIUM, page, scan
from tests.waiting import LIMIT_MS

__all__ = ["page"]

SCENARIO = Path(__file__).with_name("reception.toml")
RECEIVED_MS = to_ms(datetime.fromisoformat("2026-03-10T09:15:00+01:00"))

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (tools/system-packages test)")


async def make_code(company: Company) -> str:
    """Say that the gateway stands at the reception, as its administrator would, and make a code for the box."""
    token = (company.folder / "hub" / ADMIN_TOKEN_FILE).read_text(encoding="ascii").strip()
    known = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=company.hub_url, headers=known, trust_env=False, timeout=30) as admin:
        placed = await admin.put("/api/v1/gateways/BENCH-1/placement", json={"reception": True})
        placed.raise_for_status()
        made = await admin.post("/api/v1/hand-ins", json={"box": "BOX-1", "hours": 24})
        return str(made.raise_for_status().json()["code"])


async def hand_in(company: Company, code: str) -> None:
    """Hand the box in by telephone: nobody is logged in there."""
    stranger = {"X-Forwarded-For": "203.0.113.7"}
    async with httpx.AsyncClient(base_url=company.hub_url, headers=stranger, trust_env=False, timeout=30) as phone:
        opened = await phone.post("/hand-in/open", data={"code": code}, follow_redirects=True)
        assert opened.status_code == 200, opened.text
        stated = {"items": "T-1\nT-2", "collected": "0", "since": "collected", "handler": "taxi", "place": "the shelf"}
        done = await phone.post("/hand-in", data={"number": "1", **stated})
        assert done.status_code == 303, done.text


async def test_a_box_without_a_vehicle_is_read_out_at_the_reception(page: Page, tmp_path: Path) -> None:
    async with begun(tmp_path, lambda folder, stack: None, SCENARIO) as company:
        await company.timing.until(company.timing.start_ms)
        await hand_in(company, await make_code(company))
        await company.timing.until(RECEIVED_MS)
        await page.goto(f"{company.hub_url}/bench")
        await scan(page, "T-1")
        await expect(page.get_by_role("heading", name="HAND-IN-1")).to_be_visible(timeout=LIMIT_MS)
        await scan(page, "+RECEIVE")
        await expect(page.get_by_text("Received", exact=True)).to_be_visible(timeout=LIMIT_MS)
        loads: list[str] = []
        page.on("framenavigated", lambda frame: loads.append(frame.url))
        # Nobody touches the page from here on.
        await expect(page.get_by_role("heading", name="Accept K")).to_be_visible(timeout=LIMIT_MS)
        await expect(page.get_by_text("fetched later from the logger")).to_be_visible(timeout=LIMIT_MS)

        async def is_calm() -> bool:
            return await page.locator(".behind").count() == 0

        await until(is_calm)
        assert loads == []
