"""Files of Berlinger's Q-tag and Fridge-tag loggers, with single readings, daily summaries, or both.

The device measures every minute and logs every 5 or 10; its alarms and minutes come from the former, the readings are
the latter. Times are the device's own clock in the zone that the file states as `Zone`; a caller who knows better gives
a clock. A value of ``--.-`` means that the sensor did not answer: no reading, and time that was not monitored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta, timezone

from gateway.core.errors import InputError
from gateway.core.observations import Source
from gateway.core.readings import Reading
from gateway.core.verdicts import Gap
from gateway.importers.local_time import LocalClock
from gateway.importers.outline import Row, Section, Value, read_outline
from gateway.importers.recording import (
    AlarmKind,
    DaySummary,
    DeviceAlarm,
    DeviceFigures,
    DeviceLimit,
    Marker,
    Recording,
    SensorTimeout,
    Side,
)

FORM = "berlinger"
_MINUTE_MS = 60_000
_NO_VALUE = "--.-"
_ZONE = re.compile(r"([+-]?)(\d{1,2})\.(\d{2})")
_ZONE_MINUTES = {"00": 0, "15": 15, "25": 15, "30": 30, "45": 45, "50": 30, "75": 45}
"""Hours and minutes, or hours in decimals: no zone on Earth makes the two contradict each other."""
_TYPES = {
    "1": (AlarmKind.SINGLE, Side.LOW),
    "2": (AlarmKind.SINGLE, Side.HIGH),
    "3": (AlarmKind.CUMULATIVE, Side.LOW),
    "4": (AlarmKind.CUMULATIVE, Side.HIGH),
}
_TYPE_OFF = "0"
_DAILY_SIDES = {"0": Side.LOW, "1": Side.HIGH}
_TEMPERATURE_C = (-273.15, 200.0)


def is_berlinger(first_line: str) -> bool:
    """Say whether a file that begins like this is one of theirs."""
    return first_line.lstrip("\ufeff").startswith("Device: Q-tag")


def parse_berlinger(lines: Iterable[str], where: str, clock: LocalClock | None = None) -> Recording:
    """Return the recording that the lines of a file hold. `clock` replaces the zone that the file states.

    Raises InputError naming file, line and field.
    """
    root = read_outline(lines, where)
    device = root.find("Device")
    if device is None or not is_berlinger(f"Device: {device.text}"):
        raise InputError("Device", "not a file of a Q-tag or Fridge-tag", where=f"{where}:1")
    return _File(root, clock).recording()


class _File:
    """One file while it is read."""

    def __init__(self, root: Section, clock: LocalClock | None) -> None:
        self._root = root
        self._conf = root.part("Conf")
        self._conf.need("Serial")
        self._clock = clock or self._stated_clock()
        unit = self._conf.find("Temp unit")
        if unit is not None and unit.text not in {"C", "F"}:
            raise self._conf.fault("Temp unit", unit, f"{unit.text!r} is neither C nor F")
        self._fahrenheit = unit is not None and unit.text == "F"

    def recording(self) -> Recording:
        interval = self._conf.find("Logging Interval")
        interval_s = None if interval is None else _whole(self._conf, "Logging Interval", interval) * 60
        rows = list(self._rows())
        if rows and not interval_s:
            raise InputError("Conf.Logging Interval", "is missing, but there are readings", where=self._root.where)
        measured = [(at_ms, value_c) for at_ms, value_c in rows if value_c is not None]
        step_ms = (interval_s or 0) * 1000
        delay = self._conf.find("Start Delay")
        days = tuple(self._days())
        covered = [(rows[0][0], rows[-1][0] + step_ms)] if rows else [(day.begins_ms, day.ends_ms) for day in days]
        return Recording(
            form=FORM,
            device=self._root.need("Device").text,
            serial=self._conf.need("Serial").text,
            firmware=self._root.need("Fw Vers").text,
            interval_s=interval_s if rows else None,
            start_delay_s=None if delay is None else _whole(self._conf, "Start Delay", delay) * 60,
            zone=self._clock.zone,
            zone_name=self._clock.name,
            begins_ms=covered[0][0] if covered else None,
            ends_ms=covered[-1][1] if covered else None,
            readings=tuple(_reading(at_ms, value_c, interval_s or 0) for at_ms, value_c in measured),
            missing=tuple(_stretches([at_ms for at_ms, value_c in rows if value_c is None], step_ms)),
            limits=tuple(self._limits()),
            alarms=tuple(self._alarms()),
            figures=self._figures(),
            days=days,
            markers=tuple(self._markers()),
            notes=tuple(self._notes()),
        )

    def _stated_clock(self) -> LocalClock:
        value = self._conf.need("Zone")
        match = _ZONE.fullmatch(value.text)
        if match is None or match[3] not in _ZONE_MINUTES:
            raise self._conf.fault("Zone", value, f"{value.text!r} is no offset; state the zone with --timezone")
        offset = timedelta(hours=int(match[2]), minutes=_ZONE_MINUTES[match[3]])
        zone = timezone(-offset if match[1] == "-" else offset)
        return LocalClock(zone, f"{datetime.min.replace(tzinfo=zone).isoformat()[-6:]}, as the device states")

    def _rows(self) -> Iterator[tuple[int, float | None]]:
        """Yield (time, °C or None) of the single readings, which must be in order."""
        data = self._root.part("Data")
        before_ms = None
        for row in _below_header(data, "yyyy-MM-dd hh:mm"):
            if len(row.cells) < 2:  # noqa: PLR2004  a time and a temperature
                raise InputError("Data", "a reading needs a time and a temperature", where=f"{data.where}:{row.line}")
            at_ms = self._moment(data, "time", Value(row.cells[0], row.line), before_ms)
            if before_ms is not None and at_ms <= before_ms:
                raise InputError(
                    "Data.time",
                    f"{row.cells[0]} is not later than the reading before",
                    where=f"{data.where}:{row.line}",
                )
            before_ms = at_ms
            yield at_ms, self._temperature(data, "T", Value(row.cells[1], row.line))

    def _markers(self) -> Iterator[Marker]:
        section = self._root.part("Marker")
        for row in _below_header(section, "Number"):
            number, value_c, moment = (Value(cell, row.line) for cell in _three(section, row))
            yield Marker(
                _whole(section, "Number", number),
                self._moment(section, "time", moment),
                self._temperature(section, "T", value_c),
            )

    def _limits(self) -> Iterator[DeviceLimit]:
        section = self._conf.part("Alarm")
        for number, part in section.parts.items():
            kind, side = AlarmKind.SINGLE, _DAILY_SIDES.get(number)
            if self._is_q_tag:
                code = part.need("Type")
                if code.text == _TYPE_OFF:
                    continue
                if code.text not in _TYPES:
                    raise part.fault("Type", code, f"{code.text!r} is no known type of alarm")
                kind, side = _TYPES[code.text]
            if side is None:
                raise InputError(f"Conf.Alarm.{number}", "is no known alarm", where=f"{part.where}:{part.line}")
            limit_c = self._temperature(part, "T AL", part.need("T AL"))
            if limit_c is None:
                raise part.fault("T AL", part.need("T AL"), "an alarm needs a temperature")
            yield DeviceLimit(number, kind, side, limit_c, _whole(part, "t AL", part.need("t AL")))

    @property
    def _is_q_tag(self) -> bool:
        """A Q-tag sums up a trip (`Res`), a Fridge-tag each day (`Hist`)."""
        return "Hist" not in self._root.parts

    def _alarms(self) -> Iterator[DeviceAlarm]:
        """Yield a Q-tag's alarms: a line for each stretch, or one for all of a cumulative alarm."""
        limits = {limit.number: limit for limit in self._limits()}
        for number, part in self._root.part("Res").part("Alarm").parts.items():
            for entry in part.entries:
                if number not in limits:
                    raise InputError(f"Res.Alarm.{number}", "is not configured", where=f"{part.where}:{part.line}")
                line = part.inside(number, part.line)
                line.path, line.entries = part.path, [entry]
                extreme = line.find("T M")
                yield DeviceAlarm(
                    limit=limits[number],
                    minutes=_whole(line, "t A", line.need("t A")),
                    started_at_ms=self._optional_moment(line, "TS S"),
                    triggered_at_ms=self._optional_moment(line, "TS A"),
                    ended_at_ms=self._optional_moment(line, "TS E"),
                    extreme_c=None if extreme is None else self._temperature(line, "T M", extreme),
                    extreme_at_ms=self._optional_moment(line, "TS M"),
                )

    def _figures(self) -> DeviceFigures:
        res = self._root.part("Res")
        energy = self._conf.find("MKT Energy")
        return DeviceFigures(
            min_c=self._optional_temperature(res, "Min T"),
            min_at_ms=self._optional_moment(res, "TS Min T"),
            max_c=self._optional_temperature(res, "Max T"),
            max_at_ms=self._optional_moment(res, "TS Max T"),
            mean_c=self._optional_temperature(res, "Avrg T"),
            mkt_c=self._optional_temperature(res, "MKT"),
            mkt_energy_kj_mol=None if energy is None else _decimal(self._conf, "MKT Energy", energy),
        )

    def _days(self) -> Iterator[DaySummary]:
        """Yield the daily summaries, oldest first."""
        history = self._root.part("Hist")
        if not history.parts:
            return
        limits = {limit.number: limit for limit in self._limits()}
        began_ms = self._moment(history, "TS Actv", history.need("TS Actv"))
        read_ms = self._moment(history, "TS Report Creation", history.need("TS Report Creation"))
        for part in reversed(history.parts.values()):
            yield self._day(part, limits, began_ms, read_ms)

    def _day(self, part: Section, limits: dict[str, DeviceLimit], began_ms: int, read_ms: int) -> DaySummary:
        stated = part.need("Date")
        day = _date(part, stated)
        events = part.find("Events")
        return DaySummary(
            day=day,
            begins_ms=max(began_ms, self._midnight(part, stated, day)),
            ends_ms=min(read_ms, self._midnight(part, stated, day + timedelta(days=1))),
            min_c=self._optional_temperature(part, "Min T"),
            min_at_ms=self._time_of_day(part, "TS Min T", day),
            max_c=self._optional_temperature(part, "Max T"),
            max_at_ms=self._time_of_day(part, "TS Max T", day),
            mean_c=self._optional_temperature(part, "Avrg T"),
            alarms=tuple(
                self._daily_alarm(alarm, limits, day)
                for alarm in part.part("Alarm").parts.values()
                if alarm.find("t Acc") is not None
            ),
            timeouts=tuple(self._timeouts(part, day)),
            events=0 if events is None else _whole(part, "Events", events),
            checked_at_ms=tuple(
                self._local(checked, value, _at(checked, value, day))
                for checked in [part.part("Checked")]
                for entry in checked.entries
                for value in entry.values()
            ),
        )

    def _daily_alarm(self, part: Section, limits: dict[str, DeviceLimit], day: date) -> DeviceAlarm:
        if part.name not in limits:
            raise InputError(part.path, "is not configured", where=f"{part.where}:{part.line}")
        checked = part.find("C A")
        return DeviceAlarm(
            limit=limits[part.name],
            minutes=_whole(part, "t Acc", part.need("t Acc")),
            triggered_at_ms=self._time_of_day(part, "TS A", day),
            day=day,
            ambient_c=self._optional_temperature(part, "T Amb"),
            checked=None if checked is None else checked.text == "1",
        )

    def _timeouts(self, part: Section, day: date) -> Iterator[SensorTimeout]:
        for name, sensor in (("Ext Sensor timeout", "external"), ("Int Sensor timeout", "internal")):
            section = part.part(name)
            minutes = section.find("t AccST")
            if minutes is not None and (count := _whole(section, "t AccST", minutes)):
                yield SensorTimeout(sensor, count, self._time_of_day(section, "TS ST", day))

    def _notes(self) -> Iterator[str]:
        if self._root.find("Sig") is None:
            yield "the file has no signature at its end: it may have been cut short"
        errors = self._root.part("Errors")
        for number, part in errors.parts.items():
            count = part.find("Err Count")
            since = part.find("Err TS")
            yield f"the device reports error {number}" + (
                f", {count.text} times, last at {since.text}" if count and since else ""
            )

    def _moment(self, section: Section, key: str, value: Value, after_ms: int | None = None) -> int:
        try:
            local = datetime.strptime(value.text, "%Y-%m-%d %H:%M")  # noqa: DTZ007  the device's zone is added below
        except ValueError as error:
            raise section.fault(key, value, f"{value.text!r} is no time such as 2026-01-31 12:00") from error
        return self._local(section, value, local, key, after_ms)

    def _local(
        self, section: Section, value: Value, local: datetime, key: str = "time", after_ms: int | None = None
    ) -> int:
        try:
            return self._clock.to_ms(local, after_ms)
        except ValueError as error:
            raise section.fault(key, value, str(error)) from error

    def _midnight(self, section: Section, stated: Value, day: date) -> int:
        return self._local(section, stated, datetime.combine(day, time()), "Date")

    def _optional_moment(self, section: Section, key: str) -> int | None:
        value = section.find(key)
        return None if value is None else self._moment(section, key, value)

    def _time_of_day(self, section: Section, key: str, day: date) -> int | None:
        value = section.find(key)
        return None if value is None else self._local(section, value, _at(section, value, day), key)

    def _optional_temperature(self, section: Section, key: str) -> float | None:
        value = section.find(key)
        return None if value is None else self._temperature(section, key, value)

    def _temperature(self, section: Section, key: str, value: Value) -> float | None:
        """Return °C, None where the sensor did not answer."""
        if value.text == _NO_VALUE:
            return None
        number = _decimal(section, key, value)
        celsius = round((number - 32) / 1.8, 3) if self._fahrenheit else number
        if not _TEMPERATURE_C[0] <= celsius <= _TEMPERATURE_C[1]:
            raise section.fault(key, value, f"{value.text} is no temperature of a logger")
        return celsius


def _reading(at_ms: int, temperature_c: float, interval_s: int) -> Reading:
    """A file's times are one device's own and consistent with each other: durations can be relied upon."""
    return Reading(at_ms, temperature_c, interval_s, Source.MEMORY, clock_trusted=True)


def _stretches(times_ms: Sequence[int], step_ms: int) -> Iterator[Gap]:
    """Join neighbouring rows without a value; each stands for one interval."""
    begins_ms = ends_ms = None
    for at_ms in times_ms:
        if begins_ms is not None and ends_ms is not None and at_ms > ends_ms:
            yield Gap(begins_ms, ends_ms)
            begins_ms = None
        begins_ms = at_ms if begins_ms is None else begins_ms
        ends_ms = at_ms + step_ms
    if begins_ms is not None and ends_ms is not None:
        yield Gap(begins_ms, ends_ms)


def _below_header(section: Section, first_title: str) -> Sequence[Row]:
    """Return a table's rows without its header, which must be there: else a row would be taken for it."""
    if not section.rows:
        return ()
    header = section.rows[0]
    if header.cells[0] != first_title:
        raise InputError(
            section.name, f"the table does not begin with {first_title!r}", where=f"{section.where}:{header.line}"
        )
    return section.rows[1:]


def _three(section: Section, row: Row) -> tuple[str, str, str]:
    if len(row.cells) < 3:  # noqa: PLR2004  number, temperature, time
        raise InputError(
            section.name, "a marker has a number, a temperature, a time", where=f"{section.where}:{row.line}"
        )
    return row.cells[0], row.cells[1], row.cells[2]


def _whole(section: Section, key: str, value: Value) -> int:
    if not re.fullmatch(r"\+?\d{1,9}", value.text):
        raise section.fault(key, value, f"{value.text!r} is no whole number")
    return int(value.text)


def _decimal(section: Section, key: str, value: Value) -> float:
    if not re.fullmatch(r"[+-]?\d{1,6}(\.\d{1,6})?", value.text):
        raise section.fault(key, value, f"{value.text!r} is no number")
    return float(value.text)


def _date(section: Section, value: Value) -> date:
    try:
        return date.fromisoformat(value.text)
    except ValueError as error:
        raise section.fault("Date", value, f"{value.text!r} is no date such as 2026-01-31") from error


def _at(section: Section, value: Value, day: date) -> datetime:
    try:
        return datetime.combine(day, time.fromisoformat(value.text))
    except ValueError as error:
        raise section.fault("time", value, f"{value.text!r} is no time of day such as 12:00") from error
