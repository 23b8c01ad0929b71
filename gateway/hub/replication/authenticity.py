"""Authenticity: which of the deliveries were signed by a key that may sign, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from sqlalchemy import Connection

from gateway.core.contents import Content
from gateway.core.errors import SegmentError
from gateway.core.records import KeyChange
from gateway.core.segments import Segment, parse_segment
from gateway.core.succession import follow
from gateway.hub.replication.chain import Arrival, read_content
from gateway.hub.replication.gateway_keys import Ring, is_stored, read_rings
from gateway.keys import VerifyKey, check_as

MOMENT_MS_MAX = (1 << 63) - 1
VERSION_MAX = (1 << 31) - 1
"""What the columns hold; the wire form has room for more."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message of a gateway's log topic."""

    gateway: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A delivery that is not authentic, and why."""

    delivery: Delivery
    error: SegmentError


def sort_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> tuple[list[Arrival], list[Refusal]]:
    """Tell what is authentic from what is not. A key that is handed over in this batch already counts in it."""
    rings = read_rings(connection, {delivery.gateway for delivery in deliveries})
    arrivals: list[Arrival] = []
    refusals: list[Refusal] = []
    waiting = list(deliveries)
    while True:
        refusals = []
        are_keys_new = False
        for delivery in waiting:
            ring = rings.get(delivery.gateway, Ring())
            try:
                arrival = _authenticate(connection, delivery, ring)
            except SegmentError as error:
                refusals.append(Refusal(delivery, error))
                continue
            arrivals.append(arrival)
            ring.valid += [change.new for change in arrival.changes]
            are_keys_new = are_keys_new or bool(arrival.changes)
        if not are_keys_new:
            return arrivals, refusals
        waiting = [refusal.delivery for refusal in refusals]


def _authenticate(connection: Connection, delivery: Delivery, ring: Ring) -> Arrival:
    """Parse, check the signature with the gateway's keys, decode; raises SegmentError."""
    segment = parse_segment(delivery.gateway, delivery.data)
    if not (ring.valid or ring.retired or ring.revoked):
        raise SegmentError("gateway_unknown", f"no gateway {delivery.gateway} is enrolled")
    message = segment.signed_message
    is_valid = _is_signed(segment, message, ring.valid)
    content, fault = read_content(segment)
    changes = () if is_valid else _follow(segment, message, content, ring)
    if not is_valid and not changes:
        is_retired = _is_signed(segment, message, ring.retired)
        if not (is_retired and is_stored(connection, segment)):
            raise _explain(segment, message, ring, is_retired=is_retired)
    if segment.header.sealed_at_ms > MOMENT_MS_MAX or segment.header.config_version > VERSION_MAX:
        raise SegmentError("segment_range", "names a moment or a version of the configuration that cannot be")
    return Arrival(segment, sha256(message).digest(), delivery.data, content, fault, changes)


def _follow(segment: Segment, message: bytes, content: Content | None, ring: Ring) -> tuple[KeyChange, ...]:
    """Return the changes of key that a segment brings, if they lead from a valid key to the one that signed it."""
    told = [] if content is None else [record for record in content.records if isinstance(record, KeyChange)]
    changes = follow(segment.gateway, ring.valid, told, check_as)
    return tuple(changes) if changes and _is_signed(segment, message, [changes[-1].new]) else ()


def _explain(segment: Segment, message: bytes, ring: Ring, *, is_retired: bool) -> SegmentError:
    if is_retired:
        return SegmentError("key_retired", "signed by a key that had handed over to another one before")
    if _is_signed(segment, message, ring.revoked):
        return SegmentError("key_revoked", "signed by a key that was revoked")
    return SegmentError("segment_signature", "not signed by the gateway's enrolled key")


def _is_signed(segment: Segment, message: bytes, keys: Iterable[bytes]) -> bool:
    return any(_key(key).check(segment.signature, message) for key in keys)


@lru_cache(maxsize=4096)
def _key(public_key: bytes) -> VerifyKey:
    return VerifyKey(public_key)
