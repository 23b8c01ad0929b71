"""Tokens of programs: a part of the rights of the account that made them, for a time."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
from sqlalchemy import Row, insert, select, update

from gateway.core.errors import InputError
from gateway.core.identifiers import refuse_identity_number
from gateway.hub.access.accounts import to_account
from gateway.hub.access.callers import Caller, Way
from gateway.hub.access.roles import Right, rights_of
from gateway.hub.access.tokens import hash_secret
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.database.schema import api_tokens, users
from gateway.hub.database.store import Store

DAY_MS = 86_400_000
DAYS_MAX = 366
"""A token that nobody renews within a year belongs to a program that nobody remembers."""
LABEL_MAX = 64
PREFIX = "ccp_"
"""What tokens of programs begin with, so that scanners for leaked secrets find them."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What is known of a token; the token itself is shown once, when it is made."""

    id: int
    label: str
    account: str
    rights: frozenset[Right]
    made_at_ms: int
    expires_at_ms: int
    revoked_at_ms: int | None


class ApiTokens:
    """Makes, finds and revokes tokens. Blocking: call it from a thread."""

    def __init__(self, store: Store, now_ms: Callable[[], int], real_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self._real_ms = real_ms

    def make(self, account: str, label: str, rights: Iterable[Right], days: int, who: str) -> tuple[ApiToken, str]:
        """Return a new token and its text; raises InputError for rights that the account does not have."""
        if not label.strip() or len(label) > LABEL_MAX or not label.isprintable():
            raise InputError("label", f"1 to {LABEL_MAX} printable characters")
        refuse_identity_number("label", label)
        if not 1 <= days <= DAYS_MAX:
            raise InputError("days", f"from 1 to {DAYS_MAX}")
        wanted, text, now_ms = frozenset(rights), PREFIX + secrets.token_urlsafe(32), self._real_ms()
        if not wanted:
            raise InputError("rights", "a token needs at least one right")
        with self._store.write() as connection:
            begin_act(connection)
            owner = connection.execute(select(users).where(users.c.name == account)).first()
            if owner is None or owner.disabled_at_ms is not None:
                raise InputError("account", f"there is no account {account} in use")
            missing = wanted - rights_of(to_account(owner).roles)
            if missing:
                raise InputError("rights", f"{account} may not {', '.join(sorted(missing))}")
            row = connection.execute(
                insert(api_tokens)
                .values(
                    label=label,
                    account=account,
                    rights=msgspec.json.encode(sorted(wanted)).decode(),
                    token_hash=hash_secret(text),
                    made_at_ms=now_ms,
                    expires_at_ms=now_ms + days * DAY_MS,
                )
                .returning(api_tokens)
            ).one()
            about = msgspec.json.encode({"label": label, "account": account, "rights": sorted(wanted), "days": days})
            record_act(connection, Act(who, "make_token", f"token {row.id}", new=about.decode()), self._now_ms())
        return _to_token(row), text

    def revoke(self, number: int, who: str, *, of: str | None = None) -> ApiToken:
        """End a token, with `of` only if it is that account's; raises InputError if there is none. Twice is once."""
        with self._store.write() as connection:
            begin_act(connection)
            row = connection.execute(select(api_tokens).where(api_tokens.c.id == number)).first()
            if row is None or of not in (None, row.account):
                raise InputError("id", f"there is no token {number}")
            if row.revoked_at_ms is None:
                connection.execute(
                    update(api_tokens).where(api_tokens.c.id == number).values(revoked_at_ms=self._real_ms())
                )
                record_act(connection, Act(who, "revoke_token", f"token {number}"), self._now_ms())
            return _to_token(connection.execute(select(api_tokens).where(api_tokens.c.id == number)).one())

    def find(self, text: str) -> Caller | None:
        """Return whom a token stands for, None if it is nobody's, revoked, expired, or its account is disabled.

        Its rights are those that it was given and that its account still has.
        """
        with self._store.read() as connection:
            row = connection.execute(
                select(api_tokens).where(
                    api_tokens.c.token_hash == hash_secret(text),
                    api_tokens.c.revoked_at_ms.is_(None),
                    api_tokens.c.expires_at_ms > self._real_ms(),
                )
            ).first()
            if row is None:
                return None
            owner = to_account(connection.execute(select(users).where(users.c.name == row.account)).one())
        if owner.disabled_at_ms is not None:
            return None
        rights = _to_token(row).rights & rights_of(owner.roles)
        return Caller(owner.name, owner.roles, rights, Way.TOKEN, owner.printed_name)

    def tokens(self, account: str | None = None) -> list[ApiToken]:
        """Return all tokens, or those of one account, oldest first."""
        wanted = select(api_tokens).order_by(api_tokens.c.id)
        with self._store.read() as connection:
            rows = connection.execute(wanted if account is None else wanted.where(api_tokens.c.account == account))
            return [_to_token(row) for row in rows]


def _to_token(row: Row[tuple[object, ...]]) -> ApiToken:
    return ApiToken(
        id=row.id,
        label=row.label,
        account=row.account,
        rights=frozenset(Right(right) for right in msgspec.json.decode(row.rights)),
        made_at_ms=row.made_at_ms,
        expires_at_ms=row.expires_at_ms,
        revoked_at_ms=row.revoked_at_ms,
    )
