"""Simulated gateways: each with a key of its own and a log of segments, sealed before they are sent.

Sealing takes as long as taking in, so a fleet that sealed while it sends would measure itself.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.core.contents import Content, encode_content
from gateway.core.observations import Observation, Source
from gateway.core.segments import NO_HASH, SegmentHeader, seal_segment
from gateway.keys import SigningKey

COUNTS_EACH_S = 1.285
"""A RuuviTag's time between two measurements."""
COUNTER_WRAPS = 65_535
DRIFT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Shape:
    """What a fleet looks like.

    loggers     in each vehicle, one in each box
    readings    of each logger in a segment
    interval_s  between two readings of a logger
    """

    loggers: int
    readings: int
    interval_s: int

    @property
    def readings_per_segment(self) -> int:
        """Of all loggers together."""
        return self.loggers * self.readings


@dataclass(frozen=True, slots=True)
class SimulatedVehicle:
    """One gateway. `run` tells apart the runs of one fleet: each begins a log of its own, as after a start."""

    name: str
    number: int
    run: bytes

    @property
    def key(self) -> SigningKey:
        """The same in every run, so that enrolling again is no other gateway."""
        return SigningKey(Ed25519PrivateKey.from_private_bytes(sha256(b"load " + self.name.encode()).digest()))

    @property
    def epoch(self) -> bytes:
        """Of this run."""
        return sha256(self.run + self.name.encode()).digest()[:8]

    def box(self, place: int) -> str:
        """The code of one of its boxes."""
        return f"{self.name}-B{place}"

    def logger(self, place: int) -> str:
        """The address of the logger in one of its boxes."""
        digest = sha256(f"{self.name} {place}".encode()).digest()
        return (b"\xc0" + digest[:5]).hex(":").upper()


def name_fleet(prefix: str, gateways: int, run: bytes) -> list[SimulatedVehicle]:
    """Return the vehicles of a fleet."""
    return [SimulatedVehicle(f"{prefix}-{number:05d}", number, run) for number in range(gateways)]


def seal_logs(
    vehicles: Sequence[SimulatedVehicle], shape: Shape, segments: int, starts_ms: int, processes: int
) -> Iterator[list[bytes]]:
    """Yield the log of each vehicle, `segments` long; the first reading is at `starts_ms`. On several processors."""
    seal = partial(seal_log, shape=shape, segments=segments, starts_ms=starts_ms)
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(seal, vehicles, chunksize=4)


def seal_log(vehicle: SimulatedVehicle, shape: Shape, segments: int, starts_ms: int) -> list[bytes]:
    """Return one vehicle's segments as they travel. Boxes are cold and calm; one in fifty grows warm for an hour."""
    rng = random.Random(vehicle.number)  # noqa: S311  a repeatable course, no secret
    loggers = [vehicle.logger(place) for place in range(shape.loggers)]
    warm = rng.randrange(50)
    sign, previous, sealed = vehicle.key.sign, NO_HASH, []
    for offset in range(segments):
        rows = [
            _observe(logger, place, turn, shape.interval_s, starts_ms, rng, is_warm=place == warm)
            for turn in range(offset * shape.readings, (offset + 1) * shape.readings)
            for place, logger in enumerate(loggers)
        ]
        sealed_at_ms = rows[-1].measured_at_ms + shape.interval_s * 1000
        header = SegmentHeader(vehicle.epoch, offset, sealed_at_ms, vehicle.epoch, 1, previous)
        segment = seal_segment(vehicle.name, header, encode_content(Content(tuple(rows))), sign)
        previous = segment.hash
        sealed.append(segment.to_bytes())
    return sealed


def _observe(
    logger: str, place: int, turn: int, interval_s: int, starts_ms: int, rng: random.Random, *, is_warm: bool
) -> Observation:
    after_ms = turn * interval_s * 1000 + place * 700 + rng.randrange(200)
    calm_c = 5 + math.sin(after_ms / 1000 / DRIFT_S + place) / 2 + rng.gauss(0, 0.02)
    excess_c = 8.0 if is_warm and DRIFT_S < after_ms / 1000 < 2 * DRIFT_S else 0.0
    return Observation(
        logger=logger,
        source=Source.LIVE,
        measured_at_ms=starts_ms + after_ms,
        clock_trusted=True,
        monotonic_ms=after_ms,
        interval_s=interval_s,
        temperature_mc=round((calm_c + excess_c) * 200) * 5,
        counter=round(after_ms / 1000 / COUNTS_EACH_S) % COUNTER_WRAPS,
        battery_mv=2950,
    )
