"""Make the README's pictures from a running demonstration: the live table as SVG, pages with Chromium, a report.

usage: .venv/bin/python tools/pictures.py      (needs `chromium` on the PATH)
"""
# ruff: noqa: INP001  a script beside the packages, not in one

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import signal
import struct
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from urllib.request import urlopen

import pypdfium2
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console

from gateway.demo.board import PlainBoard, Snapshot, clock_face, render, zone_of
from gateway.demo.stage import Options, default_scenario, run_demo
from gateway.demo.trip import Trip

IMAGES = Path(__file__).parents[1] / "docs" / "images"
TABLE_AT = "11:40"
"""In the dead zone: the outbox grows, two breaches are known, one logger is silent."""
BENCH_BOX, CONSIGNMENT = "BOX-5", "SEND-5"
"""The vaccine whose box was left open."""
LOADED = ("BOX-1", "BOX-3", "BOX-5", "BOX-6")
KEPT, ACCOUNT = "day", "account.json"
CHROMIUM = shutil.which("chromium")
SCALE = 1.0
"""Pixels of a picture for each of the page: with more, pictures grow above 150 kB."""
REPORT_WIDTH = 800
PATIENCE_MS = 120_000
WIDTH = 110
_FONT_FACE = re.compile(r"@font-face {.*?}\s*", re.DOTALL)
"""A picture in a README fetches no fonts from elsewhere; the reader's monospace font does."""


@dataclass(frozen=True, slots=True)
class Day:
    """How far the day is: begun, and at the moment of the table."""

    begun: Event = field(default_factory=Event)
    table: Event = field(default_factory=Event)


class PictureBoard:
    """Shows plain lines, and draws the live table once."""

    def __init__(self, console: Console, zone: tzinfo, title: str, day: Day) -> None:
        self._plain = PlainBoard(console, zone)
        self._zone = zone
        self._title = title
        self._events: list[tuple[int, str]] = []
        self._day = day

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""

    def show(self, snapshot: Snapshot) -> None:
        """Draw the table when its time has come."""
        self._plain.show(snapshot)
        self._day.begun.set()
        if not self._day.table.is_set() and clock_face(snapshot.at_ms, self._zone) >= TABLE_AT:
            self._day.table.set()
            console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
            console.print(render(snapshot, self._events[-8:], self._title, self._zone))
            svg = _FONT_FACE.sub("", console.export_svg(title="coldchain demo"))
            (IMAGES / "demo.svg").write_text(svg, encoding="utf-8")

    def tell(self, at_ms: int, text: str) -> None:
        """Keep the event for the table."""
        self._plain.tell(at_ms, text)
        self._events.append((at_ms, text))


class Photographer:
    """Opens pages as their readers do, in a thread of its own, and keeps what they look like."""

    def __init__(self, folder: Path, day: Day) -> None:
        self._folder = folder
        self._day = day

    def work(self) -> None:
        """Take the vehicle's screen while the day is played, the hub's pages after it, and end the demonstration."""
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                self._take_screen(browser)
                self._take_pages(browser)
                browser.close()
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    def _take_screen(self, browser: Browser) -> None:
        self._day.begun.wait()
        page = _open(browser, f"http://127.0.0.1:{self._vehicle_port()}/", 1000, 800)
        for code in ("DO-LOAD", "BADGE-7", *LOADED, "DO-LOOK"):
            page.keyboard.type(code)
            page.keyboard.press("Enter")
        page.locator(".tile").nth(len(LOADED) - 1).wait_for()
        self._day.table.wait()
        page.evaluate("scrollTo(0, 0)")
        _keep(page, "driver")

    def _take_pages(self, browser: Browser) -> None:
        account = self._folder / ACCOUNT
        while not account.exists():
            time.sleep(0.5)
        address = urlsplit(json.loads(account.read_text(encoding="utf-8"))["pages"][BENCH_BOX])
        hub = f"{address.scheme}://{address.netloc}"
        page = _open(browser, f"{hub}/bench?code={BENCH_BOX}", 1000, 1180)
        page.evaluate("document.activeElement.blur()")
        _keep(page, "bench")
        page = _open(browser, f"{hub}/review?code={CONSIGNMENT}", 1000, 1100)
        page.locator("a.opens").first.click()
        page.locator("svg.trace").wait_for()
        _keep(page, "review")
        with urlopen(f"{hub}/api/v1/consignments/{CONSIGNMENT}/report.pdf?language=en") as answer:  # noqa: S310  our own
            _keep_first_page(answer.read(), "report")

    def _vehicle_port(self) -> int:
        """The port that the vehicle announced when it came up."""
        lines = (self._folder / KEPT / "vehicle.log").read_text(encoding="utf-8").splitlines()
        announced = [line for line in lines if line.startswith("READY ")][-1]
        return int(json.loads(announced.removeprefix("READY "))["port"])


def _open(browser: Browser, address: str, width: int, height: int) -> Page:
    context = browser.new_context(
        locale="en-GB",
        timezone_id="Europe/Oslo",
        color_scheme="light",
        viewport={"width": width, "height": height},
        device_scale_factor=SCALE,
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(address)
    return page


def _keep(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / f"{name}.png")


def _keep_first_page(pdf: bytes, name: str) -> None:
    document = pypdfium2.PdfDocument(pdf)
    bitmap = document[0].render(scale=REPORT_WIDTH / document[0].get_width(), grayscale=False, rev_byteorder=True)
    pixels, stride = bytes(bitmap.buffer), bitmap.stride
    rows = [pixels[y * stride : y * stride + bitmap.width * bitmap.n_channels] for y in range(bitmap.height)]
    (IMAGES / f"{name}.png").write_bytes(_write_png(bitmap.width, bitmap.height, bitmap.n_channels, rows))
    document.close()


def _write_png(width: int, height: int, channels: int, rows: Sequence[bytes]) -> bytes:
    """Return a PNG (ISO/IEC 15948) of rows of RGB or RGBA, without filters: what is mostly white packs well so."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


async def _make_pictures() -> bool:
    console = Console(width=120)
    day = Day()

    def open_board(trip: Trip) -> PictureBoard:
        start = trip.clock.start
        return PictureBoard(console, zone_of(start), f"{trip.demo.gateway}, {start:%A} {start.day} {start:%B %Y}", day)

    with TemporaryDirectory() as name:
        folder = Path(name)
        photographer = asyncio.create_task(asyncio.to_thread(Photographer(folder, day).work))
        options = Options(default_scenario(), json=folder / ACCOUNT, keep=folder / KEPT)
        is_good = await run_demo(options, console, open_board)
        await photographer
    return is_good


if __name__ == "__main__":
    if CHROMIUM is None:
        sys.exit("chromium is needed for the pictures of pages")
    IMAGES.mkdir(parents=True, exist_ok=True)
    sys.exit(0 if asyncio.run(_make_pictures()) else 1)
