"""Values that several tests of the vehicle use."""

from __future__ import annotations

from gateway.core.contents import Content
from gateway.core.observations import Observation, Source
from gateway.vehicle.moments import Moment

TAG = "C0:FF:EE:00:00:01"
T0 = 1_750_000_000_000
BOOT = b"bootboot"
VAN = "VAN-1"
NOW = Moment(T0, 0, trusted=True)


def observe(number: int, *, logger: str = TAG, temperature_mc: int = 5000) -> Observation:
    """The `number`-th observation of a logger, every 30 s."""
    return Observation(
        logger=logger,
        source=Source.LIVE,
        measured_at_ms=T0 + number * 30_000,
        clock_trusted=True,
        monotonic_ms=number * 30_000,
        interval_s=30,
        temperature_mc=temperature_mc,
        counter=number,
    )


def content(*numbers: int) -> Content:
    return Content(tuple(observe(number) for number in numbers))
