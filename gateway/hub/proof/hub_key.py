"""The hub's own key: in data_dir, with the changes that lead to it from the keys that vehicles once pinned."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from gateway.core.errors import InputError
from gateway.core.records import KeyChange
from gateway.core.succession import HUB, Successor, hand_over
from gateway.keys import SigningKey, load_or_create_key, make_key, save_key

CHANGES_FILE = "hub.changes"
NEXT_SUFFIX = ".next"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[KeyChange]).decode


def load_hub_key(key_file: Path) -> SigningKey:
    """Return the key, made on first use; a change that was interrupted is finished or forgotten."""
    changes = _read_changes(key_file.with_name(CHANGES_FILE))
    following = key_file.with_name(key_file.name + NEXT_SUFFIX)
    if following.exists():
        key = load_or_create_key(following)
        if changes and changes[-1].new == key.public_bytes:
            following.replace(key_file)
        else:
            following.unlink()
    return load_or_create_key(key_file).with_changes(changes)


def rotate_hub_key(key_file: Path, at_ms: int) -> SigningKey:
    """Hand over to a new key and return it. The old one is gone; processes that run go on with it until they end."""
    key, following = load_hub_key(key_file), make_key()
    bare = key.with_changes(())
    change = hand_over(HUB, key.public_bytes, Successor(following.public_bytes), at_ms, bare.sign)
    save_key(key_file.with_name(key_file.name + NEXT_SUFFIX), following)
    _write(key_file.with_name(CHANGES_FILE), _encode([*key.changes, change]))  # the moment of the change
    return load_hub_key(key_file)


def _read_changes(path: Path) -> list[KeyChange]:
    try:
        return _decode(path.read_bytes())
    except FileNotFoundError:
        return []
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError("data_dir", f"damaged: {error}; take it from a backup", where=str(path)) from error


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
