"""Small trips to judge: profiles, readings and consignments with as few words as a test needs.

Minutes are counted from START; loggers record once a minute and their uncertainty is 0, unless a test says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from gateway.core.configuration import Calibration, Carriage, Configuration, Consignment, Declared, Item, Logger, Switch
from gateway.core.exposure import to_ms
from gateway.core.judgement import ConsignmentJudge, judge_recording
from gateway.core.observations import Observation, Source
from gateway.core.profiles import Profile
from gateway.core.readings import Reading
from gateway.core.verdicts import Judgement, Reason

START = datetime(2026, 3, 10, 7, 0, tzinfo=UTC)
START_MS = to_ms(START)
MINUTE_MS = 60_000
LOGGER = "C0:FF:EE:00:00:01"
BOX = "BOX-1"

COLD = {"name": "cold", "from_c": 2, "to_c": 8}
ROOM = {"name": "room", "from_c": 15, "to_c": 25}
MILD = {"name": "mild", "from_c": 8, "to_c": 25}
"""Touches COLD."""

Course = Iterable[tuple[float, float]]
"""(minute, °C)."""


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def ms(minute: float) -> int:
    return START_MS + round(minute * MINUTE_MS)


def make_profile(**fields: object) -> Profile:
    """A sample's profile with figures that may accept."""
    given = {
        "id": "tested",
        "title": "Tested",
        "kind": "sample",
        "owner": "tests",
        "source": "tests",
        "evidence": "verified",
        **fields,
    }
    return Profile.model_validate(given)


def with_limit(**limit: object) -> Profile:
    return make_profile(limits=[{"name": "limit", **limit}])


def with_life(kind: str, table: Sequence[Mapping[str, object]] = (COLD, ROOM), /, **fields: object) -> Profile:
    return make_profile(bands=list(table), lives=[{"kind": kind, "name": "life", **fields}])


def steady(temperature_c: float, begin: float, end: float, every: float = 1) -> list[tuple[float, float]]:
    """A reading at `begin` and each `every` minutes after, before `end`."""
    count = round((end - begin) / every)
    return [(begin + place * every, temperature_c) for place in range(count)]


def to_readings(course: Course, interval_s: int = 60) -> list[Reading]:
    return [
        Reading(ms(minute), temperature_c, interval_s, Source.LIVE, clock_trusted=True)
        for minute, temperature_c in course
    ]


def judge_course(
    profile: Profile, course: Course, *, uncertainty_c: float = 0.0, interval_s: int = 60, end: float | None = None
) -> Judgement:
    """Judge a bare recording under a profile that counts as approved."""
    return judge_recording(
        to_readings(course, interval_s),
        profile,
        uncertainty_c=uncertainty_c,
        calibrated=True,
        approved=True,
        ends_ms=None if end is None else ms(end),
    )


def observe(
    minute: float,
    temperature_c: float,
    *,
    logger: str = LOGGER,
    source: Source = Source.LIVE,
    interval_s: int = 60,
    counter: int | None = None,
    clock_trusted: bool = True,
) -> Observation:
    return Observation(
        logger=logger,
        source=source,
        measured_at_ms=ms(minute),
        clock_trusted=clock_trusted,
        monotonic_ms=round(minute * MINUTE_MS),
        interval_s=interval_s,
        temperature_mc=round(temperature_c * 1000),
        counter=counter,
    )


def observe_all(
    course: Course, *, logger: str = LOGGER, source: Source = Source.LIVE, interval_s: int = 60
) -> list[Observation]:
    return [observe(minute, c, logger=logger, source=source, interval_s=interval_s) for minute, c in course]


def calibrated(uncertainty_c: float = 0.0, **fields: object) -> Calibration:
    return Calibration.model_validate(
        {
            "certificate": "C-1",
            "calibrated_at": START - timedelta(days=100),
            "due_at": START + timedelta(days=100),
            "uncertainty_c": uncertainty_c,
            **fields,
        }
    )


def ride(begin: float = 0, end: float | None = None, box: str = BOX, **fields: object) -> Carriage:
    return Carriage.model_validate(
        {"box": box, "begins": at(begin), "ends": None if end is None else at(end), **fields}
    )


def vouch(begin: float, end: float, low_c: float, high_c: float) -> Declared:
    return Declared(begins=at(begin), ends=at(end), low_c=low_c, high_c=high_c, by="NURSE-1")


@dataclass(frozen=True)
class Trip:
    """One item in one box, unless a test says otherwise."""

    profile: Profile
    observations: tuple[Observation, ...] = ()
    rides: tuple[Carriage, ...] = field(default_factory=lambda: (ride(),))
    declared: tuple[Declared, ...] = ()
    item: Mapping[str, object] = field(default_factory=dict)
    consignment: Mapping[str, object] = field(default_factory=dict)
    switches: tuple[Switch, ...] = ()
    more_profiles: tuple[Profile, ...] = ()
    loggers: tuple[Logger, ...] = (Logger(address=LOGGER, box=BOX, calibration=calibrated()),)
    demonstration: bool = True

    def with_uncertainty(self, uncertainty_c: float) -> Trip:
        calibration = calibrated(uncertainty_c)
        return replace(
            self, loggers=tuple(logger.model_copy(update={"calibration": calibration}) for logger in self.loggers)
        )

    def sent(self) -> Consignment:
        item = {
            "code": "TUBE-1",
            "kind": self.profile.kind,
            "examinations": [{"code": "K", "profile": self.profile.id, "switches": self.switches}],
            "declared": self.declared,
            **self.item,
        }
        return Consignment.model_validate(
            {"code": "SEND-1", "items": [Item.model_validate(item)], "carriage": self.rides, **self.consignment}
        )

    def configuration(self) -> Configuration:
        return Configuration(
            version=1,
            gateway="VAN-1",
            demonstration=self.demonstration,
            loggers=self.loggers,
            profiles=(self.profile, *self.more_profiles),
        )

    def judge(self) -> ConsignmentJudge:
        return ConsignmentJudge(self.sent(), self.configuration())

    def judgement(self, now: float) -> Judgement:
        """Judge all observations at once, at a minute."""
        judge = self.judge()
        judge.add(self.observations)
        (judgement,) = judge.judgements(ms(now))
        return judgement


def carry(profile: Profile, course: Course) -> Trip:
    """The course heard live in the box."""
    return Trip(profile, tuple(observe_all(course)))


def codes(judgement: Judgement) -> set[str]:
    return {reason.code for reason in judgement.reasons}


def reason_of(judgement: Judgement, code: str) -> Reason:
    (reason,) = [reason for reason in judgement.reasons if reason.code == code]
    return reason


def spent_of(judgement: Judgement, life: str = "life") -> float:
    (left,) = [left for left in judgement.lives if left.name == life]
    return left.spent
