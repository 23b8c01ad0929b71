"""The device's own alarms beside ours, computed from its readings with its own limits and no uncertainty.

The device measures every minute and logs every 5 or 10, so its minutes and ours may differ by one logging interval for
each stretch beyond a limit, and a dip between two logged readings is seen by the device only. Where a sensor did not
answer, the device counts the time as beyond its limit and we count it as unmonitored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from gateway.core.judgement import judge_recording
from gateway.core.profiles import Evidence, Kind, Limit, Profile
from gateway.core.verdicts import Excursion, Judgement
from gateway.importers.recording import AlarmKind, DaySummary, DeviceAlarm, DeviceLimit, Recording, Side
from gateway.importers.summaries import judge_summaries

_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Counted:
    """What one side counted beyond a limit. `triggered_at_ms` is None if there was no alarm."""

    minutes: float
    started_at_ms: int | None
    triggered_at_ms: int | None
    ended_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One alarm, on both sides.

    device          None: the device counted less than its limit allows, and so does not list it
    ours            None: the file does not hold what is needed to count
    day             the day, for a device that sums up days
    tolerance_min   one logging interval for each stretch, and the time for which the sensor did not answer
    """

    limit: DeviceLimit
    device: Counted | None
    ours: Counted | None
    day: date | None
    tolerance_min: float

    @property
    def minutes(self) -> float | None:
        """Ours less the device's; where the device lists nothing, ours less what its limit allows."""
        if self.ours is None:
            return None
        return self.ours.minutes - (self.limit.allowed_min if self.device is None else self.device.minutes)

    @property
    def agrees(self) -> bool:
        """Whether the minutes differ by no more than the tolerance; what the device does not list was shorter."""
        if self.minutes is None:
            return True
        return self.minutes < self.tolerance_min if self.device is None else abs(self.minutes) <= self.tolerance_min

    @property
    def same_alarm(self) -> bool:
        """Whether both sides raise an alarm, or neither does."""
        if self.ours is None:
            return True
        device_alarms = self.device is not None and self.device.triggered_at_ms is not None
        return device_alarms == (self.ours.triggered_at_ms is not None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All alarms on both sides, and our figures computed as the device does."""

    differences: tuple[Difference, ...]
    judgement: Judgement


def compare_with_device(recording: Recording) -> Comparison:
    """Judge a recording by the device's own limits and compare; raises ValueError if it states none."""
    if not recording.limits:
        raise ValueError("the file states no alarms of the device")
    profile = profile_of(recording)
    if recording.readings:
        judgement = judge_recording(
            recording.readings,
            profile,
            uncertainty_c=0.0,
            calibrated=True,
            approved=True,
            begins_ms=recording.begins_ms,
            ends_ms=recording.ends_ms,
        )
    else:
        judgement = judge_summaries(recording.days, profile, uncertainty_c=0.0, calibrated=True, approved=True)
    if recording.days:
        return Comparison(tuple(_compare_days(recording, judgement)), judgement)
    return Comparison(tuple(_compare_trip(recording, judgement)), judgement)


def profile_of(recording: Recording) -> Profile:
    """Return the device's configured alarms as a profile."""
    energy = recording.figures.mkt_energy_kj_mol
    return Profile(
        id="device",
        title=f"Alarms configured in {recording.device} {recording.serial}",
        kind=Kind.STORAGE,
        owner="the device's configuration",
        source="the device's configuration",
        evidence=Evidence.PROPOSAL,
        limits=tuple(_limit(limit) for limit in recording.limits),
        **({} if energy is None else {"mkt_activation_energy_kj_mol": energy}),
    )


def rule_name(limit: DeviceLimit) -> str:
    """Return the name that a device's alarm has as a rule."""
    return f"alarm-{limit.number}"


def _limit(limit: DeviceLimit) -> Limit:
    allowed = f"{limit.allowed_min} min"
    return Limit.model_validate(
        {
            "name": rule_name(limit),
            "above_c" if limit.side is Side.HIGH else "below_c": limit.limit_c,
            "single" if limit.kind is AlarmKind.SINGLE else "cumulative": allowed,
        }
    )


def _compare_trip(recording: Recording, judgement: Judgement) -> Iterator[Difference]:
    """Compare a device that sums up a trip: stretch by stretch, or all of a cumulative alarm."""
    interval_min = (recording.interval_s or 0) / 60
    for limit in recording.limits:
        ours = [excursion for excursion in judgement.excursions if excursion.rule == rule_name(limit)]
        alarms = [alarm for alarm in recording.alarms if alarm.limit == limit]
        if limit.kind is AlarmKind.CUMULATIVE:
            yield from _compare_sum(limit, alarms, ours, judgement, interval_min)
        else:
            yield from _compare_stretches(limit, alarms, ours, recording.ends_ms or 0, interval_min)


def _compare_sum(
    limit: DeviceLimit,
    alarms: Sequence[DeviceAlarm],
    ours: Sequence[Excursion],
    judgement: Judgement,
    interval_min: float,
) -> Iterator[Difference]:
    triggered_ms = next((b.triggered_at_ms for b in judgement.breaches if b.rule == rule_name(limit)), None)
    if not alarms and triggered_ms is None:
        return
    counted = Counted(
        minutes=judgement.cumulative_minutes[rule_name(limit)],
        started_at_ms=ours[0].started_at_ms if ours else None,
        triggered_at_ms=triggered_ms,
        ended_at_ms=None,
    )
    device = _counted(alarms[0]) if alarms else None
    yield Difference(limit, device, counted, None, interval_min * max(1, len(ours)))


def _compare_stretches(
    limit: DeviceLimit,
    alarms: Sequence[DeviceAlarm],
    ours: Sequence[Excursion],
    ends_ms: int,
    interval_min: float,
) -> Iterator[Difference]:
    """Pair each of the device's stretches with ours that overlaps it most; then what only we find an alarm in."""
    paired: set[int] = set()
    for alarm in alarms:
        overlaps = [_overlap_ms(_span(excursion, ends_ms), _alarm_span(alarm, ends_ms)) for excursion in ours]
        place = max(range(len(ours)), key=overlaps.__getitem__, default=None)
        found = place is not None and overlaps[place] > 0
        if place is not None and found:
            paired.add(place)
        counted = _ours(ours[place]) if place is not None and found else Counted(0, None, None, None)
        yield Difference(limit, _counted(alarm), counted, None, interval_min)
    for place, excursion in enumerate(ours):
        if place not in paired and excursion.triggered_at_ms is not None:
            yield Difference(limit, None, _ours(excursion), None, interval_min)


def _compare_days(recording: Recording, judgement: Judgement) -> Iterator[Difference]:
    for day in recording.days:
        for alarm in day.alarms:
            yield _compare_day(recording, judgement, day, alarm)


def _compare_day(recording: Recording, judgement: Judgement, day: DaySummary, alarm: DeviceAlarm) -> Difference:
    limit = alarm.limit
    device = Counted(alarm.minutes, None, alarm.triggered_at_ms, None)
    if not recording.readings and _is_partly_beyond(day, limit):
        return Difference(limit, device, None, day.day, 0.0)
    span = (day.begins_ms, day.ends_ms)
    stretches = [
        excursion
        for excursion in judgement.excursions
        if excursion.rule == rule_name(limit) and _overlap_ms(_span(excursion, day.ends_ms), span) > 0
    ]
    alarmed = [
        max(excursion.triggered_at_ms, day.begins_ms)
        for excursion in stretches
        if excursion.triggered_at_ms is not None and excursion.triggered_at_ms < day.ends_ms
    ]
    minutes = sum(_overlap_ms(_span(excursion, day.ends_ms), span) for excursion in stretches) / _MINUTE_MS
    interval_min = (recording.interval_s or 60) / 60
    silent_min = sum(_overlap_ms((gap.begins_ms, gap.ends_ms), span) for gap in recording.missing) / _MINUTE_MS
    return Difference(
        limit,
        device,
        Counted(minutes, None, min(alarmed, default=None), None),
        day.day,
        interval_min * max(1, len(stretches)) + silent_min,
    )


def _is_partly_beyond(day: DaySummary, limit: DeviceLimit) -> bool:
    """Whether a summary leaves open how long the day was beyond a limit."""
    if day.min_c is None or day.max_c is None:
        return True
    if limit.side is Side.HIGH:
        return day.min_c <= limit.limit_c < day.max_c
    return day.min_c < limit.limit_c <= day.max_c


def _counted(alarm: DeviceAlarm) -> Counted:
    return Counted(alarm.minutes, alarm.started_at_ms, alarm.triggered_at_ms, alarm.ended_at_ms)


def _ours(excursion: Excursion) -> Counted:
    return Counted(excursion.minutes, excursion.started_at_ms, excursion.triggered_at_ms, excursion.ended_at_ms)


def _span(excursion: Excursion, ends_ms: int) -> tuple[int, int]:
    return excursion.started_at_ms, ends_ms if excursion.ended_at_ms is None else excursion.ended_at_ms


def _alarm_span(alarm: DeviceAlarm, ends_ms: int) -> tuple[int, int]:
    begins_ms = alarm.started_at_ms or 0
    return begins_ms, ends_ms if alarm.ended_at_ms is None else alarm.ended_at_ms


def _overlap_ms(one: tuple[int, int], other: tuple[int, int]) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))
