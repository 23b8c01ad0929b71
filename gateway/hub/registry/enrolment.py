"""Enrolment: a one-time code turns a gateway's public key into a known one, and its tokens into its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from gateway.core.errors import ColdchainError, InputError
from gateway.core.topics import LOG, topic_of
from gateway.hub.access.tokens import derive_token, hash_secret, is_same, make_code
from gateway.hub.audit.acts import Act, begin_act, record_act, record_acts
from gateway.hub.database.schema import enrolment_codes, gateway_keys, gateways
from gateway.hub.database.store import Store, insert_or_skip
from gateway.hub.signals.events import tell
from gateway.hub.times import real_ms
from gateway.keys import VerifyKey

CODE_DAYS = 7
"""How long a code can be used: it is read out when the gateway is built in, within a working week."""
_DAY_MS = 86_400_000


class EnrolmentRefusedError(ColdchainError):
    """The code is unknown, expired, or was used for another key. Which of them is not said to whoever asks."""


@dataclass(frozen=True, slots=True)
class GatewayState:
    """What is known of a gateway. Moments in UTC milliseconds, None where nothing happened.

    clock_*  what its log last said of its clock, at `clock_at_ms`: whether it was trusted, the bound on its error, and
             who vouched for it (ntp, chrony, gps, declared)
    reception  whether it stands where boxes arrive
    """

    name: str
    enrolled: bool
    online: bool
    status_at_ms: int | None
    sealed_at_ms: int | None
    received_at_ms: int | None
    clock_trusted: bool | None = None
    clock_error_ms: int | None = None
    clock_reference: str | None = None
    clock_at_ms: int | None = None
    reception: bool = False


def check_gateway(name: str) -> None:
    """Raise InputError, naming `gateway`, for a name that no gateway can have."""
    topic_of(name, LOG)


def issue_codes(connection: Connection, gateways: Sequence[str], who: str, now_ms: int) -> dict[str, str]:
    """Return a new one-time code for each gateway, within the caller's act."""
    codes = {gateway: make_code() for gateway in gateways}
    expires_at_ms = real_ms() + CODE_DAYS * _DAY_MS
    rows = [
        {"code_hash": hash_secret(code), "gateway": gateway, "expires_at_ms": expires_at_ms}
        for gateway, code in codes.items()
    ]
    if rows:
        connection.execute(insert(enrolment_codes), rows)
    record_acts(connection, [Act(who, "issue_code", f"gateway {gateway}") for gateway in codes], now_ms)
    return codes


class Enrolment:
    """Codes, keys and tokens of gateways. Blocking: call it from a thread."""

    def __init__(self, store: Store, secret: bytes, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._secret = secret
        self._now_ms = now_ms

    def issue_code(self, gateway: str, who: str) -> str:
        """Return a new one-time code for a gateway; raises InputError for a name that cannot be one."""
        check_gateway(gateway)
        with self._store.write() as connection:
            return issue_codes(connection, [gateway], who, self._now_ms())[gateway]

    def enrol(self, gateway: str, code: str, public_key: bytes) -> str:
        """Return the gateway's token. The same code and key again give the same; raises EnrolmentRefusedError."""
        VerifyKey(public_key)
        code_hash = hash_secret(code)
        token = derive_token(self._secret, gateway, code_hash, public_key)
        with self._store.write() as connection:
            begin_act(connection)
            row = connection.execute(
                select(enrolment_codes).where(enrolment_codes.c.code_hash == code_hash).with_for_update()
            ).first()
            if row is None or row.gateway != gateway:
                raise EnrolmentRefusedError
            _refuse_former(connection, gateway, public_key)
            if row.used_by is not None:
                if bytes(row.used_by) != public_key:
                    raise EnrolmentRefusedError
                return token
            if row.expires_at_ms < real_ms():
                raise EnrolmentRefusedError
            connection.execute(
                update(enrolment_codes).where(enrolment_codes.c.code_hash == code_hash).values(used_by=public_key)
            )
            self._add_key(connection, gateway, public_key, token)
        return token

    def gateway_of(self, token: str) -> str | None:
        """Return whose token this is, None if it is nobody's or was revoked."""
        token_hash = hash_secret(token)
        with self._store.read() as connection:
            row = connection.execute(
                select(gateway_keys.c.gateway, gateway_keys.c.token_hash).where(
                    gateway_keys.c.token_hash == token_hash,
                    gateway_keys.c.revoked_at_ms.is_(None),
                    gateway_keys.c.retired_at_ms.is_(None),
                )
            ).first()
        return row.gateway if row is not None and is_same(token, bytes(row.token_hash)) else None

    def gateways(self) -> list[GatewayState]:
        """Return every gateway."""
        with self._store.read() as connection:
            rows = connection.execute(select(gateways).order_by(gateways.c.name))
            return [
                GatewayState(
                    name=row.name,
                    enrolled=row.revoked_at_ms is None,
                    online=row.online,
                    status_at_ms=row.status_at_ms,
                    sealed_at_ms=row.sealed_at_ms,
                    received_at_ms=row.received_at_ms,
                    clock_trusted=row.clock_trusted,
                    clock_error_ms=row.clock_error_ms,
                    clock_reference=row.clock_reference,
                    clock_at_ms=row.clock_at_ms,
                    reception=row.reception,
                )
                for row in rows
            ]

    def place(self, gateway: str, who: str, *, reception: bool) -> None:
        """Say whether a gateway stands at a reception. Raises InputError for one that nobody has enrolled."""
        with self._store.write() as connection:
            begin_act(connection)
            was = connection.execute(select(gateways.c.reception).where(gateways.c.name == gateway)).scalar()
            if was is None:
                raise InputError("gateway", f"no gateway {gateway} is enrolled")
            if was != reception:
                connection.execute(update(gateways).where(gateways.c.name == gateway).values(reception=reception))
                told = [json.dumps({"reception": value}) for value in (was, reception)]
                record_act(connection, Act(who, "place", f"gateway {gateway}", *told), self._now_ms())

    def note_status(self, gateway: str, *, online: bool, at_ms: int | None) -> None:
        """Remember what a gateway, or its last will, says of its link. Each worker hears it; the first one tells."""
        known = (gateways.c.online == online) & gateways.c.status_at_ms.is_not_distinct_from(at_ms)
        with self._store.write() as connection:
            changed = connection.execute(
                update(gateways).where(gateways.c.name == gateway, ~known).values(online=online, status_at_ms=at_ms)
            )
            if changed.rowcount:
                tell(connection, "gateway", {"gateway": gateway, "online": online}, self._now_ms())

    def _add_key(self, connection: Connection, gateway: str, public_key: bytes, token: str) -> None:
        now_ms = self._now_ms()
        insert_or_skip(connection, gateways, name=gateway, created_at_ms=now_ms)
        known = connection.execute(
            select(gateway_keys.c.token_hash).where(
                gateway_keys.c.gateway == gateway, gateway_keys.c.public_key == public_key
            )
        ).first()
        if known is None:
            connection.execute(
                insert(gateway_keys).values(
                    gateway=gateway,
                    public_key=public_key,
                    token_hash=hash_secret(token),
                    enrolled_at_ms=now_ms,
                )
            )
        else:  # enrolled again with the same key: the new token replaces the old one
            connection.execute(
                update(gateway_keys)
                .where(gateway_keys.c.gateway == gateway, gateway_keys.c.public_key == public_key)
                .values(token_hash=hash_secret(token), enrolled_at_ms=now_ms)
            )
        connection.execute(update(gateways).where(gateways.c.name == gateway).values(revoked_at_ms=None))
        record_act(connection, Act("enrolment", "enrol", f"gateway {gateway}", new=public_key.hex()), now_ms)
        tell(connection, "gateway", {"gateway": gateway, "online": False}, now_ms)


def _refuse_former(connection: Connection, gateway: str, public_key: bytes) -> None:
    """A key that was revoked, or has handed over, never comes back: whoever holds it may have stolen it."""
    row = connection.execute(
        select(gateway_keys.c.revoked_at_ms, gateway_keys.c.retired_at_ms).where(
            gateway_keys.c.gateway == gateway, gateway_keys.c.public_key == public_key
        )
    ).first()
    if row is not None and (row.revoked_at_ms is not None or row.retired_at_ms is not None):
        reason = "was revoked or replaced: `coldchain vehicle rotate-key --enrol CODE` makes a new one"
        raise InputError("public_key", reason)
