"""Faults of loggers, seen in what they say and in their silence. Pure: time comes in with each call.

A fault is put on record beside the readings; it never takes one away, and what it means is judged at the hub. Each is
an episode: one record when it begins, one (`…_over`) when it ends; `jumped`, `rebooted` and `replayed` are moments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.configuration import LoggerKind
from gateway.core.records import DeviceFault
from gateway.core.upkeep import is_battery_low
from gateway.vehicle.loggers.measurement import Measurement
from gateway.vehicle.moments import Moment

STUCK_S: Mapping[LoggerKind, int] = {LoggerKind.RUUVITAG: 1800, LoggerKind.REFERENCE: 1800, LoggerKind.BTHOME: 3600}
"""So long may new measurements agree in every digit. Sensors' noise (0.01 °C and more) is above the step of these
formats, so half an hour of it never agrees; a BTHome sensor may round to tenths and measure once a minute. Kinds that
tell tenths stand still for hours in a good box, and kinds without a number show a stuck sensor as silence."""
STUCK_MEASUREMENTS = 20
"""At least: a sensor that measures every ten minutes agrees with itself three times in half an hour by chance."""
JUMP_C = 3.0
JUMP_C_PER_S = 1.0
JUMP_WITHIN_S = 60
"""A jump is more than 3 °C and 1 °C for each second since the measurement before. A bare sensor follows the air with a
lag of a minute or more, so even 60 °C of difference move it by 1 °C/s at most. After a minute nothing can be said."""
SILENT_S = 900
"""A quarter of an hour without a new measurement. Every maker here measures at least once in ten minutes; shorter
silences are gaps of the record and shown as stale after two minutes."""
MOMENTS_APART_S = 600
"""A momentary fault of one code is recorded at most so often for one logger: it cannot flood the record."""
LOWEST_MC, HIGHEST_MC = -200_000, 150_000
"""Colder than a dry shipper in liquid nitrogen or hotter than an autoclave is no temperature of a transport box."""


@dataclass(slots=True)
class _Watched:
    """What is known of one logger."""

    kind: LoggerKind
    since_ms: int
    heard_ms: int | None = None
    measured: tuple[int, int] | None = None
    same: tuple[int, int | None] | None = None
    same_since_ms: int = 0
    same_count: int = 0
    present: dict[str, int] = field(default_factory=dict)
    """Codes of faults that last, and since when (monotonic ms)."""
    moments: dict[str, int] = field(default_factory=dict)


class FaultDetector:
    """Watches all enrolled loggers. Times inside are monotonic."""

    def __init__(self) -> None:
        self._loggers: dict[str, _Watched] = {}

    def enrol(self, kinds: Mapping[str, LoggerKind], moment: Moment) -> None:
        """Watch these loggers; one whose kind is as before is watched on."""
        known = self._loggers
        self._loggers = {
            logger: known[logger]
            if logger in known and known[logger].kind is kind
            else _Watched(kind, moment.monotonic_ms)
            for logger, kind in kinds.items()
        }

    def present(self, logger: str) -> tuple[str, ...]:
        """The codes of the faults that last."""
        watched = self._loggers.get(logger)
        return () if watched is None else tuple(sorted(watched.present))

    def hear(self, logger: str, measurement: Measurement, moment: Moment) -> list[DeviceFault]:
        """Take a new measurement; return what begins, ends or happens with it."""
        watched = self._loggers.get(logger)
        if watched is None:
            return []
        now_ms = moment.monotonic_ms
        faults = self._set(logger, watched, "silent", moment, is_there=False)
        watched.heard_ms = now_ms
        faults += self._see_battery(logger, watched, measurement, moment)
        temperature_mc = measurement.temperature_mc
        code_mc = measurement.code_mc
        if temperature_mc is not None and not LOWEST_MC <= temperature_mc <= HIGHEST_MC:
            code_mc = temperature_mc
        detail = {} if code_mc is None else {"code_mc": code_mc}
        is_out = code_mc is not None or temperature_mc is None
        faults += self._set(logger, watched, "out_of_range", moment, is_there=is_out, detail=detail)
        if temperature_mc is not None and not is_out:
            faults += self._see_jump(logger, watched, temperature_mc, moment)
            faults += self._see_stuck(logger, watched, measurement, temperature_mc, moment)
        return faults

    def tell(self, logger: str, code: str, moment: Moment, detail: Mapping[str, int]) -> list[DeviceFault]:
        """Return the record of a momentary fault, nothing if one like it was told just before."""
        watched = self._loggers.get(logger)
        if watched is None:
            return []
        last_ms = watched.moments.get(code)
        if last_ms is not None and moment.monotonic_ms - last_ms < MOMENTS_APART_S * 1000:
            return []
        watched.moments[code] = moment.monotonic_ms
        return [DeviceFault(moment.at_ms, moment.trusted, logger, code, dict(detail))]

    def look(self, moment: Moment) -> list[DeviceFault]:
        """Return the silences that begin."""
        faults = []
        for logger, watched in self._loggers.items():
            last_ms = watched.since_ms if watched.heard_ms is None else watched.heard_ms
            silent_ms = moment.monotonic_ms - last_ms
            if silent_ms >= SILENT_S * 1000:
                detail = {"silent_s": silent_ms // 1000}
                faults += self._set(logger, watched, "silent", moment, is_there=True, detail=detail)
        return faults

    def _see_battery(
        self, logger: str, watched: _Watched, measurement: Measurement, moment: Moment
    ) -> list[DeviceFault]:
        millivolts, percent = measurement.battery_mv, measurement.battery_pct
        if millivolts is None and percent is None and not measurement.battery_low:
            return []
        is_low = measurement.battery_low or is_battery_low(
            millivolts,
            percent,
            temperature_mc=measurement.temperature_mc,
            was_low="battery_low" in watched.present,
        )
        detail = {"battery_mv": millivolts, "battery_pct": percent}
        told = {name: value for name, value in detail.items() if value is not None}
        return self._set(logger, watched, "battery_low", moment, is_there=is_low, detail=told)

    def _see_jump(self, logger: str, watched: _Watched, temperature_mc: int, moment: Moment) -> list[DeviceFault]:
        before, watched.measured = watched.measured, (moment.monotonic_ms, temperature_mc)
        if before is None:
            return []
        passed_s = (moment.monotonic_ms - before[0]) / 1000
        step_mc = temperature_mc - before[1]
        if passed_s > JUMP_WITHIN_S or abs(step_mc) <= 1000 * (JUMP_C + JUMP_C_PER_S * passed_s):
            return []
        return self.tell(logger, "jumped", moment, {"step_mc": step_mc, "within_ms": round(passed_s * 1000)})

    def _see_stuck(
        self, logger: str, watched: _Watched, measurement: Measurement, temperature_mc: int, moment: Moment
    ) -> list[DeviceFault]:
        limit_s = STUCK_S.get(watched.kind)
        if limit_s is None:
            return []
        now = (temperature_mc, measurement.humidity_cpct)
        if now != watched.same:
            watched.same, watched.same_since_ms, watched.same_count = now, moment.monotonic_ms, 1
            return self._set(logger, watched, "stuck", moment, is_there=False)
        watched.same_count += 1
        same_ms = moment.monotonic_ms - watched.same_since_ms
        if same_ms < limit_s * 1000 or watched.same_count < STUCK_MEASUREMENTS:
            return []
        detail = {"same_s": same_ms // 1000, "temperature_mc": temperature_mc}
        return self._set(logger, watched, "stuck", moment, is_there=True, detail=detail)

    @staticmethod
    def _set(
        logger: str,
        watched: _Watched,
        code: str,
        moment: Moment,
        *,
        is_there: bool,
        detail: Mapping[str, int] | None = None,
    ) -> list[DeviceFault]:
        """Begin or end an episode; nothing if it is as before."""
        since_ms = watched.present.get(code)
        if is_there == (since_ms is not None):
            return []
        if since_ms is None:
            watched.present[code] = moment.monotonic_ms
            return [DeviceFault(moment.at_ms, moment.trusted, logger, code, dict(detail or {}))]
        del watched.present[code]
        lasted = {"lasted_s": (moment.monotonic_ms - since_ms) // 1000}
        return [DeviceFault(moment.at_ms, moment.trusted, logger, f"{code}_over", lasted)]
