"""Segments: exact there and back; nothing of a sealed one can change unseen."""

from __future__ import annotations

from contextlib import suppress

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import SegmentError
from gateway.core.segments import (
    NO_HASH,
    SEGMENT_BYTES_MAX,
    Position,
    Segment,
    SegmentHeader,
    check_segment,
    parse_segment,
    seal_segment,
)
from tests.core.specimens import examples

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
EPOCH, BOOT = b"epoch-01", b"boot-001"


def check(signature: bytes, message: bytes) -> bool:
    try:
        KEY.public_key().verify(signature, message)
    except InvalidSignature:
        return False
    return True


def seal(body: bytes = b"body", *, parent: Position | None = None, offset: int = 0, gateway: str = "VAN-1") -> Segment:
    header = SegmentHeader(EPOCH, offset, 1_780_000_000_000, BOOT, 3, NO_HASH, parent)
    return seal_segment(gateway, header, body, KEY.sign)


PARENT = Position(b"epoch-00", 41)
SEALED = [seal(), seal(parent=PARENT), seal(offset=7), seal(b"")]
headers = st.builds(
    SegmentHeader,
    epoch=st.binary(min_size=8, max_size=8),
    offset=st.integers(1, (1 << 32) - 1),
    sealed_at_ms=st.integers(0, (1 << 64) - 1),
    boot=st.binary(min_size=8, max_size=8),
    config_version=st.integers(0, (1 << 32) - 1),
    previous=st.binary(min_size=32, max_size=32),
)


@examples
@given(headers, st.binary(max_size=300))
def test_what_is_parsed_is_what_was_sealed(header: SegmentHeader, body: bytes) -> None:
    sealed = seal_segment("VAN-1", header, body, KEY.sign)
    parsed = parse_segment("VAN-1", sealed.to_bytes())
    assert parsed == sealed
    assert parsed.hash == sealed.hash
    check_segment(parsed, check)


@pytest.mark.parametrize("sealed", SEALED)
@pytest.mark.parametrize("dropped", [False, True])
def test_every_flipped_bit_is_detected(sealed: Segment, *, dropped: bool) -> None:
    data = (sealed.without_body() if dropped else sealed).to_bytes()
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SegmentError):
            check_segment(parse_segment("VAN-1", bytes(flipped)), check)


@pytest.mark.parametrize("sealed", SEALED)
@pytest.mark.parametrize("dropped", [False, True])
def test_every_truncation_and_extension_is_detected(sealed: Segment, *, dropped: bool) -> None:
    data = (sealed.without_body() if dropped else sealed).to_bytes()
    for other in (*(data[:size] for size in range(len(data))), data + b"\x00", b"\x00" + data):
        with pytest.raises(SegmentError):
            check_segment(parse_segment("VAN-1", other), check)


@pytest.mark.parametrize("sealed", SEALED)
def test_a_dropped_body_leaves_a_signed_header_with_the_same_hash(sealed: Segment) -> None:
    stripped = parse_segment("VAN-1", sealed.without_body().to_bytes())
    check_segment(stripped, check)
    assert stripped.body is None
    assert (stripped.header, stripped.hash) == (sealed.header, sealed.hash)


def test_a_segment_belongs_to_one_gateway() -> None:
    with pytest.raises(SegmentError, match="segment_signature"):
        check_segment(parse_segment("VAN-2", seal().to_bytes()), check)


def test_names_do_not_run_into_what_follows() -> None:
    assert seal(gateway="VAN").signed_message != seal(gateway="VAN-1").signed_message


def test_the_hash_covers_header_and_body_and_not_the_signature() -> None:
    other_key = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))
    again = seal_segment("VAN-1", seal().header, b"body", other_key.sign)
    assert again.hash == seal().hash
    assert seal(b"other").hash != seal().hash
    assert seal(offset=1).hash != seal().hash
    assert seal(parent=PARENT).hash != seal().hash


def test_a_parent_is_named_at_offset_0_only() -> None:
    assert parse_segment("VAN-1", seal(parent=PARENT).to_bytes()).header.parent == PARENT
    with pytest.raises(SegmentError, match="segment_parent"):
        parse_segment("VAN-1", seal(parent=PARENT, offset=1).to_bytes())


def test_a_segment_knows_its_position() -> None:
    assert seal(offset=7).header.position == Position(EPOCH, 7)


def test_a_segment_is_bounded_when_sealed_and_when_parsed() -> None:
    room = SEGMENT_BYTES_MAX - len(seal(b"").to_bytes())
    full = seal(bytes(room))
    assert parse_segment("VAN-1", full.to_bytes()) == full
    with pytest.raises(ValueError, match="exceeds"):
        seal(bytes(room + 1))
    with pytest.raises(SegmentError, match="segment_size"):
        parse_segment("VAN-1", full.to_bytes() + b"\x00")


@pytest.mark.parametrize(
    ("place", "value", "code"), [(0, 0, "magic"), (2, 2, "version"), (3, 0x84, "flags"), (3, 0x04, "flags")]
)
def test_what_is_wrong_has_a_code(place: int, value: int, code: str) -> None:
    data = bytearray(seal().to_bytes())
    data[place] = value
    with pytest.raises(SegmentError) as caught:
        parse_segment("VAN-1", bytes(data))
    assert caught.value.code == f"segment_{code}"


@examples
@given(st.binary(max_size=400))
def test_whatever_arrives_is_a_segment_or_an_error(data: bytes) -> None:
    for candidate in (data, b"CS\x01\x00" + data, b"CS\x01\x03" + data):
        with suppress(SegmentError):
            assert parse_segment("VAN-1", candidate).to_bytes() == candidate
