"""Readings as InfluxDB points, in line protocol. Pure.

Measurement ``reading``, tag ``logger`` (a few thousand series for a nation's boxes), time in milliseconds. The same
reading is the same point, so that writing it again changes nothing. Source, interval and counter are fields: as tags
they would make two points of one.
"""

from __future__ import annotations

from gateway.core.readings import Reading

MEASUREMENT = "reading"
_ESCAPED = {ord(","): r"\,", ord(" "): r"\ ", ord("="): r"\="}


def reading_line(logger: str, reading: Reading) -> str:
    """Return one point; temperature in °C, calibrated."""
    fields = [
        f"temperature_c={reading.temperature_c:.3f}",
        f"interval_s={reading.interval_s}i",
        f'source="{reading.source}"',
        f"clock_trusted={'true' if reading.clock_trusted else 'false'}",
    ]
    if reading.counter is not None:
        fields.append(f"counter={reading.counter}i")
    return f"{MEASUREMENT},logger={logger.translate(_ESCAPED)} {','.join(fields)} {reading.at_ms}"
