"""Who is let in by the single sign-on, and with which roles. Names never decide: an identity is linked, or is not."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from gateway.core.errors import ColdchainError, InputError
from gateway.hub.access.accounts import (
    NAME_MAX,
    PRINTED_NAME_MAX,
    Account,
    check_name,
    note_change,
    read_account,
    to_account,
)
from gateway.hub.access.identities import Identity, Person
from gateway.hub.access.roles import Role
from gateway.hub.audit.acts import begin_act
from gateway.hub.database.schema import sessions, users
from gateway.hub.database.store import Store

WHO = "sign-on"
_REASON = "groups at the sign-on"


class Refusal(StrEnum):
    """Why somebody whom the provider knows is not let in."""

    UNKNOWN = "unknown"
    DISABLED = "disabled"
    NO_ROLE = "no_role"
    NAME_TAKEN = "name_taken"
    NO_NAME = "no_name"
    """What the provider states cannot name an account."""


class NotAdmittedError(ColdchainError):
    """The provider knows who it is, and the hub lets them not in."""

    def __init__(self, refusal: Refusal, identity: Identity) -> None:
        self.refusal = refusal
        self.identity = identity
        super().__init__(refusal.value)


class Admission:
    """Finds, refreshes and makes accounts of people whom the provider has named. Blocking: call it from a thread.

    creates  whether somebody unknown with a mapped group gets an account
    """

    def __init__(
        self, store: Store, now_ms: Callable[[], int], real_ms: Callable[[], int], *, creates: bool = False
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._real_ms = real_ms
        self._creates = creates

    def admit(self, person: Person) -> Account:
        """Return somebody's account with the roles of today; raises NotAdmittedError.

        Whoever has lost all roles keeps none of what they had: sessions end, and tokens have no rights.
        """
        with self._store.write() as connection:
            begin_act(connection)
            row = connection.execute(select(users).where(users.c.subject == person.identity.stored)).first()
            if row is None:
                return self._create(connection, person)
            if row.disabled_at_ms is not None:
                raise NotAdmittedError(Refusal.DISABLED, person.identity)
            account = self._refresh(connection, to_account(row), person.roles)
        if not account.roles:
            raise NotAdmittedError(Refusal.NO_ROLE, person.identity)
        return account

    def is_account(self, name: str, identity: Identity) -> bool:
        """Whether an account is linked to an identity."""
        with self._store.read() as connection:
            account = read_account(connection, name)
        return account is not None and account.identity == identity

    def _refresh(self, connection: Connection, account: Account, roles: frozenset[Role] | None) -> Account:
        if roles is None or roles == account.roles:
            return account
        connection.execute(update(users).where(users.c.name == account.name).values(roles=_pack(roles)))
        if not roles:
            connection.execute(delete(sessions).where(sessions.c.account == account.name))
        return note_change(connection, account.name, "change_user", WHO, account, self._now_ms(), _REASON)

    def _create(self, connection: Connection, person: Person) -> Account:
        if not self._creates:
            raise NotAdmittedError(Refusal.UNKNOWN, person.identity)
        if not person.roles:
            raise NotAdmittedError(Refusal.NO_ROLE, person.identity)
        printed_name = person.printed_name or person.name
        try:
            check_name("name", person.name, NAME_MAX)
            check_name("printed_name", printed_name, PRINTED_NAME_MAX)
        except InputError as error:
            raise NotAdmittedError(Refusal.NO_NAME, person.identity) from error
        if read_account(connection, person.name) is not None:
            raise NotAdmittedError(Refusal.NAME_TAKEN, person.identity)
        connection.execute(
            insert(users).values(
                name=person.name,
                printed_name=printed_name,
                roles=_pack(person.roles),
                subject=person.identity.stored,
                created_at_ms=self._real_ms(),
            )
        )
        return note_change(connection, person.name, "add_user", WHO, None, self._now_ms(), "first login")


def _pack(roles: frozenset[Role]) -> str:
    """Unlike an administrator, groups may leave none."""
    return msgspec.json.encode(sorted(roles)).decode()
