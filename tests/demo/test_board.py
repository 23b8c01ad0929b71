"""The board shows each box, what is silent, and the road; plain lines come seldom."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC

from rich.console import Console

from gateway.demo.board import BoxView, LiveBoard, PlainBoard, Snapshot, render

HOUR_MS = 3_600_000
SNAPSHOT = Snapshot(
    at_ms=8 * HOUR_MS,
    boxes=[
        BoxView("BOX-1", "Potassium", 20.96, 8 * HOUR_MS - 30_000, ("accept",)),
        BoxView("BOX-2", "Cold", 5.1, 8 * HOUR_MS - 30_000, ("reject", "accept"), ("cold",)),
        BoxView("BOX-6", "Blood", 4.9, 8 * HOUR_MS - 1_500_000, ("insufficient_data",)),
        BoxView("BOX-7", "Empty", None, None, ()),
    ],
    waiting=3,
    missing=1,
    archived=110,
    is_link_up=False,
    is_vehicle_up=True,
    breaches=1,
    alerts=1,
)


def _console(*, terminal: bool = False) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, width=140, force_terminal=terminal, color_system=None), stream


def test_the_table_shows_every_box_and_the_road() -> None:
    console, stream = _console()
    console.print(render(SNAPSHOT, [(8 * HOUR_MS, "the lid of BOX-5 is open")], "VAN-1", UTC))
    text = stream.getvalue()
    for expected in (
        "VAN-1   08:00",
        "21.0",
        "25 min ago",
        "not yet",
        "Reject, Accept",
        "Insufficient data",
        "link down: no network   vehicle on   outbox 3 segments, hub 110   to fetch 1 stretches",
        "08:00  the lid of BOX-5 is open",
    ):
        assert expected in text


def test_plain_lines_come_each_quarter_and_for_each_event() -> None:
    console, stream = _console()
    with PlainBoard(console, UTC) as board:
        board.show(SNAPSHOT)
        board.show(replace(SNAPSHOT, at_ms=SNAPSHOT.at_ms + 60_000))
        board.tell(SNAPSHOT.at_ms + 120_000, "the network is gone")
        board.show(replace(SNAPSHOT, at_ms=SNAPSHOT.at_ms + 900_000, is_link_up=True))
    first, event, second = stream.getvalue().splitlines()
    assert first == ("08:00  BOX-1 21.0  BOX-2 5.1  BOX-6 4.9 (silent)  BOX-7 –  link down  outbox 3")
    assert event == "08:02  the network is gone"
    assert second.startswith("08:15")
    assert "link up" in second


def test_the_live_board_leaves_its_last_state_on_the_terminal() -> None:
    console, stream = _console(terminal=True)
    with LiveBoard(console, UTC, "VAN-1") as board:
        board.tell(0, "getting ready")
        board.show(SNAPSHOT)
    assert "BOX-6" in stream.getvalue()
