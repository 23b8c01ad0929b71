"""The directory: recipients and policies, kept in the store, each change an act on record. Secrets are on no record."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, delete, func, select

from gateway.core.errors import InputError
from gateway.core.profiles import Model
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.database.rows import read_document, refuse_identities
from gateway.hub.database.schema import notification_policies, recipients
from gateway.hub.database.store import Store, replace_row
from gateway.hub.notification.channels import open_channel
from gateway.hub.notification.policies import DEFAULTS, Policy
from gateway.hub.notification.recipients import Channel, Recipient, reveal
from gateway.hub.settings import NotificationSettings

RECIPIENTS_MAX = 500
"""Wards, laboratories and telephones of a region; each has at most five channels, each channel at most one thread."""
POLICIES_MAX = 100


class Directory:
    """Reads and acts. Blocking."""

    def __init__(self, store: Store, settings: NotificationSettings, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._settings = settings
        self._now_ms = now_ms

    def recipients(self) -> list[Recipient]:
        """Return everybody who can be told, with their secrets: keep them inside."""
        with self._store.read() as connection:
            return list(read_recipients(connection).values())

    def recipient(self, name: str) -> Recipient | None:
        """Return one of them."""
        with self._store.read() as connection:
            return read_recipient(connection, name)

    def put_recipient(self, recipient: Recipient, who: str) -> Recipient:
        """Register a recipient, or change it. A channel without an address keeps the one that is known.

        Raises InputError, naming the field, for a channel that nothing can be sent to.
        """
        with self._store.write() as connection:
            begin_act(connection)
            old = read_recipient(connection, recipient.name)
            if old is None:
                _check_room(connection, RECIPIENTS_MAX)
            new = recipient.model_copy(update={"channels": tuple(_kept(each, old) for each in recipient.channels)})
            for place, channel in enumerate(new.channels):
                try:
                    open_channel(channel, self._settings)
                except InputError as error:
                    raise InputError(f"channels[{place}].{error.field}", error.reason) from error
            refuse_identities(new)
            replace_row(connection, recipients, name=new.name, document=reveal(new))
            self._record(connection, who, "register", f"recipient {new.name}", old, new, _changed(old, new))
            return new

    def remove_recipient(self, name: str, who: str) -> bool:
        """Remove a recipient; what waits for it is given up. Say whether there was one."""
        with self._store.write() as connection:
            begin_act(connection)
            old = read_recipient(connection, name)
            if old is not None:
                connection.execute(delete(recipients).where(recipients.c.name == name))
                self._record(connection, who, "remove", f"recipient {name}", old, None)
            return old is not None

    def policies(self) -> list[Policy]:
        """Return the policies in the order in which they are asked."""
        with self._store.read() as connection:
            return read_policies(connection)

    def put_policy(self, policy: Policy, who: str) -> None:
        """Register a policy, or change it."""
        with self._store.write() as connection:
            begin_act(connection)
            known = {each.name: each for each in read_policies(connection)}
            if policy.name not in known and len(known) >= POLICIES_MAX:
                raise InputError("name", f"there are {POLICIES_MAX} policies already")
            refuse_identities(policy)
            document = policy.model_dump_json()
            replace_row(connection, notification_policies, name=policy.name, document=document)
            self._record(connection, who, "register", f"policy {policy.name}", known.get(policy.name), policy)

    def remove_policy(self, name: str, who: str) -> bool:
        """Remove a policy of the store; one that the hub brings along is then as it was. Say whether there was one."""
        with self._store.write() as connection:
            begin_act(connection)
            document = read_document(connection, notification_policies, name)
            if document is not None:
                connection.execute(delete(notification_policies).where(notification_policies.c.name == name))
                old = Policy.model_validate_json(document)
                self._record(connection, who, "remove", f"policy {name}", old, None)
            return document is not None

    def _record(
        self,
        connection: Connection,
        who: str,
        act: str,
        subject: str,
        old: Model | None,
        new: Model | None,
        reason: str = "",
    ) -> None:
        before, after = (None if model is None else model.model_dump_json() for model in (old, new))
        record_act(connection, Act(who, act, subject, before, after, reason), self._now_ms())


def read_recipients(connection: Connection) -> dict[str, Recipient]:
    """Return everybody by name, with their secrets."""
    documents = connection.execute(select(recipients.c.document).order_by(recipients.c.name)).scalars()
    found = (Recipient.model_validate_json(document) for document in documents)
    return {recipient.name: recipient for recipient in found}


def read_policies(connection: Connection) -> list[Policy]:
    """Return the policies in order: those of the store, and the hub's own where no other has their name."""
    documents = connection.execute(select(notification_policies.c.document)).scalars()
    policies = {policy.name: policy for policy in DEFAULTS}
    policies |= {policy.name: policy for policy in map(Policy.model_validate_json, documents)}
    return sorted(policies.values(), key=lambda policy: (policy.order, policy.name))


def read_recipient(connection: Connection, name: str) -> Recipient | None:
    """Return one of them, None if there is none of that name."""
    document = connection.execute(select(recipients.c.document).where(recipients.c.name == name)).scalar()
    return None if document is None else Recipient.model_validate_json(document)


def _check_room(connection: Connection, most: int) -> None:
    if connection.execute(select(func.count()).select_from(recipients)).scalar_one() >= most:
        raise InputError("name", f"there are {most} recipients already")


def _kept(channel: Channel, old: Recipient | None) -> Channel:
    """Fill in what nobody reads, so that nobody sends it back. A new address is never signed with the old secret."""
    known = None if old is None else old.channel(channel.id)
    if known is None or channel.url is not None:
        return channel
    return channel.model_copy(update={"url": known.url, "secret": channel.secret or known.secret})


def _changed(old: Recipient | None, new: Recipient) -> str:
    """Say on record which addresses are other ones now; what they are is on no record."""
    known = {} if old is None else {channel.id: channel for channel in old.channels}
    changed = [channel.id for channel in new.channels if known.get(channel.id) != channel]
    return f"new address or secret: {', '.join(changed)}" if changed else ""
