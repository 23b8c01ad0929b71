"""Secrets of the hub: files that only their owner can read, and tokens of which only the hash is stored.

Expiry of secrets is counted in real time: it is a matter of security, not of the domain.
"""

from __future__ import annotations

import os
import secrets
from base64 import b32encode, urlsafe_b64encode
from contextlib import suppress
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac
from pathlib import Path

SECRET_BYTES = 32
ADMIN_TOKEN_FILE = "admin.token"  # noqa: S105  a file's name
HUB_SECRET_FILE = "hub.secret"  # noqa: S105  the same


def hash_secret(text: str) -> bytes:
    """Return what is stored of a code or token. They hold at least 100 random bits, so that a plain hash suffices."""
    return sha256(text.encode()).digest()


def is_same(given: str, expected_hash: bytes) -> bool:
    """Compare a secret with a stored hash in constant time."""
    return compare_digest(hash_secret(given), expected_hash)


def make_code() -> str:
    """Return a new enrolment code that can be read aloud: five groups of four letters and digits, 100 bits."""
    text = b32encode(secrets.token_bytes(13)).decode()[:20]
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def derive_token(secret: bytes, gateway: str, code_hash: bytes, public_key: bytes) -> str:
    """Return a gateway's token: the same again for the same code and key, so that a lost answer can be repeated."""
    message = b"coldchain token 1\x00" + gateway.encode() + b"\x00" + code_hash + public_key
    return "ccg_" + urlsafe_b64encode(hmac(secret, message, sha256).digest()).decode().rstrip("=")


def load_or_create_secret(folder: Path) -> bytes:
    """Return the hub's secret bytes, made on first use."""
    return _load_or_create(folder / HUB_SECRET_FILE, secrets.token_bytes(SECRET_BYTES))


def load_or_create_admin_token(folder: Path) -> str:
    """Return the administrator's token, made on first use."""
    made = "cca_" + secrets.token_urlsafe(SECRET_BYTES)
    return _load_or_create(folder / ADMIN_TOKEN_FILE, f"{made}\n".encode()).decode().strip()


def _load_or_create(path: Path, made: bytes) -> bytes:
    """Return what the file holds; made whole or not at all, whoever is killed or comes first meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, made)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    with suppress(FileExistsError):  # another process was faster: its secret is the one
        os.link(partial, path)
    partial.unlink()
    return path.read_bytes()
