"""Rehearsals: what past trips would have been judged by a draft of a profile. Reads only; nothing is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import select

from gateway.core.configuration import Configuration, Examination
from gateway.core.judgement import judge_consignment
from gateway.core.profiles import Profile
from gateway.core.verdicts import Judgement
from gateway.hub.database.rows import examinations_of, to_registered
from gateway.hub.database.schema import consignments
from gateway.hub.database.store import Store
from gateway.hub.judgement.watch import carried_span
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import Configurations

TRIPS_MAX = 20
"""Trips of one rehearsal: each is judged twice, in some ten milliseconds for a day of readings."""
LOOKED_AT = 2000
"""Consignments looked at, the newest first, for those that a profile judges."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One examination as the profile in force judges it, and as the draft would."""

    before: Judgement
    after: Judgement

    @property
    def differs(self) -> bool:
        """Whether the verdict is another."""
        return self.before.verdict is not self.after.verdict


def find_latest(store: Store, profile: str, count: int) -> list[str]:
    """Return the consignments registered last that a profile judges, at most `count`, newest first."""
    table, found = consignments, []
    with store.read() as connection:
        rows = connection.execute(
            select(table).order_by(table.c.registered_at_ms.desc(), table.c.code).limit(LOOKED_AT)
        )
        for row in rows:
            registered = to_registered(row.document, row.version, row.registered_at_ms)
            if any(_names(examination, profile) for _, examination in examinations_of(registered.consignment)):
                found.append(registered.consignment.code)
            if len(found) >= count:
                break
    return found


def rehearse(
    configurations: Configurations,
    archive: Archive,
    draft: Profile,
    instead_of: str,
    codes: Iterable[str],
    now_ms: int,
) -> Iterator[Rehearsed]:
    """Yield the examinations of some consignments that a profile judges, and what a draft in its place would say.

    Both are judged as if they were approved, so that only what they state makes a difference. Consignments that are
    unknown, or that nothing was carried for, are passed over.
    """
    for code in codes:
        case = configurations.case(code)
        span = None if case is None else carried_span(case.consignment, now_ms)
        if case is None or span is None:
            continue
        observations = [
            observation
            for logger in case.configuration.loggers
            for observation in archive.observations(logger.address, *span)
        ]
        concerned = {
            (item.code, examination.code)
            for item in case.consignment.items
            for examination in item.examinations
            if _names(examination, instead_of)
        }
        as_is = case.configuration.model_copy(update={"demonstration": True})
        drafted = _replace(as_is, draft.model_copy(update={"id": instead_of}))
        before = judge_consignment(case.consignment, as_is, observations, now_ms)
        after = judge_consignment(case.consignment, drafted, observations, now_ms)
        for old, new in zip(before, after, strict=True):
            if (old.item, old.examination) in concerned:
                yield Rehearsed(old, new)


def _replace(configuration: Configuration, draft: Profile) -> Configuration:
    profiles = tuple(draft if one.id == draft.id else one for one in configuration.profiles)
    return configuration.model_copy(update={"profiles": profiles})


def _names(examination: Examination, profile: str) -> bool:
    return profile in (examination.profile, *(switch.profile for switch in examination.switches))
