"""Which measurements become observations, and which stretches are missing. Pure: time comes in with each call.

One observation for each logger and recording interval (a *slot*): the first new measurement in it. Beyond that, where
the temperature crosses a limit inside a slot, up to three more: the first one across, the lowest and the highest. So
no excursion that the radio heard is invisible in the record, and no logger can flood it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gateway.core.observations import Observation, Source
from gateway.core.readings import HALF_WRAP_MS
from gateway.vehicle.loggers.measurement import Measurement
from gateway.vehicle.loggers.numbering import Numbers, Order, WrappingNumbers
from gateway.vehicle.moments import Moment

GAP_INTERVALS = 1.0
"""A silence longer than so many memory intervals can hold a record further than half an interval from all that was
heard live: one that is new. Of a shorter silence the memory has nothing to tell."""
FIRST_GAP_INTERVALS = 0.5
"""The same where nothing was heard at the beginning of the silence: when custody began."""
BUFFER_MAX = 50_000
"""Observations waiting to be sealed: what 50 loggers yield in 8 h, should the disk refuse for so long (15 MB)."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the recorder must know of a logger.

    memory_interval_s  spacing of its memory's records; None: it has no memory
    thresholds_mc      limits of what is in its box, in raw millidegrees (calibration taken off), ascending
    since_ms           since when its box carries something; None: it does not
    numbers            how its measurements are numbered; None: they are not
    """

    memory_interval_s: int | None = None
    thresholds_mc: tuple[int, ...] = ()
    since_ms: int | None = None
    numbers: Numbers | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Time of which only the logger's memory can tell, ends included."""

    logger: str
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What one advertisement led to.

    is_new   a new measurement, not the repetition of an old one
    urgent   it lies on another side of a limit than the observation before: seal at once
    missing  what was missed before it
    order    OLD: an old packet again, no reading; REBOOTED: the logger began to count anew
    """

    is_new: bool = False
    urgent: bool = False
    missing: Stretch | None = None
    order: Order = Order.NEXT


_NOTHING = Heard(order=Order.REPEATED)


@dataclass(slots=True)
class _Track:
    """What is known of one logger."""

    enrolled: Enrolled
    counter: int | None = None
    counted_ms: int | None = None
    """Monotonic time of `counter`, if this run heard it."""
    suspect: tuple[int, int] | None = None
    """An old number and its monotonic time: if the next one goes on from there, it was none."""
    rebooted_ms: int | None = None
    """UTC of a reboot whose numbers may be taken for those before it."""
    observed_ms: int | None = None
    """UTC of the last observation, sealed by an earlier run or recorded by this one."""
    first_ms: int | None = None
    """UTC of this run's first observation, if the clock was not trusted then: what was missed before is open."""
    is_own: bool = False
    """Whether `observed_ms` is of this run."""
    resumed_ms: int | None = None
    """UTC of the last observation of an earlier run."""
    known_from_ms: int | None = None
    """From when on this run has recorded, or asked for, everything."""
    slot: int | None = None
    zone: int | None = None
    crossed: bool = False
    lowest: Observation | None = None
    highest: Observation | None = None
    in_slot: list[Observation] = field(default_factory=list)


class Recorder:
    """Turns what is heard into observations. `interval_s` is the length of a slot, in domain seconds."""

    def __init__(self, interval_s: int) -> None:
        self.dropped = 0
        """Observations that found the buffer full."""
        self.without_temperature = 0
        """New measurements whose temperature the logger calls not available."""
        self._interval_s = interval_s
        self._tracks: dict[str, _Track] = {}
        self._waiting: list[Observation] = []

    @property
    def waiting(self) -> int:
        """Observations not yet taken."""
        return len(self._waiting)

    def enrol(self, loggers: Mapping[str, Enrolled]) -> tuple[Stretch, ...]:
        """Take over who is enrolled; others are forgotten. Returns what a late registration makes missing."""
        self._tracks = {
            logger: self._tracks.get(logger, _Track(enrolled)) for logger, enrolled in sorted(loggers.items())
        }
        missing = []
        for logger, enrolled in loggers.items():
            track = self._tracks[logger]
            track.enrolled = enrolled
            if track.known_from_ms is not None:
                stretch = self._missing_since_custody(logger, track, track.known_from_ms)
                if stretch is not None:
                    track.known_from_ms = stretch.from_ms
                    missing.append(stretch)
        return tuple(missing)

    def resume(self, logger: str, observed_ms: int | None, counter: int | None, rebooted_ms: int | None = None) -> None:
        """Continue after the last sealed observation of an earlier run, which may have seen the logger reboot."""
        track = self._tracks.get(logger)
        if track is not None and track.observed_ms is None:
            track.observed_ms = track.resumed_ms = observed_ms
            track.counter = counter
            track.rebooted_ms = rebooted_ms

    def shift(self, moved_ms: int) -> tuple[Stretch, ...]:
        """The clock is known from now on, and was behind by so much; return what was missed before this run."""
        missing = []
        for logger, track in self._tracks.items():
            if not track.is_own or track.observed_ms is None:
                continue
            track.observed_ms += moved_ms
            track.rebooted_ms = None if track.rebooted_ms is None else track.rebooted_ms + moved_ms
            track.known_from_ms = None if track.known_from_ms is None else track.known_from_ms + moved_ms
            if track.first_ms is not None:
                stretch = self._missing_since(logger, track, track.resumed_ms, track.first_ms + moved_ms)
                track.known_from_ms = track.first_ms + moved_ms if stretch is None else stretch.from_ms
                track.first_ms = None
                missing += [] if stretch is None else [stretch]
        return tuple(missing)

    def hear(self, logger: str, measurement: Measurement, moment: Moment) -> Heard:
        """Take one decoded advertisement of an enrolled logger; others are ignored."""
        track = self._tracks.get(logger)
        if track is None:
            return _NOTHING
        order = self._order(track, measurement.counter, moment)
        if order in (Order.REPEATED, Order.OLD):
            return Heard(order=order)
        if measurement.temperature_mc is None:
            self.without_temperature += 1
            return Heard(order=order)
        return replace(self._hear_new(logger, track, measurement, measurement.temperature_mc, moment), order=order)

    def _hear_new(
        self, logger: str, track: _Track, measurement: Measurement, temperature_mc: int, moment: Moment
    ) -> Heard:
        slot = moment.monotonic_ms // (self._interval_s * 1000)
        observation = self._observe(logger, track, measurement, temperature_mc, moment)
        zone = bisect_left(track.enrolled.thresholds_mc, temperature_mc)
        if slot == track.slot:
            return self._hear_more(track, observation, zone)
        self._close_slot(track)
        track.slot = slot
        urgent = track.zone is not None and zone != track.zone
        missing = self._missing_before(logger, track, moment)
        self._record(track, observation, zone)
        track.lowest = track.highest = observation
        return Heard(is_new=True, urgent=urgent, missing=missing)

    def close_slots(self, moment: Moment) -> None:
        """Record the extremes of slots that are over, also of loggers that fell silent."""
        slot = moment.monotonic_ms // (self._interval_s * 1000)
        for track in self._tracks.values():
            if track.slot is not None and track.slot != slot:
                self._close_slot(track)

    def take(self, maximum: int) -> tuple[Observation, ...]:
        """Return the oldest waiting observations, which stay until `confirm`."""
        return tuple(self._waiting[:maximum])

    def confirm(self, count: int) -> None:
        """Forget the oldest `count` observations: they are sealed."""
        del self._waiting[:count]

    # --- one logger

    @staticmethod
    def _order(track: _Track, counter: int | None, moment: Moment) -> Order:
        """Place a number behind the one before, and remember it unless it is old."""
        now_ms, before, numbers = moment.monotonic_ms, track.counter, track.enrolled.numbers
        if counter is not None and counter == before:
            return Order.REPEATED
        order = Order.NEXT
        if numbers is not None and counter is not None and before is not None and track.counted_ms is not None:
            order = numbers.order(before, counter, now_ms - track.counted_ms)
            if order is Order.OLD:
                suspect, track.suspect = track.suspect, (counter, now_ms)
                if suspect is None or numbers.order(suspect[0], counter, now_ms - suspect[1]) is not Order.NEXT:
                    return Order.OLD
                order = Order.REBOOTED  # it goes on from there: it was not a packet played back
        if order is Order.REBOOTED and isinstance(numbers, WrappingNumbers):
            track.rebooted_ms = moment.at_ms
        track.counter, track.counted_ms, track.suspect = counter, now_ms, None
        return order

    def _observe(
        self, logger: str, track: _Track, measurement: Measurement, temperature_mc: int, moment: Moment
    ) -> Observation:
        is_ambiguous = track.rebooted_ms is not None and moment.at_ms - track.rebooted_ms < HALF_WRAP_MS
        return Observation(
            logger=logger,
            source=Source.LIVE,
            measured_at_ms=moment.at_ms,
            clock_trusted=moment.trusted,
            monotonic_ms=moment.monotonic_ms,
            interval_s=self._interval_s,
            temperature_mc=temperature_mc,
            counter=None if is_ambiguous else measurement.counter,
            humidity_cpct=measurement.humidity_cpct,
            battery_mv=measurement.battery_mv,
            light_lux=measurement.light_lux,
            time_error_ms=moment.error_ms,
        )

    def _hear_more(self, track: _Track, observation: Observation, zone: int) -> Heard:
        """A further measurement within a slot."""
        if track.lowest is None or observation.temperature_mc < track.lowest.temperature_mc:
            track.lowest = observation
        if track.highest is None or observation.temperature_mc > track.highest.temperature_mc:
            track.highest = observation
        if zone == track.zone or track.crossed:
            return Heard(is_new=True)
        track.crossed = True
        self._record(track, observation, zone)
        return Heard(is_new=True, urgent=True)

    def _record(self, track: _Track, observation: Observation, zone: int) -> None:
        track.zone = zone
        track.observed_ms, track.is_own = observation.measured_at_ms, True
        self._keep(track, observation)

    def _keep(self, track: _Track, observation: Observation) -> None:
        if len(self._waiting) >= BUFFER_MAX:
            self.dropped += 1
            return
        track.in_slot.append(observation)
        self._waiting.append(observation)

    def _close_slot(self, track: _Track) -> None:
        if track.crossed:
            extremes = {o.measured_at_ms: o for o in (track.lowest, track.highest) if o is not None}
            for _, observation in sorted(extremes.items()):
                if observation not in track.in_slot:
                    self._keep(track, observation)
        track.crossed = False
        track.lowest = track.highest = None
        track.in_slot.clear()

    # --- what is missing

    def _missing_before(self, logger: str, track: _Track, moment: Moment) -> Stretch | None:
        """What lies between the last observation, or the start of custody, and this one.

        What lies before this run cannot be told by a clock that is not trusted: it stays open until it is.
        """
        at_ms = moment.at_ms
        if not track.is_own and not moment.trusted:
            track.first_ms = at_ms
            return None
        if track.is_own:
            return self._missing_since(logger, track, track.observed_ms, at_ms)
        stretch = self._missing_since(logger, track, track.observed_ms, at_ms)
        if track.observed_ms is None:
            track.known_from_ms = at_ms if stretch is None else stretch.from_ms
        return stretch

    def _missing_since(self, logger: str, track: _Track, observed_ms: int | None, at_ms: int) -> Stretch | None:
        if observed_ms is None:
            return self._missing_since_custody(logger, track, at_ms)
        interval_s = track.enrolled.memory_interval_s
        if interval_s is None or at_ms - observed_ms <= GAP_INTERVALS * interval_s * 1000:
            return None
        return Stretch(logger, observed_ms, at_ms)

    @staticmethod
    def _missing_since_custody(logger: str, track: _Track, until_ms: int) -> Stretch | None:
        """Since something is in the box; one interval before it, so that its first minutes are covered too."""
        since_ms, interval_s = track.enrolled.since_ms, track.enrolled.memory_interval_s
        if since_ms is None or interval_s is None or until_ms - since_ms <= FIRST_GAP_INTERVALS * interval_s * 1000:
            return None
        return Stretch(logger, since_ms - interval_s * 1000, until_ms)
