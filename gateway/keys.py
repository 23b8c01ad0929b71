"""Ed25519 keys: made at enrolment, kept in files that only their owner can read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.core.errors import InputError

PUBLIC_KEY_BYTES = 32


class SigningKey:
    """A private key that signs."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @property
    def public_bytes(self) -> bytes:
        """The 32 bytes that others pin."""
        return self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature."""
        return self._private.sign(message)


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


def check_any(keys: Iterable[VerifyKey]) -> Callable[[bytes, bytes], bool]:
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
    private = Ed25519PrivateKey.generate()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, private.private_bytes_raw())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.rename(path)
    return SigningKey(private)
