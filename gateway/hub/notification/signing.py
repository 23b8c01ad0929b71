"""Signatures of webhooks: HMAC-SHA256 over id, time and body, in the form that is called Standard Webhooks.

A receiver refuses what is older or newer than `TOLERANCE_S`, and remembers ids for as long: a copy that somebody sends
again later is refused by its time, and sooner by its id. The hub's own repetitions carry the same id and a new time.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_ENCODED = "whsec_"
TOLERANCE_S = 300
"""Clocks differ and networks delay; a replay within it is caught by its id."""


def sign(secret: str, uid: str, at_s: int, body: bytes) -> str:
    """Return what the header `webhook-signature` says."""
    signed = b".".join((uid.encode(), str(at_s).encode(), body))
    return "v1," + b64encode(hmac.new(key_of(secret), signed, sha256).digest()).decode()


def key_of(secret: str) -> bytes:
    """Return the key: the secret's own bytes, or those that stand in Base64 after "whsec_". Raises ValueError."""
    encoded = secret.removeprefix(_ENCODED)
    return secret.encode() if encoded == secret else b64decode(encoded, validate=True)


def is_authentic(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Say whether a receiver may believe a request. `headers` by names in lower case."""
    try:
        at_s = int(headers[TIMESTAMP])
        expected = sign(secret, headers[ID], at_s, body)
        given = headers[SIGNATURE].split()
    except (KeyError, ValueError):
        return False
    is_fresh = abs(now_s - at_s) <= TOLERANCE_S
    return is_fresh and any(hmac.compare_digest(expected.encode(), one.encode()) for one in given)
