"""One-time codes to hand in by: what is stored of them, and how they stand.

A code holds 128 random bits and only its hash is stored. Expiry and undoing go by real time: they are matters of
security, not of the domain.
"""

from __future__ import annotations

import secrets
from base64 import b32encode
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, func, select

from gateway.hub.access.tokens import hash_secret
from gateway.hub.database.schema import hand_ins
from gateway.hub.hand_in.statements import Statement

CODE_BYTES = 16
_GROUP = 4
_READ_AS = str.maketrans({"0": "O", "1": "I", "8": "B", "-": "", " ": ""})
"""Digits that no code has, as what they are mistaken for."""
LISTED_MAX = 200
PATH = "/hand-in"


class Standing(StrEnum):
    """How a code stands."""

    OPEN = "open"
    HANDED_IN = "handed_in"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class HandIn:
    """A code and what became of it. Moments in UTC milliseconds, None where nothing happened.

    expires_at_ms, undo_until_ms  real time; the others domain time
    profile                       of items that no code rule knows
    attempts                      hand-ins by it, those undone included
    browser_hash                  of the secret of the browser that may undo
    """

    number: int
    box: str
    requester: str | None
    profile: str | None
    made_at_ms: int
    made_by: str
    expires_at_ms: int
    revoked_at_ms: int | None
    attempts: int
    handed_in_at_ms: int | None
    undo_until_ms: int | None
    browser_hash: bytes | None
    consignment: str | None
    statement: Statement | None

    @property
    def who(self) -> str:
        """What the audit trail calls whoever uses it."""
        return f"hand-in {self.number}"

    def standing(self, real_now_ms: int) -> Standing:
        """Return how it stands."""
        if self.handed_in_at_ms is not None:
            return Standing.HANDED_IN
        if self.revoked_at_ms is not None:
            return Standing.REVOKED
        return Standing.EXPIRED if self.expires_at_ms <= real_now_ms else Standing.OPEN


def make_code() -> str:
    """Return a new code that can be typed: 26 letters and digits in groups of four."""
    text = b32encode(secrets.token_bytes(CODE_BYTES)).decode().rstrip("=")
    return "-".join(text[i : i + _GROUP] for i in range(0, len(text), _GROUP))


def hash_code(given: str) -> bytes:
    """Return what is stored of a code, however it was typed."""
    return hash_secret(given.strip().upper().translate(_READ_AS))


def address_of(public_url: str, asked_at: str) -> str:
    """Return the address of the page to hand in, without a code: as the settings say, else as the hub was asked."""
    return (public_url or asked_at.rstrip("/")) + PATH


def find_hand_in(connection: Connection, code: str, *, locked: bool = False) -> HandIn | None:
    """Return what a code stands for, None for no code."""
    wanted = select(hand_ins).where(hand_ins.c.code_hash == hash_code(code))
    row = connection.execute(wanted.with_for_update() if locked else wanted).first()
    return None if row is None else to_hand_in(row)


def read_hand_in(connection: Connection, number: int) -> HandIn | None:
    """Return a hand-in by its number, None if there is none."""
    row = connection.execute(select(hand_ins).where(hand_ins.c.id == number)).first()
    return None if row is None else to_hand_in(row)


def read_hand_ins(connection: Connection, *, limit: int = LISTED_MAX, before: int | None = None) -> list[HandIn]:
    """Return the hand-ins made last, newest first."""
    wanted = select(hand_ins).order_by(hand_ins.c.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(hand_ins.c.id < before)
    return [to_hand_in(row) for row in connection.execute(wanted)]


def read_handed_in(connection: Connection, consignment: str) -> HandIn | None:
    """Return the hand-in that registered a consignment, None if none did."""
    row = connection.execute(select(hand_ins).where(hand_ins.c.consignment == consignment)).first()
    return None if row is None else to_hand_in(row)


def count_open(connection: Connection, real_now_ms: int) -> int:
    """Count the codes that can be used."""
    table = hand_ins.c
    usable = table.handed_in_at_ms.is_(None) & table.revoked_at_ms.is_(None) & (table.expires_at_ms > real_now_ms)
    return connection.execute(select(func.count()).select_from(hand_ins).where(usable)).scalar_one()


def to_hand_in(row: object) -> HandIn:
    """Return the value of a row."""
    kept = {name: getattr(row, name) for name in HandIn.__slots__ if name not in {"number", "statement"}}
    stated: str | None = getattr(row, "statement")  # noqa: B009  a column's name, as those above
    statement = None if stated is None else Statement.model_validate_json(stated)
    return HandIn(number=getattr(row, "id"), statement=statement, **kept)  # noqa: B009  the same
