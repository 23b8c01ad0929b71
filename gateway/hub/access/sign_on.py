"""The single sign-on: the way there and back, who is let in, and proofs for signing. Blocking: call it from a thread.

A way is known by its `state`, and belongs to the browser that began it: a secret in a cookie, from which the nonce and
the verifier of PKCE come, so that neither is stored. It is used once. See docs/access.md.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest

from sqlalchemy import Row, delete, func, insert, select

from gateway.core.errors import ColdchainError
from gateway.hub.access.accounts import Account
from gateway.hub.access.admission import Admission
from gateway.hub.access.id_tokens import Expected
from gateway.hub.access.identities import Person, to_person
from gateway.hub.access.oidc_settings import OidcSettings
from gateway.hub.access.proofs import Proofs
from gateway.hub.access.provider import Provider
from gateway.hub.access.sessions import Sessions
from gateway.hub.access.tokens import hash_secret
from gateway.hub.database.schema import sign_ons
from gateway.hub.database.store import Store

BACK_PATH = "/login/sign-on/back"
"""Where the provider sends people; it is registered there, after http.public_url."""
WAY_MS = 600_000
"""For finding the telephone that the provider asks for, and no longer."""
WAYS_MAX = 10_000
"""Under way at once; beyond, somebody only begins."""
ROUNDING_S = 1.0
"""Providers state moments in whole seconds."""


class Lapse(StrEnum):
    """Why a way did not lead in."""

    LOST = "lost"
    """Not begun by this browser, used already, or too long ago."""
    FULL = "full"
    REFUSED = "refused"
    """The provider says no: whoever stood there gave up, or may not use this client."""
    NOT_ANEW = "not_anew"
    SOMEBODY_ELSE = "somebody_else"


class WayError(ColdchainError):
    """A way did not lead in."""

    def __init__(self, lapse: Lapse, detail: str = "") -> None:
        self.lapse = lapse
        super().__init__(f"{lapse.value}{': ' if detail else ''}{detail}")


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser goes, and the secret that it keeps meanwhile."""

    url: str
    browser: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider sent along with the browser."""

    state: str
    code: str = ""
    issuer: str | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The end of a way. `account` is to get a session; None where a session got a proof."""

    next_path: str
    account: Account | None


class SignOn:
    """Leads people to the provider and back."""

    def __init__(
        self,
        settings: OidcSettings,
        provider: Provider,
        store: Store,
        admission: Admission,
        sessions: Sessions,
        proofs: Proofs,
        real_ms: Callable[[], int],
    ) -> None:
        self.settings = settings
        self.provider = provider
        self._store = store
        self._admission = admission
        self._sessions = sessions
        self._proofs = proofs
        self._real_ms = real_ms

    def begin(self, next_path: str, *, purpose: str | None = None, session: str = "") -> Begun:
        """Begin a way that ends in a session, or with a purpose in a proof for `session`. Raises ProviderError."""
        state, browser, now_ms = secrets.token_urlsafe(32), secrets.token_urlsafe(32), self._real_ms()
        url = self.provider.authorization_url(state, _nonce(browser), _verifier(browser), anew=purpose is not None)
        with self._store.write() as connection:
            connection.execute(delete(sign_ons).where(sign_ons.c.begun_at_ms <= now_ms - WAY_MS))
            if connection.execute(select(func.count()).select_from(sign_ons)).scalar_one() >= WAYS_MAX:
                raise WayError(Lapse.FULL)
            connection.execute(
                insert(sign_ons).values(
                    state_hash=hash_secret(state),
                    browser_hash=hash_secret(browser),
                    next_path=next_path,
                    purpose=purpose,
                    session_hash=hash_secret(session) if session else None,
                    begun_at_ms=now_ms,
                )
            )
        return Begun(url, browser)

    def finish(self, answer: Answer, browser: str, session: str) -> Arrived:
        """End a way, once. Raises WayError, ProviderError, TokenError, ClaimError, NotAdmittedError."""
        way = self._take(answer.state, browser)
        self.provider.check_issuer(answer.issuer)
        if answer.error or not answer.code:
            raise WayError(Lapse.REFUSED, answer.error)
        token = self.provider.exchange(answer.code, _verifier(browser))
        now_ms = self._real_ms()
        expected = Expected(
            self.settings.issuer, self.settings.client_id, _nonce(browser), way.begun_at_ms / 1000, now_ms / 1000
        )
        person = to_person(self.provider.read_token(token, expected), self.settings)
        if way.purpose is None:
            account = self._admission.admit(person)
            return Arrived(way.next_path, account)
        _check_anew(person, (now_ms - way.begun_at_ms) / 1000)
        self._prove(way, person, session)
        return Arrived(way.next_path, None)

    def _take(self, state: str, browser: str) -> Row[tuple[object, ...]]:
        with self._store.write() as connection:
            taken = delete(sign_ons).where(
                sign_ons.c.state_hash == hash_secret(state),
                sign_ons.c.browser_hash == hash_secret(browser),
                sign_ons.c.begun_at_ms > self._real_ms() - WAY_MS,
            )
            row = connection.execute(taken.returning(sign_ons)).first()
        if row is None:
            raise WayError(Lapse.LOST)
        return row

    def _prove(self, way: Row[tuple[object, ...]], person: Person, session: str) -> None:
        caller = self._sessions.find(session) if session else None
        if caller is None or not compare_digest(hash_secret(session), bytes(way.session_hash)):
            raise WayError(Lapse.LOST, "the session that asked has ended")
        if not self._admission.is_account(caller.name, person.identity):
            raise WayError(Lapse.SOMEBODY_ELSE)
        self._proofs.add(session, caller.name, way.purpose)


def _check_anew(person: Person, under_way_s: float) -> None:
    """Check that somebody logged in after they were asked to.

    Both moments are of the provider's clock, so that it need not agree with this machine's: the token is at most as old
    as the way, and the login was no longer before the token than the way has lasted.
    """
    if person.logged_in_at_s is None:
        raise WayError(Lapse.NOT_ANEW, "auth_time is missing")
    if person.issued_at_s - person.logged_in_at_s > under_way_s + ROUNDING_S:
        raise WayError(Lapse.NOT_ANEW, "auth_time is from before")


def _nonce(browser: str) -> str:
    return _derive(b"coldchain nonce 1\x00", browser)


def _verifier(browser: str) -> str:
    return _derive(b"coldchain verifier 1\x00", browser)


def _derive(kind: bytes, browser: str) -> str:
    return urlsafe_b64encode(sha256(kind + browser.encode()).digest()).decode().rstrip("=")
