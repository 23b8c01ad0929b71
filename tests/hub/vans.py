from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.core.contents import Content, encode_content
from gateway.core.observations import Observation, Source
from gateway.core.records import AnyRecord
from gateway.core.segments import NO_HASH, Position, Segment, SegmentHeader, seal_segment
from gateway.hub.replication.authenticity import Delivery
from gateway.keys import SigningKey

START_MS = 1_782_000_000_000
LOGGER = "C0:FF:EE:00:00:01"
BOOT = b"bootboot"

sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For tests that are about files, or about logic that no database changes."""


def iso(at_s: float) -> str:
    """The moment so many seconds after START_MS, for JSON."""
    return datetime.fromtimestamp(START_MS / 1000 + at_s, UTC).isoformat()


def observe(at_s: float, temperature_c: float, *, logger: str = LOGGER, counter: int | None = None) -> Observation:
    at_ms = START_MS + round(at_s * 1000)
    return Observation(
        logger=logger,
        source=Source.LIVE,
        measured_at_ms=at_ms,
        clock_trusted=True,
        monotonic_ms=round(at_s * 1000),
        interval_s=30,
        temperature_mc=round(temperature_c * 1000),
        counter=counter,
    )


@dataclass
class Van:
    """A gateway that seals real segments with a real key."""

    name: str = "van-1"
    seed: bytes = b"k"
    epoch: bytes = b"epoch--1"
    parent: Position | None = None
    previous: bytes = NO_HASH
    boot: bytes = BOOT
    sealed: list[Segment] = field(default_factory=list)

    @property
    def key(self) -> SigningKey:
        return SigningKey(Ed25519PrivateKey.from_private_bytes(sha256(self.seed).digest()))

    def seal(self, *observations: Observation, records: Sequence[AnyRecord] = ()) -> Segment:
        return self.seal_bytes(encode_content(Content(tuple(observations), tuple(records))))

    def seal_bytes(self, body: bytes) -> Segment:
        offset = len(self.sealed)
        header = SegmentHeader(
            epoch=self.epoch,
            offset=offset,
            sealed_at_ms=START_MS + offset * 30_000,
            boot=self.boot,
            config_version=1,
            previous=self.previous,
            parent=self.parent if offset == 0 else None,
        )
        segment = seal_segment(self.name, header, body, self.key.sign)
        self.sealed.append(segment)
        self.previous = segment.hash
        return segment

    def restart(self, epoch: bytes, boot: bytes = BOOT) -> Van:
        """The same van's next epoch, which names the last segment as its parent."""
        return Van(self.name, self.seed, epoch, self.sealed[-1].header.position, self.previous, boot)

    def deliveries(self, segments: Sequence[Segment] | None = None) -> list[Delivery]:
        return [Delivery(self.name, s.to_bytes()) for s in (self.sealed if segments is None else segments)]


class Enrol(Protocol):
    def __call__(self, van: Van) -> Van: ...
