"""What the hub says: bound to its kind, to one gateway and to the pinned key."""

from __future__ import annotations

from contextlib import suppress

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import EnvelopeError
from gateway.core.messages import (
    ENVELOPE_BYTES_MAX,
    Ack,
    EpochAck,
    decode_ack,
    encode_ack,
    open_envelope,
    sign_envelope,
)
from tests.core.specimens import examples

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))


def check(signature: bytes, message: bytes) -> bool:
    try:
        KEY.public_key().verify(signature, message)
    except InvalidSignature:
        return False
    return True


SIGNED = sign_envelope("ack", "VAN-1", b"payload", KEY.sign)


def test_the_gateway_that_is_meant_opens_it() -> None:
    assert open_envelope("ack", "VAN-1", SIGNED, check) == b"payload"


@pytest.mark.parametrize(("kind", "gateway"), [("config", "VAN-1"), ("ack", "VAN-2"), ("ac", "k VAN-1")])
def test_it_is_bound_to_its_kind_and_its_gateway(kind: str, gateway: str) -> None:
    with pytest.raises(EnvelopeError, match="not signed"):
        open_envelope(kind, gateway, SIGNED, check)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(EnvelopeError, match="not signed"):
        open_envelope("ack", "VAN-1", sign_envelope("ack", "VAN-1", b"payload", OTHER_KEY.sign), check)


def test_every_flipped_bit_and_truncation_is_detected() -> None:
    changed = [SIGNED[:size] for size in range(len(SIGNED))]
    for bit in range(len(SIGNED) * 8):
        flipped = bytearray(SIGNED)
        flipped[bit // 8] ^= 1 << bit % 8
        changed.append(bytes(flipped))
    for data in changed:
        with pytest.raises(EnvelopeError):
            open_envelope("ack", "VAN-1", data, check)


def test_an_envelope_is_bounded() -> None:
    big = sign_envelope("config", "VAN-1", bytes(ENVELOPE_BYTES_MAX), KEY.sign)
    with pytest.raises(EnvelopeError, match="at most"):
        open_envelope("config", "VAN-1", big, check)


@examples
@given(
    st.builds(
        Ack,
        generation=st.integers(0, 1 << 40),
        gateway=st.text(max_size=20),
        epochs=st.lists(
            st.builds(EpochAck, epoch=st.binary(max_size=8), next_offset=st.integers(0, 1 << 32), head=st.binary())
        ),
    )
)
def test_an_ack_is_exact(ack: Ack) -> None:
    assert decode_ack(encode_ack(ack)) == ack


def test_text_that_is_no_text_is_an_error() -> None:
    with pytest.raises(EnvelopeError, match="ack: "):
        decode_ack(encode_ack(Ack(1, "abc", [])).replace(b"abc", b"a\xc5c"))


@examples
@given(st.binary(max_size=60))
def test_whatever_is_no_ack_is_an_error(data: bytes) -> None:
    with suppress(EnvelopeError):
        assert isinstance(decode_ack(data), Ack)
