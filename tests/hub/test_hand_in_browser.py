"""Handing in on a telephone, in a real browser: the code behind the # reaches the hub and no address."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from gateway.hub.hand_in.desk import Order
from gateway.hub.rooms import Rooms
from tests.hub.test_bench_browser import CHROMIUM, page, rooms
from tests.waiting import LIMIT_MS

__all__ = ["page", "rooms"]

TARGET_PX = 24
"""The least that WCAG 2.2 asks of a target (2.5.8)."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


async def test_two_labels_scanned_one_after_the_other(rooms: Rooms, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    first, second = rooms.hand_ins.make(Order("BOX-1", 24, None, "potassium"), "kari", count=2)
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto(f"/hand-in#{first.code}")
    await expect(page.get_by_text("Hand-in 1,")).to_be_visible(timeout=LIMIT_MS)
    await page.goto(f"/hand-in#{second.code}")
    await expect(page.get_by_text("Hand-in 2,")).to_be_visible(timeout=LIMIT_MS)
    assert await page.evaluate("() => document.documentElement.scrollWidth") <= 360
    for choice in await page.locator(".choice").all():
        box = await choice.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= TARGET_PX
    await page.get_by_label("What is in the box").fill("TUBE-7\nTUBE-8")
    await page.get_by_label("15 min ago").check()
    await page.get_by_label("Taxi").check()
    await page.get_by_label("Where it is left").fill("the shelf")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Handed in")).to_be_visible(timeout=LIMIT_MS)
    assert [one.number for one in rooms.hand_ins.listed() if one.handed_in_at_ms is not None] == [2]
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("heading", name="Hand in box BOX-1")).to_be_visible(timeout=LIMIT_MS)
    assert not [url for url in asked if second.code in url.partition("#")[0]]
    assert second.code not in page.url
