"""Sessions of people who have logged in: a secret in a cookie, of which only the hash is stored."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac

from sqlalchemy import delete, insert, select, update

from gateway.hub.access.accounts import Account, to_account
from gateway.hub.access.callers import Caller, Way, make_caller
from gateway.hub.access.tokens import hash_secret
from gateway.hub.database.schema import sessions, users
from gateway.hub.database.store import Store

IDLE_MS = 45 * 60_000
"""A bench is left for a round through the ward; longer, and somebody else may stand there."""
LONGEST_MS = 12 * 3_600_000
"""A long shift: the next one begins with a password."""
NOTED_EACH_MS = 60_000
"""How exactly a session's last use is known: each page would else be a write."""
SESSIONS_MAX = 20
"""Of one account; the one used longest ago ends first."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was just opened. `secret` goes into the cookie and is nowhere else."""

    secret: str
    caller: Caller


class Sessions:
    """Opens, finds and ends sessions. Blocking: call it from a thread."""

    def __init__(self, store: Store, secret: bytes, real_ms: Callable[[], int]) -> None:
        self._store = store
        self._secret = secret
        self._real_ms = real_ms

    def open(self, account: Account, *, signed_on: bool = False) -> Opened:
        """Open a session for somebody who has shown who they are, here or at the single sign-on."""
        secret, now_ms = secrets.token_urlsafe(32), self._real_ms()
        with self._store.write() as connection:
            connection.execute(
                delete(sessions).where(
                    (sessions.c.expires_at_ms <= now_ms) | (sessions.c.used_at_ms <= now_ms - IDLE_MS)
                )
            )
            oldest = (
                select(sessions.c.secret_hash)
                .where(sessions.c.account == account.name)
                .order_by(sessions.c.used_at_ms.desc())
                .offset(SESSIONS_MAX - 1)
            )
            surplus = [row.secret_hash for row in connection.execute(oldest)]
            connection.execute(delete(sessions).where(sessions.c.secret_hash.in_(surplus)))
            connection.execute(
                insert(sessions).values(
                    secret_hash=hash_secret(secret),
                    account=account.name,
                    opened_at_ms=now_ms,
                    used_at_ms=now_ms,
                    expires_at_ms=now_ms + LONGEST_MS,
                    signed_on=signed_on,
                )
            )
        return Opened(secret, self._to_caller(account, secret))

    def find(self, secret: str) -> Caller | None:
        """Return whose session this is, None if it is nobody's, or has ended."""
        now_ms, hashed = self._real_ms(), hash_secret(secret)
        with self._store.read() as connection:
            row = connection.execute(
                select(users, sessions.c.used_at_ms)
                .join(sessions, sessions.c.account == users.c.name)
                .where(
                    sessions.c.secret_hash == hashed,
                    sessions.c.expires_at_ms > now_ms,
                    sessions.c.used_at_ms > now_ms - IDLE_MS,
                    users.c.disabled_at_ms.is_(None),
                )
            ).first()
        if row is None:
            return None
        if row.used_at_ms <= now_ms - NOTED_EACH_MS:
            with self._store.write() as connection:
                connection.execute(update(sessions).where(sessions.c.secret_hash == hashed).values(used_at_ms=now_ms))
        return self._to_caller(to_account(row), secret)

    def end(self, secret: str) -> bool:
        """End a session; of an unknown one nothing happens. Say whether the single sign-on had opened it."""
        with self._store.write() as connection:
            ended = (
                delete(sessions).where(sessions.c.secret_hash == hash_secret(secret)).returning(sessions.c.signed_on)
            )
            return bool(connection.execute(ended).scalar())

    def is_csrf(self, given: str, secret: str) -> bool:
        """Whether a form or a script of this session's own pages sent it."""
        return compare_digest(given.encode(), self._csrf(secret).encode())

    def _to_caller(self, account: Account, secret: str) -> Caller:
        return make_caller(
            account.name, account.roles, Way.SESSION, printed_name=account.printed_name, csrf=self._csrf(secret)
        )

    def _csrf(self, secret: str) -> str:
        return hmac(self._secret, b"coldchain csrf 1\x00" + hash_secret(secret), sha256).hexdigest()
