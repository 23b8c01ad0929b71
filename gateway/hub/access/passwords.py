"""Passwords: what one must be, and its hash by Argon2id with the library's parameters (RFC 9106, low memory)."""

from __future__ import annotations

from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.core.errors import InputError

LENGTH_MIN = 12
"""Long rather than intricate: no rule asks for signs, and none for a change after months (NIST SP 800-63B)."""
LENGTH_MAX = 128
AT_ONCE = 4
"""Each hash takes 64 MiB for some tens of milliseconds: who logs in waits for a place rather than for memory."""
_SEQUENCES = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopåasdfghjkløæzxcvbnm")

_hasher = PasswordHasher()
_places = BoundedSemaphore(AT_ONCE)
_NOBODY = _hasher.hash("the hash that is checked where there is no account")


def check_password(password: str, name: str) -> None:
    """Raise InputError naming `password` unless it can be one of this account."""
    reason = _find_fault(password, name)
    if reason:
        raise InputError("password", reason)


def hash_password(password: str) -> str:
    """Return what is stored."""
    with _places:
        return _hasher.hash(password)


def is_password(password: str, stored: str | None) -> bool:
    """Whether it is the password of a hash; without a hash, no, after the same work."""
    if len(password) > LENGTH_MAX:
        return False
    with _places:
        try:
            return _hasher.verify(stored or _NOBODY, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def _find_fault(password: str, name: str) -> str:
    folded = password.casefold()
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        return f"must have {LENGTH_MIN} to {LENGTH_MAX} characters"
    if name.casefold() in folded:
        return "must not contain the account's name"
    if len(set(folded)) < LENGTH_MIN // 2 or any(folded in run * 8 or folded[::-1] in run * 8 for run in _SEQUENCES):
        return "is too easy to guess"
    return ""
