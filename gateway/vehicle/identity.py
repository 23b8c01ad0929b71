"""The gateway's identity: its key now, its keys before, and how each handed over to the next.

Key, token and changes must change together. The next key is on the card first, then the enrolment that names it, and
that is the moment of the change; moving the key into its place can be made good at the next start.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from gateway.core.errors import InputError
from gateway.core.records import KeyChange
from gateway.core.succession import CHANGES_MAX, Successor, hand_over
from gateway.keys import SigningKey, load_or_create_key, make_key, save_key
from gateway.vehicle.enrolment import Enrolment, save_enrolment

KEY_FILE = "gateway.key"
NEXT_KEY_FILE = "gateway.key.next"
FORMER_MAX = 32
"""Keys remembered: of a change each year, the card is worn out before."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(KeyChange).decode


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs.

    former   public keys that signed what is still on the card
    changes  what leads a hub from an earlier key to this one, oldest first
    """

    key: SigningKey
    former: tuple[bytes, ...] = ()
    changes: tuple[KeyChange, ...] = ()


def open_key(data_dir: Path, enrolment: Enrolment | None) -> SigningKey:
    """Return the key, made on first use; a change that a power cut interrupted is finished or forgotten."""
    following = data_dir / NEXT_KEY_FILE
    if following.exists():
        key = load_or_create_key(following)
        if enrolment is not None and enrolment.public_key == key.public_bytes.hex():
            following.replace(data_dir / KEY_FILE)
        else:
            following.unlink()
    return load_or_create_key(data_dir / KEY_FILE)


def identify(key: SigningKey, enrolment: Enrolment) -> Identity:
    """Return who signs; raises InputError for a damaged enrolment."""
    try:
        changes = tuple(_decode(bytes.fromhex(text)) for text in enrolment.changes)
    except (msgspec.MsgspecError, ValueError) as error:
        raise InputError("enrolment", f"damaged: {error}; enrol again with a new code") from error
    return Identity(key, tuple(bytes.fromhex(text) for text in enrolment.former_keys), changes)


def rotate_key(
    data_dir: Path, gateway: str, key: SigningKey, enrolment: Enrolment, at_ms: int, token: str
) -> Enrolment:
    """Hand over to a new key, with which `token` goes; return the enrolment then. Nothing must be running."""
    following = make_key()
    successor = Successor(following.public_bytes, sha256(token.encode()).digest())
    change = hand_over(gateway, key.public_bytes, successor, at_ms, key.sign)
    changes = (*enrolment.changes, _encode(change).hex())[-CHANGES_MAX:]
    return _change(data_dir, key, following, enrolment.model_copy(update={"token": token, "changes": changes}))


def replace_key(
    data_dir: Path, key: SigningKey, following: SigningKey, learnt: Enrolment, known: Enrolment
) -> Enrolment:
    """Go on with a key that was enrolled by a new code: no change leads to it from the one before."""
    return _change(data_dir, key, following, learnt.model_copy(update={"former_keys": known.former_keys}))


def _change(data_dir: Path, key: SigningKey, following: SigningKey, enrolment: Enrolment) -> Enrolment:
    former = (*enrolment.former_keys, key.public_bytes.hex())[-FORMER_MAX:]
    changed = enrolment.model_copy(update={"public_key": following.public_bytes.hex(), "former_keys": former})
    save_key(data_dir / NEXT_KEY_FILE, following)
    save_enrolment(data_dir, changed)
    open_key(data_dir, changed)
    return changed
