"""Removals: what retention has taken away, stated, signed and chained, so that the rest is still proven complete.

Each names the one before it, and an entry of the audit trail holds its hash: so none can be added, changed or taken
away unseen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from sqlalchemy import Connection, insert, select

from gateway.core.attestations import Entries, Removal, Signed, Stretch, read_statement, sign_statement
from gateway.core.errors import InputError
from gateway.core.segments import NO_HASH, Check, Position
from gateway.core.verification import Fault, Finding
from gateway.hub.audit.acts import Act, record_act
from gateway.hub.database.schema import audit, removals
from gateway.keys import SigningKey

ACT = "retain"
"""The act of the audit entries that bind removals. Retention leaves them as they are."""


@dataclass(slots=True)
class Removed:
    """What all removals together say is gone."""

    count: int = 0
    _payloads: dict[tuple[str, bytes], list[tuple[int, int]]] = field(default_factory=dict)
    _entries: list[tuple[int, int]] = field(default_factory=list)

    def take(self, removal: Removal) -> None:
        """Add what one removal says."""
        self.count += 1
        for part in removal.payloads:
            spans = self._payloads.setdefault((part.gateway, bytes.fromhex(part.epoch)), [])
            spans.append((part.first_offset, part.next_offset - 1))
        self._entries += [(part.first, part.last) for part in removal.entries]

    def settle(self) -> None:
        """Sort, once all are taken."""
        for spans in self._payloads.values():
            spans.sort()
        self._entries.sort()

    def covers(self, gateway: str, place: Position) -> bool:
        """Say whether the payload of a segment is stated to be removed."""
        return _covers(self._payloads.get((gateway, place.epoch), ()), place.offset)

    def covers_entry(self, number: int) -> bool:
        """Say whether the words of an audit entry are stated to be removed."""
        return _covers(self._entries, number)


def _covers(spans: Sequence[tuple[int, int]], number: int) -> bool:
    """Spans never overlap: nothing is removed twice."""
    place = bisect_right(spans, (number, 1 << 62)) - 1
    return place >= 0 and number <= spans[place][1]


def write_removal(
    connection: Connection,
    key: SigningKey,
    who: str,
    now_ms: int,
    *,
    what: str,
    before_ms: int,
    payloads: Iterable[Stretch] = (),
    entries: Iterable[Entries] = (),
) -> int:
    """State and sign what the caller's transaction removes; return the removal's number. Begin with `begin_act`."""
    last = connection.execute(select(removals).order_by(removals.c.number.desc()).limit(1)).first()
    number = 1 if last is None else last.number + 1
    previous = NO_HASH if last is None else sha256(last.document.encode()).digest()
    removal = Removal(
        number=number,
        previous=previous.hex(),
        at_ms=now_ms,
        before_ms=before_ms,
        what=what,
        hub_public_key=key.public_bytes.hex(),
        payloads=tuple(payloads),
        entries=tuple(entries),
    )
    document = sign_statement(removal, key.sign)
    connection.execute(insert(removals).values(number=number, at_ms=now_ms, kind=what, document=document))
    digest = sha256(document.encode()).hexdigest()
    record_act(connection, Act(who, ACT, f"removal {number}", new=digest), now_ms)
    return number


def read_removed(connection: Connection, check: Check | None) -> tuple[Removed, list[Finding]]:
    """Return what is stated to be removed, and what is wrong with the statements: those that are, count for nothing."""
    removed, wrong = Removed(), []
    previous, expected = NO_HASH, 1
    for row in connection.execute(select(removals).order_by(removals.c.number).execution_options(yield_per=100)):
        faults = list(_find_faults(connection, row.number, row.document, previous.hex(), expected, check))
        wrong += faults
        if not faults:
            removed.take(_read(row.document))
        previous, expected = sha256(row.document.encode()).digest(), row.number + 1
    bound = select(audit.c.subject).where(audit.c.act == ACT, audit.c.subject.like("removal %"))
    stated = {int(subject.removeprefix("removal ")) for subject in connection.execute(bound).scalars()}
    missing = sorted(number for number in stated if number >= expected)
    wrong += [Finding(Fault.MISSING, f"removal {number} is on record and not here") for number in missing]
    removed.settle()
    return removed, wrong


def _find_faults(
    connection: Connection, number: int, document: str, previous: str, expected: int, check: Check | None
) -> Iterator[Finding]:
    if number != expected:
        yield Finding(Fault.MISSING, f"removal {expected}, before removal {number}")
    bound = select(audit.c.new).where(audit.c.act == ACT, audit.c.subject == f"removal {number}")
    if connection.execute(bound).scalars().all() != [sha256(document.encode()).hexdigest()]:
        yield Finding(Fault.FORGED, f"removal {number} is not what the audit trail says")
        return
    try:
        removal = _read(document) if check is None else read_statement(Removal, document, check, where="removals")
    except (InputError, ValueError) as error:
        yield Finding(Fault.FORGED, f"removal {number}: {error}")
        return
    if removal.number != number or (number == expected and removal.previous != previous):
        yield Finding(Fault.REWRITTEN, f"removal {number} does not follow the one before it")


def _read(document: str) -> Removal:
    return Removal.model_validate_json(Signed.model_validate_json(document).statement)
