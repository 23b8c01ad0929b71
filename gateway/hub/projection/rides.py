"""Rides: which loggers were with a consignment and when, and the tightest limits of what was carried."""

from __future__ import annotations

from collections import defaultdict
from math import inf, isfinite

from sqlalchemy import Connection, select

from gateway.core.assignments import tenures_in
from gateway.core.configuration import Consignment
from gateway.core.profiles import Profile
from gateway.hub.database.rows import boxes_of, examinations_of, read_loggers, read_profile, read_registered
from gateway.hub.database.schema import carriages
from gateway.hub.projection.points import Ride


def read_rides(connection: Connection, code: str) -> list[Ride]:
    """Return the rides of a consignment, none if it is unknown."""
    registered = read_registered(connection, code)
    if registered is None:
        return []
    consignment = registered.consignment
    loggers = read_loggers(connection, boxes_of(consignment))
    low_c, high_c = _limits(connection, consignment)
    stretches = connection.execute(
        select(carriages.c.box, carriages.c.begins_ms, carriages.c.ends_ms)
        .where(carriages.c.consignment == code)
        .order_by(carriages.c.begins_ms, carriages.c.box, carriages.c.ends_ms)
    ).all()
    numbers: defaultdict[tuple[str, str], int] = defaultdict(int)
    rides = []
    for stretch in stretches:
        for tenure in tenures_in(loggers, stretch.box, stretch.begins_ms, stretch.ends_ms):
            number = numbers[stretch.box, tenure.logger]
            numbers[stretch.box, tenure.logger] += 1
            rides.append(
                Ride(
                    consignment=code,
                    box=stretch.box,
                    logger=tenure.logger,
                    stretch=number,
                    begins_ms=max(stretch.begins_ms, tenure.from_ms),
                    ends_ms=min((end for end in (stretch.ends_ms, tenure.until_ms) if end is not None), default=None),
                    low_c=low_c,
                    high_c=high_c,
                    items=len(consignment.items),
                )
            )
    return rides


def _limits(connection: Connection, consignment: Consignment) -> tuple[float | None, float | None]:
    """Return the highest lower and the lowest upper limit of all profiles, whatever time they allow beyond."""
    names = {examination.profile for _, examination in examinations_of(consignment)}
    profiles = [profile for name in sorted(names) if (profile := read_profile(connection, name)) is not None]
    lower = [value for profile in profiles for value in _lower_c(profile)]
    upper = [value for profile in profiles for value in _upper_c(profile)]
    return max(lower, default=None), min(upper, default=None)


def _lower_c(profile: Profile) -> list[float]:
    coldest = min((band.low_c for band in profile.bands), default=-inf)
    stated = [rule.below_c for rule in profile.limits] + [rule.below_c for rule in profile.forbidden]
    return [value for value in (coldest, *stated) if value is not None and isfinite(value)]


def _upper_c(profile: Profile) -> list[float]:
    hottest = max((band.high_c for band in profile.bands), default=inf)
    stated = [rule.above_c for rule in profile.limits] + [rule.above_c for rule in profile.forbidden]
    return [value for value in (hottest, *stated) if value is not None and isfinite(value)]
