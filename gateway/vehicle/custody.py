"""What people do at the vehicle with boxes and items: it goes into the log; they are told once it is durable."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from gateway.core.configuration import CodeRule, Configuration
from gateway.core.custody import (
    UNIDENTIFIED,
    CustodyAct,
    CustodyRecord,
    boxes_here,
    custody_of,
    handed_over,
    standing,
    with_custody,
)
from gateway.core.records import CustodyEvent, Registration, Withdrawal
from gateway.vehicle.moments import Moment
from gateway.vehicle.outbox import Outbox
from gateway.vehicle.sealer import Sealer

LOOK_BACK_MS = 2 * 86_400_000
"""Acts of so long are known again after a start: the longest transport of 24 h, and a shift before it."""
ACTS_MAX = 5_000
"""Acts remembered: two days of scanning one code each 30 s; then the oldest go, from here and not from the log."""


class CustodyDesk:
    """Notes acts. `on_change` are told after each; the acts of earlier runs come in by `recall`."""

    def __init__(self, sealer: Sealer, read_moment: Callable[[], Moment], rng: random.Random) -> None:
        self.on_change: list[Callable[[], None]] = []
        self._sealer = sealer
        self._read_moment = read_moment
        self._rng = rng
        self._records: deque[CustodyRecord] = deque(maxlen=ACTS_MAX)

    @property
    def records(self) -> tuple[CustodyRecord, ...]:
        """All acts that are remembered, corrections among them."""
        return tuple(self._records)

    def recall(self, records: Iterable[CustodyRecord]) -> None:
        """Take what earlier runs have sealed, oldest first."""
        self._records.extend(records)

    def extend(self, configuration: Configuration) -> Configuration:
        """Return a configuration that also knows what was done here."""
        return with_custody(configuration, self._records)

    def is_here(self, box: str) -> bool | None:
        """Say whether a box is in this vehicle; None if nothing was ever scanned of it."""
        return boxes_here(self._records).get(box)

    def left_at_ms(self, item: str) -> int | None:
        """Return when an item was handed over by itself, None if it was not."""
        return handed_over(self._records).get(item)

    def find(self, id_: str) -> CustodyEvent | Registration | None:
        """Return an act that stands."""
        return next((act for act in standing(self._records) if act.id == id_), None)

    def registration_of(self, item: str) -> Registration | None:
        """Return how an item was registered here last."""
        acts = [act for act in standing(self._records) if isinstance(act, Registration) and act.item == item]
        return acts[-1] if acts else None

    # --- acts: each returns the id by which it can be undone, once the disk has it

    async def move(self, act: CustodyAct, boxes: Sequence[str], holder: str = UNIDENTIFIED) -> str:
        """Note that boxes changed hands."""
        id_, moment = self._new_id(), self._read_moment()
        events = [
            CustodyEvent(moment.at_ms, moment.trusted, act.value, box, holder=holder, id=f"{id_}-{n}" if n else id_)
            for n, box in enumerate(boxes)
        ]
        await self._note(*events)
        return id_

    async def hand_over_item(self, box: str, consignment: str, item: str, holder: str = UNIDENTIFIED) -> str:
        """Note that an item left its box for good."""
        id_, moment = self._new_id(), self._read_moment()
        act = CustodyAct.HANDED_OVER.value
        await self._note(CustodyEvent(moment.at_ms, moment.trusted, act, box, consignment, item, holder, id=id_))
        return id_

    async def register(self, box: str, item: str, rule: CodeRule, ago_min: int, holder: str = UNIDENTIFIED) -> str:
        """Note that an item, taken so long ago, was put into a box just now."""
        moment = self._read_moment()
        declared = rule.before_packing
        known = self.registration_of(item)
        again = known is not None and known.box == box
        record = Registration(
            moment.at_ms,
            moment.trusted,
            known.id if known is not None and again else self._new_id(),
            known.consignment if known is not None and again else self._consignment_in(box, moment),
            box,
            item,
            rule.kind.value,
            tuple((examination.code, examination.profile) for examination in rule.examinations),
            known.packed_at_ms if known is not None and again else moment.at_ms,
            holder=holder,
            low_c=None if declared is None else declared.low_c,
            high_c=None if declared is None else declared.high_c,
        )
        await self._note(msgspec.structs.replace(record, collected_at_ms=record.packed_at_ms - ago_min * 60_000))
        return record.id

    async def correct(self, id_: str, ago_min: int) -> Registration | None:
        """Say anew how long before its packing an item was taken; None if that act does not stand."""
        known = self.find(id_)
        if not isinstance(known, Registration):
            return None
        moment = self._read_moment()
        corrected = msgspec.structs.replace(
            known,
            # Two versions of one act are told apart by their time alone.
            at_ms=max(moment.at_ms, known.at_ms + 1),
            clock_trusted=moment.trusted,
            collected_at_ms=known.packed_at_ms - ago_min * 60_000,
        )
        await self._note(corrected)
        return corrected

    async def undo(self, id_: str, holder: str = UNIDENTIFIED) -> bool:
        """Take an act back, with whatever was done in the same moment; False if it does not stand."""
        known = self.find(id_)
        if known is None:
            return False
        moment = self._read_moment()
        together = [act.id for act in standing(self._records) if act.id == id_ or act.id.startswith(f"{id_}-")]
        await self._note(*(Withdrawal(moment.at_ms, moment.trusted, one, holder) for one in together))
        return True

    def _consignment_in(self, box: str, moment: Moment) -> str:
        """Return the consignment that is being packed in a box: one from the first item until the box leaves."""
        current = ""
        for act in standing(self._records):
            if isinstance(act, Registration):
                current = act.consignment if act.box == box else current
            elif act.box == box and not act.item and act.act != CustodyAct.LOADED:
                current = ""
        return current or f"{box[:40]}-{moment.at_ms:x}"

    def _new_id(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"

    async def _note(self, *records: CustodyRecord) -> None:
        for record in records:
            self._sealer.note(record)
            self._records.append(record)
        for tell in self.on_change:
            tell()
        # Judging by it may begin at once; who scanned is told when a power cut can no longer lose it.
        await self._sealer.seal_waiting()


def find_custody(outbox: Outbox, since_ms: int) -> list[CustodyRecord]:
    """Return what the log says that people did since then, oldest first."""
    found: list[list[CustodyRecord]] = []
    for sealed in outbox.newest_contents():
        if sealed.sealed_at_ms < since_ms:
            break
        found.append(custody_of(sealed.content.records))
    return [record for several in reversed(found) for record in several]
