"""Who reaches the screen. The vehicle's own machine does; every other device says the PIN first.

A page of another site, open in the same browser, can do nothing: what changes something needs the screen's own origin
and a header that no form can send, and a name that is not the vehicle's (DNS rebinding) is refused.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

from gateway.vehicle.settings import DriverSettings, is_loopback

COOKIE = "screen"
HEADER = "X-Coldchain-Screen"
TRIES_MAX = 5
PAUSE_MS = 60_000
"""After TRIES_MAX wrong PINs nobody may try for a minute: six digits then hold out for seventy days on average."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Lets in or refuses. Time is monotonic milliseconds."""

    def __init__(self, settings: DriverSettings) -> None:
        self._pin = None if settings.pin is None else settings.pin.get_secret_value()
        self._names = {name.lower() for name in settings.names} | {"localhost"}
        self._key = secrets.token_bytes(32)
        self._wrong = 0
        self._shut_until_ms = 0

    def check(self, request: Request) -> None:
        """Refuse another site's page, and a name that is not ours; raises HTTPException."""
        host = request.headers.get("host", "")
        if not self._is_ours(urlsplit(f"//{host}").hostname or ""):
            raise HTTPException(HTTPStatus.MISDIRECTED_REQUEST, "driver.names does not have this name")
        origin = request.headers.get("origin")
        if request.method not in _SAFE and origin is not None and urlsplit(origin).netloc != host:
            raise HTTPException(HTTPStatus.FORBIDDEN, "only from the screen itself")

    def check_script(self, request: Request) -> None:
        """Refuse what the screen's own script has not sent; raises HTTPException."""
        if request.headers.get(HEADER) is None:
            raise HTTPException(HTTPStatus.FORBIDDEN, f"without the header {HEADER}")

    def knows(self, request: Request) -> bool:
        """Whether whoever asks sits at this machine, or has said the PIN."""
        if request.client is not None and is_loopback(request.client.host):
            return True
        return self._pin is not None and hmac.compare_digest(
            request.cookies.get(COOKIE, "").encode(), self.token().encode()
        )

    def try_pin(self, pin: str, now_ms: int) -> bool:
        """Whether it is the PIN; after too many wrong ones no PIN is, for a while."""
        if self._pin is None or now_ms < self._shut_until_ms:
            return False
        if hmac.compare_digest(pin.encode(), self._pin.encode()):
            self._wrong = 0
            return True
        self._wrong += 1
        if self._wrong >= TRIES_MAX:
            self._wrong, self._shut_until_ms = 0, now_ms + PAUSE_MS
        return False

    def token(self) -> str:
        """What a device that has said the PIN carries, until the vehicle starts anew."""
        return hmac.new(self._key, b"screen", sha256).hexdigest()

    def _is_ours(self, name: str) -> bool:
        try:
            ip_address(name)
        except ValueError:
            return name.lower() in self._names
        return True
