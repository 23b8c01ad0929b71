"""From the configuration to what each logger's record needs: memory, thresholds, start of custody. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from gateway.core.configuration import Configuration, Consignment, Logger
from gateway.core.profiles import Profile
from gateway.vehicle.loggers.memories import MEMORIES
from gateway.vehicle.loggers.numbering import NUMBERS
from gateway.vehicle.recorder import Enrolled

THRESHOLDS_MAX = 200
"""Different limits watched in one box; 200 are beyond any load, and bisecting them costs nothing."""


def enrolled_loggers(configuration: Configuration) -> dict[str, Enrolled]:
    """Return what the recorder must know, by the logger's address."""
    profiles = {profile.id: profile for profile in configuration.profiles}
    return {logger.address: _enrolled(logger, configuration, profiles) for logger in configuration.loggers}


def carried_in(configuration: Configuration, box: str) -> tuple[Consignment, ...]:
    """Return the consignments that are, or will be, in `box` and are not yet received."""
    return tuple(
        consignment
        for consignment in configuration.consignments
        if consignment.received_at is None and _is_in(consignment, box)
    )


def _is_in(consignment: Consignment, box: str) -> bool:
    own = (part for item in consignment.items for part in item.carriage)
    return any(carriage.box == box for carriage in (*consignment.carriage, *own))


def _enrolled(logger: Logger, configuration: Configuration, profiles: dict[str, Profile]) -> Enrolled:
    box, offset_c = logger.box, logger.calibration.offset_c if logger.calibration else 0.0
    memory_interval_s = logger.memory_interval_s if logger.kind in MEMORIES else None
    if box is None:  # it left its box lately: its memory may still hold what was missed before
        return Enrolled(memory_interval_s=memory_interval_s, numbers=NUMBERS.get(logger.kind))
    carried = carried_in(configuration, box)
    names = {
        name
        for consignment in carried
        for item in consignment.items
        for examination in item.examinations
        for name in (examination.profile, *(switch.profile for switch in examination.switches))
    }
    names |= {one.default_profile for one in configuration.boxes if one.code == box and one.default_profile}
    limits_c = _limits_c(profiles[name] for name in names if name in profiles)
    return Enrolled(
        memory_interval_s=memory_interval_s,
        thresholds_mc=tuple(sorted({round((limit_c - offset_c) * 1000) for limit_c in limits_c}))[:THRESHOLDS_MAX],
        since_ms=_carried_since_ms(_to_read(configuration, box, carried), box, logger.since),
        numbers=NUMBERS.get(logger.kind),
    )


def _to_read(configuration: Configuration, box: str, carried: tuple[Consignment, ...]) -> tuple[Consignment, ...]:
    """Return what a memory is asked about. At a reception also what was received before its logger was heard there."""
    if not configuration.reception:
        return carried
    return tuple(consignment for consignment in configuration.consignments if _is_in(consignment, box))


def _limits_c(profiles: Iterable[Profile]) -> set[float]:
    limits: set[float | None] = set()
    for profile in profiles:
        for limit in profile.limits:
            limits |= {limit.above_c, limit.below_c}
        for threshold in profile.forbidden:
            limits |= {threshold.above_c, threshold.below_c}
        for band in profile.bands:
            limits |= {band.from_c, band.to_c}
    return {limit for limit in limits if limit is not None}


def _carried_since_ms(consignments: Iterable[Consignment], box: str, there_since: datetime | None) -> int | None:
    """Since when something is in the box, or since when the logger is, if that came later."""
    begins = [
        carriage.begins
        for consignment in consignments
        for item in consignment.items
        for carriage in consignment.carriage_of(item)
        if carriage.box == box
    ]
    if not begins:
        return None
    since = min(begins) if there_since is None else max(min(begins), there_since)
    return round(since.timestamp() * 1000)
