"""The loggers as they stand: where they are, when they were heard last, what they need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import Connection, select

from gateway.core.assignments import offset_at
from gateway.core.configuration import Logger
from gateway.core.observations import Observation
from gateway.core.upkeep import Need, calibration_need, is_battery_low
from gateway.hub.database.rows import read_loggers
from gateway.hub.database.schema import logger_hours
from gateway.hub.database.store import Store
from gateway.hub.record.archive import Archive
from gateway.hub.record.index import HOUR_MS
from gateway.hub.record.logger_faults import read_faults
from gateway.hub.times import to_datetime

LOOK_BACK_MS = 600_000
"""Of the last ten minutes the newest voltage is taken: records of a memory bear none."""


class LoggerState(BaseModel):
    """One logger. `temperature_c` is corrected by its certificate; `faults` says since when each lasts."""

    logger: Logger
    heard_at: datetime | None
    temperature_c: float | None
    battery_mv: int | None
    faults: dict[str, datetime]
    needs: list[Need]


class Fleet:
    """Reads. Blocking: call it from a thread."""

    def __init__(self, store: Store, archive: Archive, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._archive = archive
        self._now_ms = now_ms

    def states(self) -> list[LoggerState]:
        """Return every logger, by address."""
        now = to_datetime(self._now_ms())
        with self._store.read() as connection:
            loggers, faults = read_loggers(connection), read_faults(connection)
            hours = {logger.address: _newest_hour(connection, logger.address) for logger in loggers}
        return [self._state(logger, hours[logger.address], faults.get(logger.address, {}), now) for logger in loggers]

    def state(self, logger: Logger) -> LoggerState:
        """Return how one logger stands."""
        with self._store.read() as connection:
            faults, hour = read_faults(connection).get(logger.address, {}), _newest_hour(connection, logger.address)
        return self._state(logger, hour, faults, to_datetime(self._now_ms()))

    def needs(self) -> Counter[Need]:
        """Count the loggers in boxes that need something."""
        return Counter(need for state in self.states() for need in state.needs)

    def _state(self, logger: Logger, hour: int | None, faults: dict[str, int], now: datetime) -> LoggerState:
        last, millivolts = None, None
        if hour is not None:
            begins_ms = hour * HOUR_MS
            observations = self._archive.observations(logger.address, begins_ms - LOOK_BACK_MS, begins_ms + HOUR_MS)
            ordered = sorted(observations, key=lambda observation: observation.measured_at_ms)
            last = ordered[-1] if ordered else None
            fresh = [o for o in ordered if last is not None and o.measured_at_ms >= last.measured_at_ms - LOOK_BACK_MS]
            millivolts = next((o.battery_mv for o in reversed(fresh) if o.battery_mv is not None), None)
        due = calibration_need(logger, now)
        needs = [] if due is None else [due]
        if _needs_battery(last, millivolts, was_low="battery_low" in faults):
            needs.append(Need.BATTERY_LOW)
        return LoggerState(
            logger=logger,
            heard_at=None if last is None else to_datetime(last.measured_at_ms),
            temperature_c=None if last is None else _corrected_c(logger, last),
            battery_mv=millivolts,
            faults={code: to_datetime(at_ms) for code, at_ms in faults.items()},
            needs=needs,
        )


def _needs_battery(last: Observation | None, millivolts: int | None, *, was_low: bool) -> bool:
    """By the voltage heard last; a logger that tells none is low if its gateway said so."""
    if millivolts is None or last is None:
        return was_low
    return is_battery_low(millivolts, None, temperature_mc=last.temperature_mc, was_low=was_low)


def _corrected_c(logger: Logger, observation: Observation) -> float:
    return round(observation.temperature_mc / 1000 + offset_at(logger, observation.measured_at_ms), 2)


def _newest_hour(connection: Connection, logger: str) -> int | None:
    """Return the last hour since 1970 of which the archive has anything of a logger."""
    entry = logger_hours.c
    newest = select(entry.hour).where(entry.logger == logger, entry.places != 0).order_by(entry.hour.desc()).limit(1)
    return connection.execute(newest).scalar()
