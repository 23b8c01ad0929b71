"""Redating: gives what was recorded by an untrusted clock its time, once something tells it.

What a gateway sealed stays as it is. What changes is the dating of its boot, the index of the boot's segments, and so
what verdicts, traces and projections read; consignments are marked, and judged again as a new version. One transaction
for one boot. Decided by marks of the boot itself; else by bounds: the card's last time before it, the next boot's first
trusted time after it, the arrival here, and what the loggers' counters say within them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from gateway.core.contents import Content, decode_content
from gateway.core.counting import MODULI, Count, agree, pace, witness
from gateway.core.dating import UNDATED, Dating, Range
from gateway.core.observations import Observation, Source
from gateway.core.segments import parse_segment
from gateway.hub.audit.acts import Act, record_act
from gateway.hub.database.rows import read_loggers
from gateway.hub.database.schema import boots, epochs, gateways, hub_state, segments, stops, untrusted_segments
from gateway.hub.database.store import Store
from gateway.hub.record.archive import Archive
from gateway.hub.record.boots import as_range, dated, decode_dating, encode_dating, read_marks, stop_rows
from gateway.hub.record.index import Places, hours_of, join, move_segment, place_bits, spans_of
from gateway.hub.signals.dirty import Span, mark_carried

log = logging.getLogger(__name__)

BATCH = 10
"""Boots in one go. A day in the dark with 50 loggers takes some ten seconds, during which SQLite takes no log."""
DESCENDANTS_MAX = 100
"""Epochs looked through for the next trusted boot: starts of a gateway that never found the time, for months."""
AROUND_MS = 26 * 3_600_000
"""How far around a boot's bounds loggers' counters are looked for: a RuuviTag's turn, and some."""
WITNESSES_LOGGERS = 8
"""Loggers asked: two agree, more only confirm."""
WHO = "hub"
"""Who corrects: no person does."""
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class _Stored:
    id: int
    epoch_id: int
    position: int
    content: Content


class Redating:
    """Works off the boots that are due. Blocking: call it from a thread."""

    def __init__(self, store: Store, archive: Archive, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._archive = archive
        self._now_ms = now_ms

    def work(self) -> int:
        """Date the boots that are due; return how many were."""
        with self._store.read() as connection:
            due = connection.execute(select(boots.c.id).where(boots.c.due).order_by(boots.c.id).limit(BATCH)).scalars()
            waiting = [str(boot_id) for boot_id in due]
        if not waiting:
            return 0
        with self._store.claim("boot", waiting, BATCH) as claim:
            for name in claim.names:
                with self._store.read() as connection:
                    dating = self._find(connection, int(name))
                with claim.write() as connection:
                    _apply(connection, int(name), dating, self._now_ms())
        return len(waiting)

    def _find(self, connection: Connection, boot_id: int) -> Dating:
        """Return what is known of a boot now."""
        marks = read_marks(connection, boot_id)
        if marks:
            return Dating(marks)
        row = connection.execute(select(boots).where(boots.c.id == boot_id)).one()
        heard = [stored.content for stored in _read_segments(connection, row.gateway, boot_id)]
        moments = [o.monotonic_ms for content in heard for o in content.observations if o.source is Source.LIVE]
        if not moments:
            return Dating(range=as_range(row.earliest_ms, row.latest_ms))
        floors = [row.earliest_ms, _enrolled_ms(connection, row.gateway) - min(moments)]
        next_ms = _next_trusted_ms(connection, row.gateway, boot_id)
        ceilings = [row.latest_ms, None if next_ms is None else next_ms - max(moments)]
        bounds = as_range(
            max((bound for bound in floors if bound is not None), default=None),
            min((bound for bound in ceilings if bound is not None), default=None),
        )
        if bounds is None:
            return UNDATED
        observations = [o for content in heard for o in content.observations if o.source is Source.LIVE]
        return Dating(range=self._count(connection, observations, bounds) or bounds)

    def _count(self, connection: Connection, observations: Sequence[Observation], bounds: Range) -> Range | None:
        """Return what the loggers' counters agree on."""
        witnesses: list[Range] = []
        by_logger: dict[str, list[Count]] = {}
        for observation in sorted(observations, key=lambda o: o.monotonic_ms):
            if observation.counter is not None:
                counts = by_logger.setdefault(observation.logger, [])
                counts.append(Count(observation.monotonic_ms, observation.counter))
        kinds = {logger.address: logger.kind for logger in read_loggers(connection)}
        known = [(logger, MODULI[kinds[logger]]) for logger in by_logger if kinds.get(logger) in MODULI]
        for logger, modulus in sorted(known)[:WITNESSES_LOGGERS]:
            counts = by_logger[logger]
            rate = pace(counts, modulus)
            if rate is None:
                continue
            begins_ms, ends_ms = bounds.earliest_ms + counts[0].at_ms, bounds.latest_ms + counts[-1].at_ms
            before, after = self._nearest(logger, begins_ms, ends_ms)
            pairs = [(before, counts[0]), (after, counts[-1])]
            found = [witness(at, heard, rate, modulus, bounds) for at, heard in pairs if at is not None]
            witnesses += [one for one in found if one is not None]
        return agree(witnesses)

    def _nearest(self, logger: str, begins_ms: int, ends_ms: int) -> tuple[Count | None, Count | None]:
        """Return the last trusted count before, and the first after, a stretch of time."""
        trusted = [
            Count(o.measured_at_ms, o.counter)
            for from_ms, to_ms in ((begins_ms - AROUND_MS, begins_ms), (ends_ms, ends_ms + AROUND_MS))
            for o in self._archive.observations(logger, from_ms, to_ms)
            if o.clock_trusted and o.counter is not None and o.source is Source.LIVE
        ]
        before = max((count for count in trusted if count.at_ms < begins_ms), key=lambda c: c.at_ms, default=None)
        after = min((count for count in trusted if count.at_ms >= ends_ms), key=lambda c: c.at_ms, default=None)
        return before, after


def _apply(connection: Connection, boot_id: int, dating: Dating, now_ms: int) -> None:
    """Let a dating be in force: boot, index, stops, projection, dirty marks."""
    row = connection.execute(select(boots).where(boots.c.id == boot_id).with_for_update()).one()
    before = UNDATED if row.dating is None else decode_dating(bytes(row.dating))
    changes: dict[str, object] = {"due": False, "dating": encode_dating(dating)}
    if before != dating:
        connection.execute(update(hub_state).values(dating_revision=hub_state.c.dating_revision + 1))
        changes["revision"] = connection.execute(select(hub_state.c.dating_revision)).scalar_one()
        spans = list(_reindex(connection, row.gateway, boot_id, before, dating))
        mark_carried(connection, spans, now_ms)
        if spans and _way(before) != _way(dating):  # not each further moment that only confirms the others
            subject = f"boot {row.gateway}/{bytes(row.boot).hex()}"
            record_act(connection, Act(WHO, "correct_clock", subject, _told(before), _told(dating)), now_ms)
        log.info("%s: boot %s is dated: %s", row.gateway, bytes(row.boot).hex(), _in_words(dating))
    connection.execute(update(boots).where(boots.c.id == boot_id).values(**changes))


def _reindex(connection: Connection, gateway: str, boot_id: int, before: Dating, dating: Dating) -> Iterator[Span]:
    """Index the boot's segments by their new times; yield where something was and where it is now."""
    firsts: dict[int, int] = {}
    for stored in _read_segments(connection, gateway, boot_id):
        was, now_is = dated(stored.content, before), dated(stored.content, dating)
        was_in, is_in = spans_of(was), spans_of(now_is)
        yield from (*was_in, *is_in)
        place = (stored.epoch_id, stored.position)
        move_segment(connection, place, hours_of(was, was_in), hours_of(now_is, is_in))
        told = stop_rows(gateway, stored.id, stored.content.records, dating)
        if told:
            connection.execute(delete(stops).where(stops.c.segment_id == stored.id))
            connection.execute(insert(stops), told)
        firsts[stored.epoch_id] = min(stored.position, firsts.get(stored.epoch_id, stored.position))
    for epoch_id, position in sorted(firsts.items()):
        connection.execute(
            update(epochs)
            .where(epochs.c.id == epoch_id, epochs.c.projected_offset > position)
            .values(projected_offset=position)
        )


def _read_segments(connection: Connection, gateway: str, boot_id: int) -> Iterator[_Stored]:
    """Yield the boot's segments that hold untrusted times, a portion in memory at a time."""
    ids = list(
        connection.execute(
            select(untrusted_segments.c.segment_id)
            .where(untrusted_segments.c.boot_id == boot_id)
            .order_by(untrusted_segments.c.segment_id)
        ).scalars()
    )
    for start in range(0, len(ids), _CHUNK):
        wanted = ids[start : start + _CHUNK]
        rows = connection.execute(
            select(segments.c.id, segments.c.epoch_id, segments.c.position, segments.c.verbatim)
            .where(segments.c.id.in_(wanted))
            .order_by(segments.c.id)
        ).all()
        for row in rows:
            body = parse_segment(gateway, bytes(row.verbatim)).body
            yield _Stored(row.id, row.epoch_id, row.position, decode_content(body or b""))


def _enrolled_ms(connection: Connection, gateway: str) -> int:
    """A gateway seals nothing before its hub knows it."""
    return int(connection.execute(select(gateways.c.created_at_ms).where(gateways.c.name == gateway)).scalar_one())


def _next_trusted_ms(connection: Connection, gateway: str, boot_id: int) -> int | None:
    """Return UTC when the next boot that found the time began, at the latest; None if there is none yet."""
    mine = select(segments.c.epoch_id).join(untrusted_segments, untrusted_segments.c.segment_id == segments.c.id)
    start = select(epochs.c.epoch).where(
        epochs.c.id.in_(mine.where(untrusted_segments.c.boot_id == boot_id).distinct())
    )
    names = [bytes(name) for name in connection.execute(start).scalars()]
    for _ in range(DESCENDANTS_MAX):
        children = connection.execute(
            select(epochs.c.epoch, segments.c.verbatim)
            .join(segments, (segments.c.epoch_id == epochs.c.id) & (segments.c.position == 0))
            .where(epochs.c.gateway == gateway, epochs.c.parent_epoch.in_(names), segments.c.chained)
        ).all()
        began = [found for child in children if (found := _began_ms(connection, gateway, boot_id, child.verbatim))]
        if began:
            return min(began)
        names = [bytes(child.epoch) for child in children]
        if not names:
            return None
    return None


def _began_ms(connection: Connection, gateway: str, boot_id: int, verbatim: bytes) -> int | None:
    """Return the latest UTC at which the boot of a segment can have begun, None if that is the boot in question."""
    boot = parse_segment(gateway, bytes(verbatim)).header.boot
    found = connection.execute(
        select(boots.c.id).where(boots.c.gateway == gateway, boots.c.boot == boot, boots.c.id != boot_id)
    ).scalar()
    marks = () if found is None else read_marks(connection, found)
    return marks[0].at_ms - marks[0].monotonic_ms + marks[0].error_ms if marks else None


def read_revision(connection: Connection) -> int:
    """Return a number that grows with each boot dated anew."""
    return int(connection.execute(select(hub_state.c.dating_revision)).scalar_one())


def read_redated(connection: Connection, since_revision: int) -> Places:
    """Return the segments whose times changed after a revision."""
    rows = connection.execute(
        select(segments.c.epoch_id, segments.c.position)
        .join(untrusted_segments, untrusted_segments.c.segment_id == segments.c.id)
        .join(boots, boots.c.id == untrusted_segments.c.boot_id)
        .where(boots.c.revision > since_revision)
    )
    redated: Places = {}
    for row in rows:
        join(redated, place_bits((row.epoch_id, row.position)))
    return redated


def _way(dating: Dating) -> object:
    return "marks" if dating.marks else dating.range


def _told(dating: Dating) -> str | None:
    """Return when a boot began, as far as that is known, for the audit trail."""
    if dating.marks:
        first = dating.marks[0]
        told = {"by": "trusted moments", "began_at_ms": first.at_ms - first.monotonic_ms, "error_ms": first.error_ms}
    elif dating.range is not None:
        known = dating.range
        told = {"by": "bounds", "earliest_ms": known.earliest_ms, "latest_ms": known.latest_ms}
    else:
        return None
    return msgspec.json.encode(told).decode()


def _in_words(dating: Dating) -> str:
    if dating.marks:
        return f"by {len(dating.marks)} trusted moments"
    return "not at all" if dating.range is None else f"to within {dating.range.width_ms / 60_000:.1f} min"
