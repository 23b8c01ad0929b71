"""A GPS receiver behind gpsd: its time, and, where that is asked for, its position.

A client of gpsd's JSON (gpsd_json(5)) on its socket: the two fields that matter, asynchronously, and so that nothing
that was read can be logged. Positions go to whoever detects stops and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.mqtt import backoff_s
from gateway.vehicle.stops import Fix

log = logging.getLogger(__name__)

LINE_BYTES_MAX = 64 * 1024
"""gpsd's longest reports (all satellites in view) take some 10 KiB."""
SILENCE_S = 60.0
"""Real seconds without any report: gpsd sends one a second while its receiver is there; then connect anew."""
PAUSE_MAX_S = 60.0
DELAY_MS = 1000
"""A report says when the fix was, and arrives up to a second later over a serial line without PPS (gpsd's Time Service
HOWTO); so much is added to the receiver's own estimate."""
FIX_2D = 2
_WATCH = b'?WATCH={"enable":true,"json":true};\n'


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """What a receiver said: UTC with a bound on its error, and the position if it was asked for. Never shown."""

    at_ms: int | None
    error_ms: int
    fix: Fix | None


def parse_report(line: bytes, *, position: bool) -> Report | None:
    """Read a line; None if it is no report of a fix. Without `position` coordinates are not even looked at."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("class") != "TPV":
        return None
    mode = said.get("mode")
    if not isinstance(mode, int) or mode < FIX_2D:
        return None
    at_ms, time_error_s = _time_ms(said.get("time")), _number(said.get("ept"))
    latitude, longitude = (_number(said.get("lat")), _number(said.get("lon"))) if position else (None, None)
    fix = None
    if latitude is not None and longitude is not None and abs(latitude) <= 90 and abs(longitude) <= 180:  # noqa: PLR2004  degrees
        errors = [error for name in ("eph", "epx", "epy") if (error := _number(said.get(name))) is not None]
        fix = Fix(latitude, longitude, max(errors, default=None))
    return Report(at_ms, DELAY_MS + round((time_error_s or 0.0) * 1000), fix)


class GpsReceiver:
    """Listens to gpsd for ever."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        position: bool,
        on_time: Callable[[int, int], None],
        on_fix: Callable[[Fix], None],
        rng: random.Random,
    ) -> None:
        self.connected = False
        self.reports = 0
        """Reports of a fix, since the start."""
        self._address = address
        self._position = position
        self._on_time = on_time
        self._on_fix = on_fix
        self._rng = rng

    async def run(self) -> None:
        """Connect, listen, connect anew."""
        failures = 0
        while True:
            before = self.reports
            try:
                await self._listen()
            except (OSError, TimeoutError, ValueError) as error:  # ValueError: a line without an end
                if failures == 0:
                    log.info("gpsd: %s", type(error).__name__)
            self.connected = False
            failures = 0 if self.reports > before else failures + 1
            await asyncio.sleep(backoff_s(failures, PAUSE_MAX_S, self._rng))

    async def _listen(self) -> None:
        reader, writer = await asyncio.open_connection(*self._address, limit=LINE_BYTES_MAX)
        try:
            writer.write(_WATCH)
            self.connected = True
            while True:
                async with asyncio.timeout(SILENCE_S):
                    line = await reader.readline()
                if not line:
                    return
                self._take(parse_report(line, position=self._position))
        finally:
            writer.close()

    def _take(self, report: Report | None) -> None:
        if report is None:
            return
        self.reports += 1
        if report.at_ms is not None:
            self._on_time(report.at_ms, report.error_ms)
        if report.fix is not None:
            self._on_fix(report.fix)


def _time_ms(text: object) -> int | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else round(moment.timestamp() * 1000)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
