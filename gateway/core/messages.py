"""What the hub says to a gateway: acknowledgements and configuration, signed by the hub's pinned key."""

from __future__ import annotations

import msgspec

from gateway.core.errors import EnvelopeError
from gateway.core.segments import Check, Sign

ENVELOPE_BYTES_MAX = 1 << 20
"""A configuration with 100 boxes and the whole profile library takes about 200 KiB."""


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    payload: bytes
    signature: bytes


class EpochAck(msgspec.Struct, frozen=True, array_like=True):
    """The hub holds offsets 0 … next_offset-1 of `epoch` durably; `head` is the hash of the last one."""

    epoch: bytes
    next_offset: int
    head: bytes


class Ack(msgspec.Struct, frozen=True, array_like=True):
    """What the hub holds of one gateway's log.

    generation  grows when the hub is restored from a backup; only a new generation may go back
    gateway     whose log
    epochs      the newest epochs, oldest first (at most EPOCHS_PER_ACK)
    """

    generation: int
    gateway: str
    epochs: list[EpochAck]


EPOCHS_PER_ACK = 64
"""Epochs named in one ack: two months of one restart a day; a restart storm is acknowledged in parts."""

_decode_envelope = msgspec.msgpack.Decoder(_Envelope).decode
_decode_ack = msgspec.msgpack.Decoder(Ack).decode
_encode = msgspec.msgpack.Encoder().encode


def sign_envelope(kind: str, gateway: str, payload: bytes, sign: Sign) -> bytes:
    """Wrap `payload` of `kind` ("ack", "config") for one gateway."""
    return _encode(_Envelope(payload, sign(_message(kind, gateway, payload))))


def open_envelope(kind: str, gateway: str, data: bytes, check: Check) -> bytes:
    """Return the payload; raises EnvelopeError if it is malformed, of another kind or gateway, or forged."""
    if len(data) > ENVELOPE_BYTES_MAX:
        raise EnvelopeError(f"{kind}: {len(data)} bytes, at most {ENVELOPE_BYTES_MAX}")
    try:
        envelope = _decode_envelope(data)
    except msgspec.MsgspecError as error:
        raise EnvelopeError(f"{kind}: {error}") from error
    if not check(envelope.signature, _message(kind, gateway, envelope.payload)):
        raise EnvelopeError(f"{kind}: not signed for {gateway} by the pinned hub key")
    return envelope.payload


def encode_ack(ack: Ack) -> bytes:
    """Encode an ack for its envelope."""
    return _encode(ack)


def decode_ack(payload: bytes) -> Ack:
    """Decode an ack; raises EnvelopeError."""
    try:
        return _decode_ack(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EnvelopeError(f"ack: {error}") from error


def _message(kind: str, gateway: str, payload: bytes) -> bytes:
    return b"coldchain " + kind.encode() + b" 1\x00" + gateway.encode() + b"\x00" + payload
