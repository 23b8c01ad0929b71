"""Observations: what one gateway heard, or read from a logger's memory, kept as it was.

An observation is never altered. Readings (see `readings`) are derived from observations by merging.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Source(StrEnum):
    """Where an observation comes from."""

    LIVE = "live"
    MEMORY = "memory"


class Observation(msgspec.Struct, frozen=True, gc=False):
    """One measurement as one gateway came to know it.

    logger           address or serial of the logger, as enrolled ("C0:FF:EE:00:00:01")
    source           heard live, or fetched later from the logger's memory
    measured_at_ms   UTC in milliseconds; for a memory record, computed from the record's age
    clock_trusted    whether the gateway's clock was trusted (NTP, GPS) when this was stamped
    monotonic_ms     the gateway's monotonic time of that moment, within the boot that the segment names
    interval_s       how much time this stands for: the recording interval, or the memory's
    temperature_mc   millidegrees Celsius, raw: no calibration applied
    counter          the logger's own measurement number as transmitted (it may wrap), or None
    humidity_cpct    relative humidity in 0.01 %, or None
    battery_mv       battery voltage in mV, or None
    light_lux        illuminance in the box in lux, from a logger that measures it, else None
    shock_mg         strongest acceleration since the last measurement in thousandths of g, or None
    time_error_ms    bound on the error of measured_at_ms: of the gateway's clock, if it was trusted, and of a memory's
    """

    logger: str
    source: Source
    measured_at_ms: int
    clock_trusted: bool
    monotonic_ms: int
    interval_s: int
    temperature_mc: int
    counter: int | None = None
    humidity_cpct: int | None = None
    battery_mv: int | None = None
    time_error_ms: int = 0
    light_lux: int | None = None
    shock_mg: int | None = None
