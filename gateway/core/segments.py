"""Segments: the unit of the vehicle's log, sealed, signed and chained. The encoded bytes are what travels.

An outbox is a list of epochs; an epoch is a chain of segments with offsets 0, 1, 2, … Each start of an outbox
opens a new epoch whose first segment names, as its parent, the last segment found on disk.

Wire form (big-endian)::

    magic "CS" · version u8 · flags u8 · epoch 8 · offset u32 · sealed_at_ms u64 · boot 8 · config_version u32
    · previous 32 [· parent_epoch 8 · parent_offset u32] · signature 64 · body | body hash 32

What is signed is the header, without the signature, followed by the SHA-256 of the body, bound to the gateway's name;
so a payload can be dropped when the disk is full while its signed header stays and still proves its place.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from gateway.core.errors import SegmentError

SEGMENT_BYTES_MAX = 256 * 1024
"""A full segment (4,096 records) takes about 60 KiB; brokers and buffers are sized for this bound."""
EPOCH_BYTES = 8
BOOT_BYTES = 8
HASH_BYTES = 32
SIGNATURE_BYTES = 64
NO_HASH = bytes(HASH_BYTES)
"""`previous` of the very first segment of an outbox that found nothing on disk."""

_MAGIC = b"CS"
_VERSION = 1
_HEADER = struct.Struct(f">2sBB{EPOCH_BYTES}sIQ{BOOT_BYTES}sI{HASH_BYTES}s")
_PARENT = struct.Struct(f">{EPOCH_BYTES}sI")
_HAS_PARENT, _BODY_DROPPED = 1, 2
_CONTEXT = b"coldchain segment 1\x00"

Sign = Callable[[bytes], bytes]
"""Signs a message with the private key; Ed25519, 64 bytes."""
Check = Callable[[bytes, bytes], bool]
"""(signature, message) → whether the enrolled public key made it."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a gateway's log."""

    epoch: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What a segment says of itself.

    epoch           8 random bytes, new at each start of the outbox
    offset          0, 1, 2, … within the epoch
    sealed_at_ms    the gateway's UTC when it was sealed
    boot            8 bytes naming the boot that `monotonic_ms` values belong to
    config_version  version of the configuration in force (0: none yet)
    previous        hash of the segment before: in this epoch, or for offset 0 the parent's; NO_HASH if none
    parent          for offset 0: the last segment found on disk, or None
    """

    epoch: bytes
    offset: int
    sealed_at_ms: int
    boot: bytes
    config_version: int
    previous: bytes
    parent: Position | None = None

    @property
    def position(self) -> Position:
        """Where this segment stands."""
        return Position(self.epoch, self.offset)


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment. `body` is None where the payload was dropped and only its hash is known."""

    gateway: str
    header: SegmentHeader
    signature: bytes
    body: bytes | None
    body_hash: bytes

    @property
    def signed_message(self) -> bytes:
        """The bytes that the signature covers."""
        return _CONTEXT + self.gateway.encode() + b"\x00" + _encode_header(self.header) + self.body_hash

    @property
    def hash(self) -> bytes:
        """What the next segment names as `previous`."""
        return sha256(self.signed_message).digest()

    def to_bytes(self) -> bytes:
        """The wire form, verbatim what is stored and sent."""
        dropped = self.body is None
        head = _encode_header(self.header, dropped=dropped)
        return head + self.signature + (self.body_hash if self.body is None else self.body)

    def without_body(self) -> Segment:
        """The same segment with its payload dropped."""
        return replace(self, body=None)


def seal_segment(gateway: str, header: SegmentHeader, body: bytes, sign: Sign) -> Segment:
    """Sign and return a segment. Raises ValueError if it would exceed SEGMENT_BYTES_MAX."""
    unsigned = Segment(gateway, header, bytes(SIGNATURE_BYTES), body, sha256(body).digest())
    segment = replace(unsigned, signature=sign(unsigned.signed_message))
    if len(segment.to_bytes()) > SEGMENT_BYTES_MAX:
        raise ValueError(f"segment of {len(body)} bytes of content exceeds {SEGMENT_BYTES_MAX} bytes")
    return segment


def parse_segment(gateway: str, data: bytes) -> Segment:
    """Read the wire form that `gateway` sent; raises SegmentError. Authenticity is `check_segment`'s question."""
    if len(data) > SEGMENT_BYTES_MAX:
        raise SegmentError("segment_size", f"{len(data)} bytes, at most {SEGMENT_BYTES_MAX}")
    if len(data) < _HEADER.size + SIGNATURE_BYTES:
        raise SegmentError("segment_truncated", f"{len(data)} bytes are shorter than a header")
    magic, version, flags, epoch, offset, sealed_at_ms, boot, config_version, previous = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise SegmentError("segment_magic", "does not begin like a segment")
    if version != _VERSION:
        raise SegmentError("segment_version", f"version {version} is not known here")
    if flags & ~(_HAS_PARENT | _BODY_DROPPED):
        raise SegmentError("segment_flags", f"unknown flags {flags:#x}")
    parent, position = _parse_parent(data, offset) if flags & _HAS_PARENT else (None, _HEADER.size)
    signature = data[position : position + SIGNATURE_BYTES]
    rest = data[position + SIGNATURE_BYTES :]
    dropped = bool(flags & _BODY_DROPPED)
    if dropped and len(rest) != HASH_BYTES:
        raise SegmentError("segment_truncated", "a dropped payload leaves exactly its hash")
    header = SegmentHeader(epoch, offset, sealed_at_ms, boot, config_version, previous, parent)
    if dropped:
        return Segment(gateway, header, signature, None, rest)
    return Segment(gateway, header, signature, rest, sha256(rest).digest())


def read_position(data: bytes) -> Position | None:
    """Return the place that the wire form claims; None where it is too short. `parse_segment` says if the rest is."""
    if len(data) < _HEADER.size:
        return None
    _, _, _, epoch, offset, *_ = _HEADER.unpack_from(data)
    return Position(epoch, offset)


def check_segment(segment: Segment, check: Check) -> None:
    """Raise SegmentError unless the enrolled key signed this segment for this gateway."""
    if not check(segment.signature, segment.signed_message):
        raise SegmentError("segment_signature", "not signed by the gateway's enrolled key")


def _parse_parent(data: bytes, offset: int) -> tuple[Position, int]:
    """Return the parent and where the signature begins."""
    end = _HEADER.size + _PARENT.size
    if offset != 0:
        raise SegmentError("segment_parent", f"offset {offset} names a parent; only offset 0 may")
    if len(data) < end + SIGNATURE_BYTES:
        raise SegmentError("segment_truncated", "ends within the parent")
    return Position(*_PARENT.unpack_from(data, _HEADER.size)), end


def _encode_header(header: SegmentHeader, *, dropped: bool = False) -> bytes:
    flags = (_HAS_PARENT if header.parent else 0) | (_BODY_DROPPED if dropped else 0)
    head = _HEADER.pack(
        _MAGIC,
        _VERSION,
        flags,
        header.epoch,
        header.offset,
        header.sealed_at_ms,
        header.boot,
        header.config_version,
        header.previous,
    )
    return head if header.parent is None else head + _PARENT.pack(header.parent.epoch, header.parent.offset)
