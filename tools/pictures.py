"""Make the README's pictures from a running demonstration: the live table as SVG, the bench page with Chromium.

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
import subprocess
import sys
import time
from datetime import tzinfo
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from rich.console import Console

from gateway.demo.board import PlainBoard, Snapshot, clock_face, render, zone_of
from gateway.demo.stage import Options, default_scenario, run_demo
from gateway.demo.trip import Trip

IMAGES = Path(__file__).parents[1] / "docs" / "images"
TABLE_AT = "11:40"
"""In the dead zone: the outbox grows, two breaches are known, one logger is silent."""
BENCH_BOX = "BOX-5"
WIDTH = 110
_FONT_FACE = re.compile(r"@font-face {.*?}\s*", re.DOTALL)
"""A picture in a README fetches no fonts from elsewhere; the reader's monospace font does."""


class PictureBoard:
    """Shows plain lines, and draws the live table once."""

    def __init__(self, console: Console, zone: tzinfo, title: str) -> None:
        self._plain = PlainBoard(console, zone)
        self._zone = zone
        self._title = title
        self._events: list[tuple[int, str]] = []
        self._is_drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""

    def show(self, snapshot: Snapshot) -> None:
        """Draw the table when its time has come."""
        self._plain.show(snapshot)
        if not self._is_drawn and clock_face(snapshot.at_ms, self._zone) >= TABLE_AT:
            self._is_drawn = True
            console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
            console.print(render(snapshot, self._events[-8:], self._title, self._zone))
            svg = _FONT_FACE.sub("", console.export_svg(title="coldchain demo"))
            (IMAGES / "demo.svg").write_text(svg, encoding="utf-8")

    def tell(self, at_ms: int, text: str) -> None:
        """Keep the event for the table."""
        self._plain.tell(at_ms, text)
        self._events.append((at_ms, text))


def _photograph(account: Path) -> None:
    """Wait until the demonstration serves its pages, take the bench's picture, and end it. Runs in a thread."""
    while not account.exists():
        time.sleep(0.5)
    page = json.loads(account.read_text(encoding="utf-8"))["pages"][BENCH_BOX]
    command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", "--force-device-scale-factor=1.5"]
    command += ["--window-size=1000,1250", f"--screenshot={IMAGES / 'bench.png'}", page]
    subprocess.run(command, check=False, stderr=subprocess.DEVNULL)  # noqa: S603  our own page
    os.kill(os.getpid(), signal.SIGINT)


async def _make_pictures() -> bool:
    console = Console(width=120)

    def open_board(trip: Trip) -> PictureBoard:
        start = trip.clock.start
        return PictureBoard(console, zone_of(start), f"{trip.demo.gateway}, {start:%A} {start.day} {start:%B %Y}")

    with TemporaryDirectory() as folder:
        account = Path(folder) / "account.json"
        photograph = asyncio.create_task(asyncio.to_thread(_photograph, account))
        is_good = await run_demo(Options(default_scenario(), json=account), console, open_board)
        await photograph
    return is_good


if __name__ == "__main__":
    if shutil.which("chromium") is None:
        sys.exit("chromium is needed for the picture of the bench page")
    IMAGES.mkdir(parents=True, exist_ok=True)
    sys.exit(0 if asyncio.run(_make_pictures()) else 1)
