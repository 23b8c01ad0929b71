"""Folds at the hub: each consignment as far as it has been judged, in memory and in the database.

What is in the database is a cache. It is written with the verdict, in one transaction, together with the segments that
it includes; whoever goes on from it reads only what came after. One that does not fit is folded again from the archive:
of another version of the program, of a profile, consignment or logger that has changed since, of times that have been
corrected since, with something in the archive that is older than its end, or damaged.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Protocol

import msgspec
import zstandard
from sqlalchemy import Connection, Row, delete, select

from gateway.core.configuration import Configuration, Consignment
from gateway.core.errors import ForgottenError
from gateway.core.observations import Observation
from gateway.core.verdicts import Judgement
from gateway.hub.database.schema import folds
from gateway.hub.database.store import insert_for
from gateway.hub.judgement.redating import read_redated, read_revision
from gateway.hub.record.index import HOUR_MS, NOTHING, Places, count_places, join, overlaps, passed_in
from gateway.hub.registry.configurations import Case

log = logging.getLogger(__name__)

FOLDS_KEPT = 500
"""Consignments whose fold is kept in memory; of others, what was saved is read again when something new comes.

Ten items in ten boxes keep 170 KiB after 200 readings and 320 after 2,000, and their documents 13: 500 of them 160 MiB,
beside some 200 of the hub itself; its goal is 400. Twice as many would not fit; a second watch keeps 500 others.
"""
SAVED_EACH = 10
"""Segments folded before it is saved again: what a killed process leaves to be read again, five minutes of one vehicle,
for a tenth of the writing. Where more is under way than is kept in memory, it is saved each time."""
UNTOUCHED_MS = 2 * 86_400_000
"""What was not saved for so long is no longer under way, or its loggers are not heard."""
STATE_BYTES_MAX = 16 << 20
"""More is damaged: ten loggers and a hundred items take some 0.1 MiB."""


class Judge(Protocol):
    """What judges one consignment; see gateway.core.judgement."""

    def add(self, observations: Iterable[Observation]) -> None:
        """Take observations."""

    def judgements(self, now_ms: int) -> tuple[Judgement, ...]:
        """Say how things stand."""

    def keep(self) -> bytes:
        """Return what is needed to go on from here."""

    def resume(self, kept: bytes) -> None:
        """Go on from what was kept; raises ForgottenError, as everything may after it."""


MakeJudge = Callable[[Consignment, Configuration], Judge]


@dataclass(slots=True)
class Folded:
    """A consignment as far as it has been judged.

    unsaved      segments taken since it was saved
    looked_hour  the last hour up to which all that is in the archive has been looked at, None: look at all
    """

    identity: bytes
    judge: Judge
    seen: Places = field(default_factory=dict)
    unsaved: int = 0
    looked_hour: int | None = None

    def passed(self, until_ms: int) -> tuple[int, int]:
        """Return where nothing new is expected up to a moment."""
        return passed_in(self.seen) if self.looked_hour == (until_ms - 1) // HOUR_MS else NOTHING

    def take(self, observations: Iterable[Observation], places: Places, until_ms: int) -> None:
        """Take the observations of all segments that are new, up to a moment; raises ForgottenError."""
        self.judge.add(observations)
        join(self.seen, places)
        self.unsaved += count_places(places)
        self.looked_hour = (until_ms - 1) // HOUR_MS


class _State(msgspec.Struct, array_like=True):
    seen: list[tuple[int, int, int]]
    kept: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_State).decode


class Folds:
    """The folds of one process, for one thread at a time: `forget_redated`, then for each batch `prepare` to `save`.

    keeper  its name, where several processes share the consignments
    """

    def __init__(self, make_judge: MakeJudge, keeper: str = "") -> None:
        self._make_judge = make_judge
        self._keeper = keeper
        self._folded: OrderedDict[str, Folded] = OrderedDict()
        self._saved: dict[str, Row[Any]] = {}
        self._redated: Places = {}
        self._revision = 0
        self._useless: set[str] = set()

    def forget_redated(self, connection: Connection) -> None:
        """Forget what was folded with times that have been corrected since, here or by another process."""
        revision = read_revision(connection)
        if revision == self._revision:
            return
        redated = read_redated(connection, self._revision) if self._folded else {}
        self._revision = revision
        for code in [code for code, folded in self._folded.items() if overlaps(folded.seen, redated)]:
            del self._folded[code]
        for folded in self._folded.values():  # what was at other hours may now be among theirs
            folded.looked_hour = None

    def prepare(self, connection: Connection, codes: Iterable[str]) -> None:
        """Read what was saved of those that are not in memory."""
        missing = [code for code in codes if code not in self._folded]
        rows = connection.execute(select(folds).where(folds.c.consignment.in_(missing))).all() if missing else ()
        self._saved = {row.consignment: row for row in rows}
        oldest = min((row.revision for row in rows), default=self._revision)
        self._redated = read_redated(connection, oldest) if oldest < self._revision else {}

    def find(self, case: Case) -> Folded:
        """Return how far a consignment has been folded; not at all, where nothing fits."""
        code, identity = case.consignment.code, sha256(engine_version() + case.identity.encode()).digest()
        folded = self._folded.get(code)
        if folded is None or folded.identity != identity:
            folded = self._resume(case, identity) or self._begin(case, identity)
            self._folded[code] = folded
        self._folded.move_to_end(code)
        return folded

    def leave(self, code: str) -> None:
        """Leave a fold to another process that has saved it since."""
        self._folded.pop(code, None)

    def forget(self, code: str) -> None:
        """Forget a fold from which it cannot be gone on."""
        self._folded.pop(code, None)
        self._saved.pop(code, None)
        self._useless.add(code)

    def save(self, connection: Connection, codes: Iterable[str], received: Collection[str], now_ms: int) -> None:
        """Save, in the transaction that writes their verdicts, what has gone on far enough; drop what is over.

        After its receipt nothing but what is late is expected of a consignment.
        """
        due = 1 if len(self._folded) >= FOLDS_KEPT else SAVED_EACH
        rows = []
        for code in sorted(set(codes).difference(received)):
            folded = self._folded.get(code)
            if folded is not None and folded.unsaved >= due:
                rows.append(self._row(code, folded, now_ms))
                folded.unsaved = 0  # if the transaction fails, the next save is that much later
        gone = self._useless.union(received).difference(row["consignment"] for row in rows)
        self._useless = set()
        if gone:
            connection.execute(delete(folds).where(folds.c.consignment.in_(sorted(gone))))
        if rows:
            insert = insert_for(connection, folds)
            names = ("identity", "revision", "state", "saved_at_ms", "keeper")
            changes = {name: insert.excluded[name] for name in names}
            connection.execute(insert.on_conflict_do_update(index_elements=["consignment"], set_=changes), rows)
        while len(self._folded) > FOLDS_KEPT:
            self._folded.popitem(last=False)

    def _begin(self, case: Case, identity: bytes) -> Folded:
        return Folded(identity, self._make_judge(case.consignment, case.configuration))

    def _resume(self, case: Case, identity: bytes) -> Folded | None:
        """Go on from what was saved, None if that does not fit."""
        row = self._saved.pop(case.consignment.code, None)
        if row is None or bytes(row.identity) != identity:
            return None
        try:
            state = _unpack(bytes(row.state))
            seen = {(epoch_id, block): bits for epoch_id, block, bits in state.seen}
            if row.revision < self._revision and overlaps(seen, self._redated):
                return None
            folded = self._begin(case, identity)
            folded.judge.resume(state.kept)
        except ForgottenError as error:
            log.warning("what was saved of consignment %s is folded again: %s", case.consignment.code, error)
            return None
        folded.seen = seen
        if self._keeper and row.keeper != self._keeper:
            folded.unsaved = SAVED_EACH  # the next save tells the others who has it now
        return folded

    def _row(self, code: str, folded: Folded, now_ms: int) -> dict[str, object]:
        seen = [(epoch_id, block, bits) for (epoch_id, block), bits in folded.seen.items()]
        return {
            "consignment": code,
            "identity": folded.identity,
            "revision": self._revision,
            "state": _pack(_State(seen, folded.judge.keep())),
            "saved_at_ms": now_ms,
            "keeper": self._keeper or None,
        }


def prune_folds(connection: Connection, now_ms: int) -> None:
    """Drop what is no longer under way."""
    connection.execute(delete(folds).where(folds.c.saved_at_ms < now_ms - UNTOUCHED_MS))


@cache
def engine_version() -> bytes:
    """Return a hash of the program text that folds: what another text made is not gone on from."""
    digest = sha256()
    for file in sorted(files("gateway.core").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py"):
            text = file.read_bytes()
            digest.update(b"%s %d\n" % (file.name.encode(), len(text)) + text)
    return digest.digest()


def _pack(state: _State) -> bytes:
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(_encode(state))


def _unpack(data: bytes) -> _State:
    try:
        if zstandard.frame_content_size(data) > STATE_BYTES_MAX:
            raise ForgottenError("its size is damaged")
        return _decode(zstandard.ZstdDecompressor().decompress(data, max_output_size=STATE_BYTES_MAX))
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise ForgottenError(str(error)) from error
