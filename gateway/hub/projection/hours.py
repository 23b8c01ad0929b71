"""The long history: one point for each logger and hour, made here from the archive.

A task within the server would run on a schedule and miss what arrives late, and InfluxDB 3 has no such tasks. Here an
hour is made again whenever one of its readings changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import fsum

from gateway.core.observations import Observation
from gateway.core.readings import merge_observations
from gateway.hub.projection.points import Hour
from gateway.hub.projection.settling import EDGE_MS
from gateway.hub.record.archive import Archive

HOUR_MS = 3_600_000


def summarise(around: Iterable[Observation], begins_ms: int, offset_c: float) -> Hour:
    """Return the hour of a logger that begins at `begins_ms`, from its observations in and around the hour."""
    ends_ms = begins_ms + HOUR_MS
    readings = [
        reading
        for reading in merge_observations(around, offset_c=offset_c).readings
        if begins_ms <= reading.at_ms < ends_ms
    ]
    temperatures = [reading.temperature_c for reading in readings]
    return Hour(
        begins_ms=begins_ms,
        readings=len(readings),
        min_c=min(temperatures, default=0.0),
        max_c=max(temperatures, default=0.0),
        sum_c=fsum(temperatures),
        interval_s=sum(reading.interval_s for reading in readings),
    )


def read_around(archive: Archive, loggers: Collection[str], begins_ms: int) -> dict[str, list[Observation]]:
    """Return the observations of loggers in and around an hour.

    Of all together: a segment has those of a whole vehicle, and is read and gone through once.
    """
    found: dict[str, list[Observation]] = {logger: [] for logger in loggers}
    for observation in archive.news(found, begins_ms - EDGE_MS, begins_ms + HOUR_MS + EDGE_MS, {}).observations:
        found[observation.logger].append(observation)
    return found
