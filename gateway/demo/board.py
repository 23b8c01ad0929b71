"""What is seen of the trip while it runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from types import TracebackType
from typing import Protocol, Self

from rich.box import SIMPLE
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

STALE_AFTER_MS = 300_000
"""A box not heard for five minutes of domain time is shown as silent."""
PLAIN_EVERY_MS = 900_000
"""Plain lines come every quarter of an hour of domain time: twenty for the day."""
EVENTS_SHOWN = 8

VERDICT_COLOURS = {"accept": "green", "review": "yellow", "insufficient_data": "magenta", "reject": "red"}
VERDICT_WORDS = {
    "accept": "Accept",
    "review": "Review",
    "insufficient_data": "Insufficient data",
    "reject": "Reject",
}


@dataclass(frozen=True, slots=True)
class BoxView:
    """One line of the table. `verdicts` are the hub's so far, worst first; `breaches` the rules that are broken."""

    code: str
    label: str
    temperature_c: float | None
    heard_at_ms: int | None
    verdicts: tuple[str, ...] = ()
    breaches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The trip at a moment of domain time.

    waiting   segments in the outbox that the hub has not acknowledged
    missing   stretches that are to be fetched from loggers' memories
    archived  segments that the hub holds
    """

    at_ms: int
    boxes: Sequence[BoxView]
    waiting: int
    missing: int
    archived: int
    is_link_up: bool
    is_vehicle_up: bool
    breaches: int
    alerts: int


class Board(Protocol):
    """Shows snapshots and events; used as a context."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, snapshot: Snapshot) -> None:
        """Show how things stand."""

    def tell(self, at_ms: int, text: str) -> None:
        """Show something that happened."""


class PlainBoard:
    """One line for each event, and one for each quarter of an hour of domain time."""

    def __init__(self, console: Console, zone: tzinfo) -> None:
        self._console = console
        self._zone = zone
        self._next_ms: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""

    def show(self, snapshot: Snapshot) -> None:
        """Print a line if a quarter of an hour has passed."""
        if self._next_ms is not None and snapshot.at_ms < self._next_ms:
            return
        self._next_ms = (snapshot.at_ms // PLAIN_EVERY_MS + 1) * PLAIN_EVERY_MS
        boxes = "  ".join(f"{box.code} {_temperature(box, snapshot.at_ms)}" for box in snapshot.boxes)
        link = "up" if snapshot.is_link_up else "down"
        self._print(snapshot.at_ms, f"{boxes}  link {link}  outbox {snapshot.waiting}")

    def tell(self, at_ms: int, text: str) -> None:
        """Print the event."""
        self._print(at_ms, text)

    def _print(self, at_ms: int, text: str) -> None:
        self._console.print(f"{clock_face(at_ms, self._zone)}  {text}", highlight=False, markup=False, soft_wrap=True)


class LiveBoard:
    """A table that renews itself, with the last events below."""

    def __init__(self, console: Console, zone: tzinfo, title: str) -> None:
        self._zone = zone
        self._title = title
        self._events: deque[tuple[int, str]] = deque(maxlen=EVENTS_SHOWN)
        self._snapshot: Snapshot | None = None
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Renew the table."""
        self._snapshot = snapshot
        self._renew()

    def tell(self, at_ms: int, text: str) -> None:
        """Add an event below the table."""
        self._events.append((at_ms, text))
        self._renew()

    def _renew(self) -> None:
        self._live.update(render(self._snapshot, list(self._events), self._title, self._zone), refresh=True)


def render(snapshot: Snapshot | None, events: Sequence[tuple[int, str]], title: str, zone: tzinfo) -> Group:
    """Return the table, the line below it, and the events."""
    lines = [Text.assemble((clock_face(at_ms, zone), "dim"), "  ", text) for at_ms, text in events]
    if snapshot is None:
        return Group(Text(title, style="bold"), *lines)
    return Group(_table(snapshot, title, zone), _footing(snapshot), Text(), *lines)


def _table(snapshot: Snapshot, title: str, zone: tzinfo) -> Table:
    face = clock_face(snapshot.at_ms, zone)
    table = Table(box=SIMPLE, title=f"{title}   {face}", title_justify="left", title_style="bold")
    table.add_column("Box", no_wrap=True)
    table.add_column("Carries", no_wrap=True)
    table.add_column("°C", justify="right", no_wrap=True, min_width=6)
    table.add_column("Heard", no_wrap=True, min_width=12)
    table.add_column("Verdict so far", min_width=17)
    table.add_column("Breach", min_width=12)
    for box in snapshot.boxes:
        silent = is_silent(box, snapshot.at_ms)
        table.add_row(
            box.code,
            box.label,
            Text("–" if box.temperature_c is None else f"{box.temperature_c:.1f}", style="dim" if silent else "bold"),
            Text(_heard(box, snapshot.at_ms), style="magenta" if silent else "dim"),
            _verdicts(box.verdicts),
            Text(", ".join(box.breaches), style="red"),
        )
    return table


def _footing(snapshot: Snapshot) -> Text:
    link = ("up", "green") if snapshot.is_link_up else ("down: no network", "red")
    vehicle = ("on", "green") if snapshot.is_vehicle_up else ("no power", "red")
    return Text.assemble(
        *("link ", link, "   vehicle ", vehicle),
        f"   outbox {snapshot.waiting} segments, hub {snapshot.archived}   to fetch {snapshot.missing} stretches",
        f"   breaches {snapshot.breaches}   alerts {snapshot.alerts}",
    )


def _verdicts(verdicts: Sequence[str]) -> Text:
    words = [(VERDICT_WORDS.get(verdict, verdict), VERDICT_COLOURS.get(verdict, "")) for verdict in verdicts]
    return Text(", ").join(Text(word, style=style) for word, style in words)


def _temperature(box: BoxView, at_ms: int) -> str:
    if box.temperature_c is None:
        return "–"
    return f"{box.temperature_c:.1f}" + (" (silent)" if is_silent(box, at_ms) else "")


def _heard(box: BoxView, at_ms: int) -> str:
    if box.heard_at_ms is None:
        return "not yet"
    minutes = (at_ms - box.heard_at_ms) // 60_000
    return "now" if at_ms - box.heard_at_ms < STALE_AFTER_MS else f"{minutes} min ago"


def is_silent(box: BoxView, at_ms: int) -> bool:
    """Whether nothing was heard of the box for a while."""
    return box.heard_at_ms is None or at_ms - box.heard_at_ms >= STALE_AFTER_MS


def zone_of(moment: datetime) -> tzinfo:
    """Return the offset that a moment is written with."""
    return moment.tzinfo or UTC


def clock_face(at_ms: int, zone: tzinfo) -> str:
    """Return the time of day."""
    return datetime.fromtimestamp(at_ms / 1000, zone).strftime("%H:%M")
