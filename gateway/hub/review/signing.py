"""Signatures: what was signed, as one hash, and whether that is still what is stored.

The hash covers the breach, every version of its verdict, the decisions about its item, and all records of its review
but signatures. Whatever changes later, by anybody's act or by late data, the signature no longer fits, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

import msgspec
from sqlalchemy import Connection, select

from gateway.hub.breaches.keeping import StoredBreach
from gateway.hub.breaches.lifecycle import ReviewEvent
from gateway.hub.breaches.records import Record
from gateway.hub.database.schema import decisions
from gateway.hub.judgement.verdict_history import fingerprint_of, read_versions
from gateway.hub.times import OSLO


class Meaning(StrEnum):
    """What a signature says."""

    REVIEWED = "reviewed"
    APPROVED = "approved"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as it reads today. `signed_at` is local time with its offset.

    holds  whether what was signed is what is stored now
    """

    record: int
    printed_name: str
    who: str
    signed_at: datetime
    meaning: Meaning
    hash: str
    holds: bool


def signed_at(at_ms: int) -> datetime:
    """Return the moment that a signature states: Norwegian time with its offset."""
    return datetime.fromtimestamp(at_ms / 1000, OSLO)


def hash_content(connection: Connection, breach: StoredBreach, records: Sequence[Record], *, is_received: bool) -> str:
    """Return the hash of what a signature binds, in hexadecimal.

    While a consignment is under way the figures of its verdict move with each reading; they are bound from its receipt.
    """
    content = {
        "breach": asdict(breach),
        "verdicts": _verdicts(connection, breach, is_received=is_received),
        "decisions": _decisions(connection, breach),
        "records": [asdict(record) for record in records if record.event is not ReviewEvent.SIGN],
    }
    return sha256(b"coldchain review 1\x00" + msgspec.json.encode(content, order="sorted")).hexdigest()


def read_signatures(connection: Connection, breach: StoredBreach, records: Sequence[Record]) -> list[Signature]:
    """Return the signatures among records, each with whether it still holds."""
    signed = [record for record in records if record.event is ReviewEvent.SIGN]
    now = {
        is_received: hash_content(connection, breach, records, is_received=is_received)
        for is_received in {bool(record.document["received"]) for record in signed}
    }
    return [_to_signature(record, now[bool(record.document["received"])]) for record in signed]


def _to_signature(record: Record, hash_now: str) -> Signature:
    document = record.document
    return Signature(
        record=record.id,
        printed_name=record.printed_name,
        who=record.who,
        signed_at=datetime.fromisoformat(document["signed_at"]),
        meaning=Meaning(document["meaning"]),
        hash=document["hash"],
        holds=document["hash"] == hash_now,
    )


def _verdicts(connection: Connection, breach: StoredBreach, *, is_received: bool) -> list[tuple[int, str, str]]:
    versions = read_versions(connection, breach.consignment, breach.item, breach.examination)
    return [
        (one.version, one.judgement.verdict, fingerprint_of(one.judgement, whole=is_received).hex())
        for one in reversed(versions)
    ]


def _decisions(connection: Connection, breach: StoredBreach) -> list[Mapping[str, object]]:
    rows = connection.execute(
        select(decisions)
        .where(decisions.c.consignment == breach.consignment, decisions.c.item == breach.item)
        .order_by(decisions.c.id)
    )
    return [dict(row) for row in rows.mappings()]
