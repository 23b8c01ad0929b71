"""Rides: which loggers were with a consignment and when, and the tightest limits of what was carried."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import Connection, select

from gateway.core.configuration import Consignment
from gateway.core.profiles import Forbidden, Limit, Profile
from gateway.hub.projection.points import Ride
from gateway.hub.rows import boxes_of, examinations_of, read_loggers, read_profile, read_registered
from gateway.hub.schema import carriages


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
        for logger in loggers:
            if logger.box != stretch.box:
                continue
            number = numbers[stretch.box, logger.address]
            numbers[stretch.box, logger.address] += 1
            rides.append(
                Ride(
                    consignment=code,
                    box=stretch.box,
                    logger=logger.address,
                    stretch=number,
                    begins_ms=stretch.begins_ms,
                    ends_ms=stretch.ends_ms,
                    low_c=low_c,
                    high_c=high_c,
                    items=len(consignment.items),
                )
            )
    return rides


def _limits(connection: Connection, consignment: Consignment) -> tuple[float | None, float | None]:
    """Return the highest lower and the lowest upper limit of all profiles; what allows a time beyond counts too."""
    names = {examination.profile for _, examination in examinations_of(consignment)}
    profiles = [profile for name in sorted(names) if (profile := read_profile(connection, name)) is not None]
    lower = [limit.below_c for limit in _rules(profiles) if limit.below_c is not None]
    upper = [limit.above_c for limit in _rules(profiles) if limit.above_c is not None]
    return max(lower, default=None), min(upper, default=None)


def _rules(profiles: list[Profile]) -> list[Limit | Forbidden]:
    rules: list[Limit | Forbidden] = []
    for profile in profiles:
        rules += [*profile.limits, *profile.forbidden]
    return rules
