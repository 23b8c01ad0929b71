"""The acts of a hand-in: codes are made and revoked, something is handed in, and that is undone.

Each is one transaction with its entry in the audit trail. A hand-in registers a consignment, unless everything in it is
registered in that box already, and leaves a record that the box was handed over.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection, insert, select, update

from gateway.core.configuration import Box, CodeRule, Consignment
from gateway.core.custody import CustodyAct, CustodyRecord
from gateway.core.errors import ColdchainError, InputError
from gateway.core.identifiers import check_code
from gateway.core.records import CustodyEvent, Withdrawal
from gateway.hub.access.tokens import hash_secret, is_same
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.database.rows import read_document, read_profile, read_registered
from gateway.hub.database.schema import boxes, carriages, consignments, custody, hand_ins
from gateway.hub.database.store import Store, inserted_id
from gateway.hub.hand_in.codes import (
    HandIn,
    Standing,
    count_open,
    find_hand_in,
    hash_code,
    make_code,
    read_hand_in,
    read_hand_ins,
)
from gateway.hub.hand_in.statements import Statement, check_collected, make_consignment, make_items, withdraw
from gateway.hub.registry.registry import Registry
from gateway.hub.times import real_ms, to_datetime

DAYS_MAX = 30
"""For how long a code can be valid: a kit that is sent home and comes back within the month."""
AT_ONCE_MAX = 24
"""Codes made at once: a sheet of labels."""
OPEN_MAX = 5000
"""Codes that can be used at a time: a fortnight of two hundred a day, with as many that never come back."""
UNDO_MS = 15 * 60_000
"""Real time in which the same browser can undo: as long as somebody stands before the shelf."""
NUMBERS_MAX = 100
"""Codes of consignments tried for one hand-in, should somebody have registered others under them."""
_HOUR_MS = 3_600_000
_encode = msgspec.msgpack.Encoder().encode


class NotOpenError(ColdchainError):
    """A code cannot be used. `hand_in` is None where nobody made it."""

    def __init__(self, hand_in: HandIn | None) -> None:
        super().__init__("this code cannot be used")
        self.hand_in = hand_in


class UnknownHandInError(InputError):
    """There is no hand-in of this number."""


class NothingToHandInError(InputError):
    """No item was stated, and nothing is registered in the box."""


@dataclass(frozen=True, slots=True)
class Order:
    """For what a code is made. `hours` from now it can be used."""

    box: str
    hours: int
    requester: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A new code, shown this once."""

    hand_in: HandIn
    code: str


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What was handed in, and the secret by which this browser may undo it."""

    hand_in: HandIn
    secret: str


class HandInDesk:
    """Acts and reads. Blocking: call it from a thread."""

    def __init__(self, store: Store, registry: Registry, rules: Sequence[CodeRule], now_ms: Callable[[], int]) -> None:
        self._store = store
        self._registry = registry
        self._rules = tuple(rules)
        self._now_ms = now_ms

    # --- at the laboratory

    def make(self, order: Order, who: str, *, count: int = 1) -> list[Made]:
        """Make one-time codes. Raises InputError for an unknown box or profile, or if too many codes are open."""
        if not 1 <= order.hours <= DAYS_MAX * 24:
            raise InputError("hours", f"from 1 to {DAYS_MAX * 24}")
        if not 1 <= count <= AT_ONCE_MAX:
            raise InputError("count", f"from 1 to {AT_ONCE_MAX}")
        requester = None if order.requester is None else check_code("requester", order.requester)
        with self._store.write() as connection:
            begin_act(connection)
            if read_document(connection, boxes, order.box) is None:
                raise InputError("box", f"no box {order.box} is registered")
            if order.profile is not None and read_profile(connection, order.profile) is None:
                raise InputError("profile", f"no profile {order.profile}")
            if count_open(connection, real_ms()) + count > OPEN_MAX:
                raise InputError("count", f"{OPEN_MAX} codes can be used already: revoke some")
            return [self._make(connection, order, requester, who) for _ in range(count)]

    def _make(self, connection: Connection, order: Order, requester: str | None, who: str) -> Made:
        code = make_code()
        added = connection.execute(
            insert(hand_ins).values(
                code_hash=hash_code(code),
                box=order.box,
                requester=requester,
                profile=order.profile,
                made_at_ms=self._now_ms(),
                made_by=who,
                expires_at_ms=real_ms() + order.hours * _HOUR_MS,
            )
        )
        made = _known(connection, inserted_id(added))
        told = {"box": made.box, "requester": made.requester, "profile": made.profile, "until_ms": made.expires_at_ms}
        new = msgspec.json.encode(told).decode()
        record_act(connection, Act(who, "issue_code", made.who, new=new), self._now_ms())
        return Made(made, code)

    def revoke(self, number: int, who: str) -> HandIn:
        """Take a code back; what was handed in by it stays. Raises UnknownHandInError. Again: nothing changes."""
        with self._store.write() as connection:
            begin_act(connection)
            known = _known(connection, number)
            if known.standing(real_ms()) is not Standing.OPEN:
                return known
            _change(connection, number, revoked_at_ms=self._now_ms())
            record_act(connection, Act(who, "revoke", known.who), self._now_ms())
            return _known(connection, number)

    def listed(self) -> list[HandIn]:
        """Return the hand-ins made last, newest first."""
        with self._store.read() as connection:
            return read_hand_ins(connection)

    # --- by whoever has the code

    def find(self, code: str) -> HandIn | None:
        """Return what a code stands for, None for no code."""
        with self._store.read() as connection:
            return find_hand_in(connection, code)

    def box_of(self, hand_in: HandIn) -> Box | None:
        """Return the box of a hand-in, None where it is registered no more."""
        with self._store.read() as connection:
            document = read_document(connection, boxes, hand_in.box)
        return None if document is None else Box.model_validate_json(document)

    def hand_in(self, code: str, statement: Statement) -> HandedIn:
        """Hand in what is stated, and use the code up. Raises NotOpenError; InputError for what cannot be known."""
        now_ms = self._now_ms()
        now = to_datetime(now_ms)
        check_collected(statement.collected_at, now)
        secret = secrets.token_urlsafe(16)
        with self._store.write() as connection:
            begin_act(connection)
            known = find_hand_in(connection, code, locked=True)
            if known is None or known.standing(real_ms()) is not Standing.OPEN:
                raise NotOpenError(known)
            attempt = known.attempts + 1
            consignment = self._register(connection, known, statement, now)
            _change(
                connection,
                known.number,
                attempts=attempt,
                handed_in_at_ms=now_ms,
                undo_until_ms=real_ms() + UNDO_MS,
                browser_hash=hash_secret(secret),
                consignment=consignment,
                statement=statement.model_dump_json(),
            )
            _note(connection, known, attempt, statement, consignment, now_ms)
            act = Act(known.who, "hand_in", f"box {known.box}", new=statement.model_dump_json())
            record_act(connection, act, now_ms)
            return HandedIn(_known(connection, known.number), secret)

    def may_undo(self, hand_in: HandIn, secret: str) -> bool:
        """Whether this browser can undo, now."""
        until_ms, browser_hash = hand_in.undo_until_ms, hand_in.browser_hash
        if until_ms is None or browser_hash is None or real_ms() >= until_ms:
            return False
        return is_same(secret, browser_hash)

    def undo(self, code: str, secret: str) -> HandIn:
        """Undo a hand-in: the code can be used again. Raises NotOpenError where it is too late, or another browser."""
        now_ms = self._now_ms()
        with self._store.write() as connection:
            begin_act(connection)
            known = find_hand_in(connection, code, locked=True)
            if known is None or not self.may_undo(known, secret):
                raise NotOpenError(known)
            if known.consignment is not None:
                self._withdraw(connection, known, known.consignment, to_datetime(now_ms))
            record = Withdrawal(at_ms=now_ms, clock_trusted=True, id=_id_of(known, known.attempts))
            _keep(connection, known, record)
            nothing = dict.fromkeys(
                ("handed_in_at_ms", "undo_until_ms", "browser_hash", "consignment", "statement"), None
            )
            _change(connection, known.number, **nothing)
            old = None if known.statement is None else known.statement.model_dump_json()
            record_act(connection, Act(known.who, "undo", f"box {known.box}", old=old), now_ms)
            return _known(connection, known.number)

    # --- parts of acts

    def _register(self, connection: Connection, known: HandIn, statement: Statement, now: datetime) -> str | None:
        """Register what is not registered in the box already; return the code of the consignment, None for nothing."""
        there = _read_there(connection, known.box)
        waiting = {item.code for one in there for item in one.items}
        wanted = [item for item in statement.items if item not in waiting]
        if not wanted:
            if not there:
                raise NothingToHandInError("items", "state at least one item: nothing is registered in this box")
            return None
        profile = None if known.profile is None else read_profile(connection, known.profile)
        items = make_items(statement, wanted, self._rules, profile, now)
        code = _free_code(connection, known.number)
        made = make_consignment(code, known.box, known.requester, statement, items, now)
        self._registry.follow_vehicle(connection, made, known.who)
        return code

    def _withdraw(self, connection: Connection, known: HandIn, code: str, at: datetime) -> None:
        registered = read_registered(connection, code)
        if registered is None:
            return
        if registered.consignment.received_at is not None:
            raise NotOpenError(known)  # the laboratory has it
        self._registry.follow_vehicle(connection, withdraw(registered.consignment, at), known.who)


def _known(connection: Connection, number: int) -> HandIn:
    known = read_hand_in(connection, number)
    if known is None:
        raise UnknownHandInError("number", f"no hand-in {number}")
    return known


def _change(connection: Connection, number: int, **values: object) -> None:
    connection.execute(update(hand_ins).where(hand_ins.c.id == number).values(**values))


def _read_there(connection: Connection, box: str) -> list[Consignment]:
    """Return the consignments that are in a box and not received."""
    inside = select(carriages.c.consignment).where(carriages.c.box == box, carriages.c.ends_ms.is_(None))
    wanted = select(consignments.c.document).where(
        consignments.c.code.in_(inside), consignments.c.received_at_ms.is_(None)
    )
    return [Consignment.model_validate_json(document) for document in connection.execute(wanted).scalars()]


def _free_code(connection: Connection, number: int) -> str:
    for n in range(1, NUMBERS_MAX):
        code = f"HAND-IN-{number}" if n == 1 else f"HAND-IN-{number}-{n}"
        if read_registered(connection, code) is None:
            return code
    raise InputError("items", "cannot be registered: ask the laboratory")


def _id_of(hand_in: HandIn, attempt: int) -> str:
    return f"hand-in-{hand_in.number}-{attempt}"


def _note(
    connection: Connection, known: HandIn, attempt: int, statement: Statement, consignment: str | None, now_ms: int
) -> None:
    """Keep that the box was handed over, as a vehicle's log would tell it; here the audit trail vouches for it."""
    record = CustodyEvent(
        at_ms=now_ms,
        clock_trusted=True,
        act=CustodyAct.HANDED_OVER,
        box=known.box,
        consignment=consignment or "",
        holder=statement.holder,
        place=statement.place,
        id=_id_of(known, attempt),
    )
    _keep(connection, known, record)


def _keep(connection: Connection, known: HandIn, record: CustodyRecord) -> None:
    """`gateway` is no gateway's name: those have no blanks."""
    row = {"gateway": known.who, "at_ms": record.at_ms, "record": _encode(record), "waits": False}
    connection.execute(insert(custody).values(**row))
