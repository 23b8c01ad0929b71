"""The smallest hub that does what the protocol says: what the model tests compare with."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

from gateway.core.contents import decode_content
from gateway.core.messages import EPOCHS_PER_ACK, Ack, EpochAck
from gateway.core.records import DeviceFault
from gateway.core.segments import NO_HASH, Segment, check_segment, parse_segment
from gateway.keys import VerifyKey


@dataclass
class ReferenceHub:
    """One gateway's log, in memory."""

    gateway: str
    public_key: bytes
    generation: int = 1
    epochs: dict[bytes, list[Segment]] = field(default_factory=dict)
    held: dict[tuple[bytes, int], Segment] = field(default_factory=dict)

    def take(self, data: bytes) -> None:
        """Chain the segment, or hold it; a segment that contradicts what is here is an error of the test."""
        segment = parse_segment(self.gateway, data)
        check_segment(segment, VerifyKey(self.public_key).check)
        header = segment.header
        known = self.epochs.setdefault(header.epoch, [])
        if header.offset < len(known):
            assert known[header.offset].hash == segment.hash, "two segments at one place"
            return
        self.held[header.epoch, header.offset] = segment
        while any(self._advance(epoch) for epoch in self.epochs):
            pass

    def ack(self, *, short: int = 0) -> Ack:
        """What is held, each epoch `short` segments less than that."""
        named = []
        for epoch, chain in list(self.epochs.items())[-EPOCHS_PER_ACK:]:
            count = max(0, len(chain) - short)
            named.append(EpochAck(epoch, count, chain[count - 1].hash if count else NO_HASH))
        return Ack(self.generation, self.gateway, named)

    def restored(self, backup: ReferenceHub) -> ReferenceHub:
        """The hub after its restoration from a backup: a new generation."""
        restored = deepcopy(backup)
        restored.generation = self.generation + 1
        return restored

    def numbers(self) -> list[int]:
        """The counters of all observations in the chains."""
        return [
            observation.counter
            for chain in self.epochs.values()
            for segment in chain
            if segment.body is not None
            for observation in decode_content(segment.body).observations
            if observation.counter is not None
        ]

    def faults(self) -> list[str]:
        """The codes of the gateway's own faults, as told in its log."""
        contents = [decode_content(s.body) for chain in self.epochs.values() for s in chain if s.body is not None]
        return [record.code for content in contents for record in content.records if isinstance(record, DeviceFault)]

    def dropped(self) -> int:
        """Segments in the chains of which only the header came."""
        return sum(segment.body is None for chain in self.epochs.values() for segment in chain)

    def _advance(self, epoch: bytes) -> bool:
        chain = self.epochs[epoch]
        segment = self.held.get((epoch, len(chain)))
        if segment is None:
            return False
        previous = chain[-1].hash if chain else self._hash_of_parent(segment)
        if previous is None:
            return False
        assert segment.header.previous == previous, "a segment does not continue the chain"
        chain.append(self.held.pop((epoch, len(chain))))
        return True

    def _hash_of_parent(self, segment: Segment) -> bytes | None:
        parent = segment.header.parent
        if parent is None:
            return NO_HASH
        chain = self.epochs.get(parent.epoch, [])
        return chain[parent.offset].hash if parent.offset < len(chain) else None
