"""Ed25519 keys: made at enrolment, kept in files that only their owner can read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.core.errors import InputError
from gateway.core.records import KeyChange
from gateway.core.succession import HUB, attach, detach, follow

PUBLIC_KEY_BYTES = 32


class SigningKey:
    """A private key that signs. `changes` lead to it from earlier keys, and go along with each signature."""

    def __init__(self, private: Ed25519PrivateKey, changes: Sequence[KeyChange] = ()) -> None:
        self._private = private
        self.changes = tuple(changes)

    @property
    def public_bytes(self) -> bytes:
        """The 32 bytes that others pin."""
        return self._private.public_key().public_bytes_raw()

    @property
    def private_bytes(self) -> bytes:
        """The 32 bytes that nobody else may see."""
        return self._private.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature, with the changes of this key behind it if there were any."""
        return attach(self._private.sign(message), self.changes)

    def with_changes(self, changes: Sequence[KeyChange]) -> SigningKey:
        """Return the same key, with what leads to it."""
        return SigningKey(self._private, changes)


class VerifyKey:
    """A public key that checks."""

    def __init__(self, public_bytes: bytes) -> None:
        try:
            self._public = Ed25519PublicKey.from_public_bytes(public_bytes)
        except ValueError as error:
            raise InputError("public_key", f"not an Ed25519 public key of {PUBLIC_KEY_BYTES} bytes") from error
        self.public_bytes = public_bytes

    def check(self, signature: bytes, message: bytes) -> bool:
        """Say whether this key's owner signed the message."""
        try:
            self._public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class PinnedKey:
    """Another party's key as it was pinned, which follows where that key has handed over.

    on_change    is told the new key; from then on the one before is not taken any more
    keep_former  take the earlier ones too: for what was signed long ago
    """

    def __init__(
        self, public_bytes: bytes, on_change: Callable[[bytes], None] | None = None, *, keep_former: bool = False
    ) -> None:
        VerifyKey(public_bytes)
        self.known: tuple[bytes, ...] = (public_bytes,)
        self._on_change = on_change
        self._keep_former = keep_former

    def check(self, signature: bytes, message: bytes) -> bool:
        """Say whether the owner signed, with the pinned key or one that it leads to."""
        signature, changes = detach(signature)
        if any(check_as(key, signature, message) for key in self.known):
            return True
        followed = [change.new for change in follow(HUB, self.known, changes, check_as)]
        if not followed or not check_as(followed[-1], signature, message):
            return False
        self.known = (*self.known, *followed) if self._keep_former else (followed[-1],)
        if self._on_change is not None:
            self._on_change(followed[-1])
        return True


def check_as(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether the owner of `public_key` signed the message; False also for what is no key."""
    try:
        return VerifyKey(public_key).check(signature, message)
    except InputError:
        return False


def make_key() -> SigningKey:
    """Return a new key, which is nowhere but in memory."""
    return SigningKey(Ed25519PrivateKey.generate())


def save_key(path: Path, key: SigningKey) -> None:
    """Write a key durably; whole or not at all, and its owner's alone (0600)."""
    partial = path.with_name(path.name + ".part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, key.private_bytes)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.rename(path)


def check_any(keys: Iterable[VerifyKey | PinnedKey]) -> Callable[[bytes, bytes], bool]:
    """Return what says whether the owner of any of the keys signed a message."""
    known = tuple(keys)
    return lambda signature, message: any(key.check(signature, message) for key in known)


def load_or_create_key(path: Path) -> SigningKey:
    """Return the key in `path`, made on first use; raises InputError if the file holds no key.

    A new key is on the disk before it is used, and the file is its owner's alone (0600).
    """
    try:
        return SigningKey(Ed25519PrivateKey.from_private_bytes(path.read_bytes()))
    except FileNotFoundError:
        return _create_key(path)
    except ValueError as error:
        raise InputError("key", "does not hold a raw Ed25519 private key of 32 bytes", where=str(path)) from error


def _create_key(path: Path) -> SigningKey:
    key = make_key()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_key(path, key)
    return key
