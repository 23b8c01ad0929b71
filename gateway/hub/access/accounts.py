"""Accounts of people: names, roles, passwords, and the rest that an account takes after wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from gateway.core.errors import ColdchainError, InputError
from gateway.core.identifiers import refuse_identity_number
from gateway.hub.access.identities import Identity, split_identity
from gateway.hub.access.passwords import check_password, hash_password, is_outdated, is_password
from gateway.hub.access.roles import Role
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.database.schema import sessions, users
from gateway.hub.database.store import Store

FAILURES_FREE = 5
"""Wrong passwords in a row before an account rests."""
REST_FIRST_MS = 60_000
REST_MAX_MS = 900_000
"""A rest doubles with each further wrong password, up to this: longer, and whoever guesses shuts the owner out."""
NAME_MAX = 64
PRINTED_NAME_MAX = 120


class LoginRefusedError(ColdchainError):
    """Name or password is wrong, or the account rests or is disabled. Which of them is not said to whoever asks."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account. Moments are UTC in milliseconds, None for never.

    printed_name  what a signature prints
    identity      who the hospital's single sign-on says it is, None if it is not linked
    has_password  whether there is one to log in and to sign with
    """

    name: str
    printed_name: str
    roles: frozenset[Role]
    identity: Identity | None
    has_password: bool
    created_at_ms: int
    disabled_at_ms: int | None
    rests_until_ms: int | None


class Accounts:
    """Reads and acts. Blocking: call it from a thread.

    now_ms   what the audit trail's moments are counted in
    real_ms  what security is counted in
    """

    def __init__(self, store: Store, now_ms: Callable[[], int], real_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self._real_ms = real_ms

    def add(
        self,
        name: str,
        printed_name: str,
        roles: Iterable[Role],
        who: str,
        *,
        password: str = "",
        identity: Identity | None = None,
    ) -> Account:
        """Make an account with a password, or with an identity of the sign-on; raises InputError naming the field."""
        check_name("name", name, NAME_MAX)
        check_name("printed_name", printed_name, PRINTED_NAME_MAX)
        if not password and identity is None:
            raise InputError("password", "an account needs a password, or a subject of the single sign-on")
        if password:
            check_password(password, name)
        hashed = hash_password(password) if password else None
        with self._store.write() as connection:
            begin_act(connection)
            if read_account(connection, name) is not None:
                raise InputError("name", f"there is an account {name} already")
            _check_free(connection, identity)
            connection.execute(
                insert(users).values(
                    name=name,
                    printed_name=printed_name,
                    roles=_pack(roles),
                    password_hash=hashed,
                    subject=identity and identity.stored,
                    created_at_ms=self._real_ms(),
                )
            )
            return note_change(connection, name, "add_user", who, None, self._now_ms())

    def change(
        self,
        name: str,
        who: str,
        *,
        roles: Iterable[Role] | None = None,
        printed_name: str | None = None,
        reason: str = "",
    ) -> Account:
        """Change roles or the printed name."""
        values: dict[str, object] = {} if roles is None else {"roles": _pack(roles)}
        if printed_name is not None:
            check_name("printed_name", printed_name, PRINTED_NAME_MAX)
            values["printed_name"] = printed_name
        return self._update(name, "change_user", who, reason, values)

    def disable(self, name: str, who: str, reason: str) -> Account:
        """Let nobody in by this account; its sessions and tokens end at once. Its acts stay on record."""
        return self._update(name, "disable_user", who, reason, {"disabled_at_ms": self._real_ms()})

    def enable(self, name: str, who: str, reason: str = "") -> Account:
        """Undo disable, and end a rest."""
        values = {"disabled_at_ms": None, "rests_until_ms": None, "failures": 0}
        return self._update(name, "enable_user", who, reason, values)

    def link(self, name: str, identity: Identity, who: str, reason: str = "") -> Account:
        """Let in by this account whoever the sign-on says this is; raises InputError if either is linked already."""
        with self._store.write() as connection:
            begin_act(connection)
            before = _require(connection, name)
            if before.identity is not None:
                raise InputError("subject", f"{name} is linked already: unlink it first")
            _check_free(connection, identity)
            connection.execute(update(users).where(users.c.name == name).values(subject=identity.stored))
            return note_change(connection, name, "link_user", who, before, self._now_ms(), reason)

    def unlink(self, name: str, who: str, reason: str = "") -> Account:
        """End what link has begun, and the account's sessions. Without a password nobody gets in then."""
        with self._store.write() as connection:
            begin_act(connection)
            before = _require(connection, name)
            if before.identity is None:
                raise InputError("subject", f"{name} is not linked")
            connection.execute(update(users).where(users.c.name == name).values(subject=None))
            connection.execute(delete(sessions).where(sessions.c.account == name))
            return note_change(connection, name, "unlink_user", who, before, self._now_ms(), reason)

    def set_password(self, name: str, password: str, who: str) -> Account:
        """Set a new password; other sessions of the account end."""
        check_password(password, name)
        values = {"password_hash": hash_password(password), "failures": 0, "rests_until_ms": None}
        with self._store.write() as connection:
            begin_act(connection)
            before = _require(connection, name)
            connection.execute(update(users).where(users.c.name == name).values(**values))
            connection.execute(delete(sessions).where(sessions.c.account == name))
            return note_change(connection, name, "set_password", who, before, self._now_ms())

    def check(self, name: str, password: str) -> Account:
        """Return whose name and password these are; raises LoginRefusedError."""
        now_ms = self._real_ms()
        with self._store.read() as connection:
            row = connection.execute(select(users).where(users.c.name == name)).first()
        usable = row is not None and row.disabled_at_ms is None and (row.rests_until_ms or 0) <= now_ms
        is_right = is_password(password, row.password_hash if usable and row is not None else None)
        if row is None or not usable:
            raise LoginRefusedError
        if not is_right:
            self._count_failure(name, now_ms)
            raise LoginRefusedError
        if row.failures or is_outdated(row.password_hash):
            fresh = hash_password(password) if is_outdated(row.password_hash) else row.password_hash
            with self._store.write() as connection:
                connection.execute(
                    update(users)
                    .where(users.c.name == name, users.c.password_hash == row.password_hash)
                    .values(failures=0, rests_until_ms=None, password_hash=fresh)
                )
        return to_account(row)

    def accounts(self) -> list[Account]:
        """Return all accounts by name."""
        with self._store.read() as connection:
            return [to_account(row) for row in connection.execute(select(users).order_by(users.c.name))]

    def account(self, name: str) -> Account | None:
        """Return one account."""
        with self._store.read() as connection:
            return read_account(connection, name)

    def _update(self, name: str, act: str, who: str, reason: str, values: Mapping[str, object]) -> Account:
        with self._store.write() as connection:
            begin_act(connection)
            before = _require(connection, name)
            if not values:
                return before
            connection.execute(update(users).where(users.c.name == name).values(**values))
            if "disabled_at_ms" in values:
                connection.execute(delete(sessions).where(sessions.c.account == name))
            return note_change(connection, name, act, who, before, self._now_ms(), reason)

    def _count_failure(self, name: str, now_ms: int) -> None:
        with self._store.write() as connection:
            begin_act(connection)
            row = connection.execute(select(users).where(users.c.name == name).with_for_update()).one()
            failures = row.failures + 1
            rest_ms = min(REST_FIRST_MS << min(failures - FAILURES_FREE, 10), REST_MAX_MS) if _is_many(failures) else 0
            connection.execute(
                update(users)
                .where(users.c.name == name)
                .values(failures=failures, rests_until_ms=now_ms + rest_ms if rest_ms else None)
            )
            if rest_ms:
                reason = f"{failures} wrong passwords in a row; rests {rest_ms // 60_000} min"
                record_act(connection, Act("hub", "rest_user", f"user {name}", reason=reason), self._now_ms())


def to_account(row: Row[tuple[object, ...]]) -> Account:
    """Return the account of a row of `users`."""
    return Account(
        name=row.name,
        printed_name=row.printed_name,
        roles=frozenset(Role(role) for role in msgspec.json.decode(row.roles)),
        identity=split_identity(row.subject),
        has_password=row.password_hash is not None,
        created_at_ms=row.created_at_ms,
        disabled_at_ms=row.disabled_at_ms,
        rests_until_ms=row.rests_until_ms,
    )


def note_change(
    connection: Connection, name: str, act: str, who: str, before: Account | None, now_ms: int, reason: str = ""
) -> Account:
    """Enter into the audit trail what has become of an account, and return it as it is now."""
    after = _require(connection, name)
    old = None if before is None else _describe(before)
    record_act(connection, Act(who, act, f"user {name}", old, _describe(after), reason), now_ms)
    return after


def _is_many(failures: int) -> bool:
    return failures >= FAILURES_FREE


def read_account(connection: Connection, name: str) -> Account | None:
    """Return one account."""
    row = connection.execute(select(users).where(users.c.name == name)).first()
    return None if row is None else to_account(row)


def _require(connection: Connection, name: str) -> Account:
    account = read_account(connection, name)
    if account is None:
        raise InputError("name", f"there is no account {name}")
    return account


def _check_free(connection: Connection, identity: Identity | None) -> None:
    if identity is None:
        return
    if connection.execute(select(users.c.name).where(users.c.subject == identity.stored)).first():
        raise InputError("subject", "another account has it")


def _pack(roles: Iterable[Role]) -> str:
    packed = sorted(set(roles))
    if not packed:
        raise InputError("roles", "an account needs at least one role")
    return msgspec.json.encode(packed).decode()


def _describe(account: Account) -> str:
    described = {
        "printed_name": account.printed_name,
        "roles": sorted(account.roles),
        "by": "password" if account.identity is None else "sign-on",
        "disabled": account.disabled_at_ms is not None,
    } | ({} if account.identity is None else {"issuer": account.identity.issuer, "subject": account.identity.subject})
    return msgspec.json.encode(described).decode()


def check_name(field: str, text: str, length: int) -> None:
    """Raise InputError unless it can be a name: printable, and no identity number."""
    if not text.strip() or len(text) > length or not text.isprintable() or text != text.strip():
        raise InputError(field, f"1 to {length} printable characters, no blanks at its ends")
    refuse_identity_number(field, text)
