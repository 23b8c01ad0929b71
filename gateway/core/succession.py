"""Succession of keys: the old key signs for the new one, so that whoever pinned the old one can follow.

A gateway's changes travel in its own log, at the beginning of each epoch; the hub's travel beside its signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from gateway.core.records import KeyChange
from gateway.core.segments import SIGNATURE_BYTES, Sign

CHANGES_MAX = 8
"""Changes that travel, the newest: whoever has missed more enrols again."""
HUB = ""
"""The subject of the hub's own changes; a gateway's name is never empty."""
ATTACHED_BYTES_MAX = 4096
"""CHANGES_MAX of 180 bytes each take a third of it."""
_CONTEXT = b"coldchain key 1\x00"
_KEY_BYTES = 32

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[KeyChange]).decode

CheckAs = Callable[[bytes, bytes, bytes], bool]
"""(public key, signature, message) → whether its owner made it."""


@dataclass(frozen=True, slots=True)
class Successor:
    """What comes after a key."""

    key: bytes
    token_hash: bytes = b""


def hand_over(subject: str, old: bytes, successor: Successor, at_ms: int, sign: Sign) -> KeyChange:
    """Let `old`, by its owner's `sign`, name its successor."""
    change = KeyChange(at_ms, True, old, successor.key, successor.token_hash, b"")
    return KeyChange(at_ms, True, old, successor.key, successor.token_hash, sign(_message(subject, change)))


def follow(subject: str, trusted: Iterable[bytes], changes: Sequence[KeyChange], check: CheckAs) -> list[KeyChange]:
    """Return the changes that lead on from the trusted keys, in order. Others are passed over: they prove nothing."""
    known = set(trusted)
    followed = []
    for change in changes[:CHANGES_MAX]:
        if len(change.new) != _KEY_BYTES or change.old not in known or change.new in known:
            continue
        if check(change.old, change.signature, _message(subject, change)):
            known.add(change.new)
            followed.append(change)
    return followed


def attach(signature: bytes, changes: Sequence[KeyChange]) -> bytes:
    """Let a signature bring along the changes that lead to the key that made it."""
    return signature + _encode(list(changes[-CHANGES_MAX:])) if changes else signature


def detach(data: bytes) -> tuple[bytes, list[KeyChange]]:
    """Return a signature and the changes that came with it; none where they are malformed."""
    signature, rest = data[:SIGNATURE_BYTES], data[SIGNATURE_BYTES:]
    if not 0 < len(rest) <= ATTACHED_BYTES_MAX:
        return signature, []
    try:
        return signature, _decode(rest)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return signature, []


def _message(subject: str, change: KeyChange) -> bytes:
    moment = change.at_ms.to_bytes(8, signed=True)
    return _CONTEXT + subject.encode() + b"\x00" + change.old + change.new + moment + change.token_hash
