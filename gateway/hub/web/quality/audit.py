"""The audit trail as a page: newest first, filters in the address, what changed, the chain, and exports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from operator import itemgetter
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Connection, func, select

from gateway.hub.api.access import HubRooms
from gateway.hub.api.audit import ReadingAudit
from gateway.hub.api.bounds import NUMBER_MAX
from gateway.hub.audit.trail import Entry, Wanted, check_chain, read_entries
from gateway.hub.database.schema import audit
from gateway.hub.web.languages import Reader
from gateway.hub.web.quality.act_words import say_act, say_subject, say_who
from gateway.hub.web.quality.changes import CHANGES_MAX, Change, find_changes
from gateway.hub.web.quality.queue import Day, midnight_ms
from gateway.hub.web.rendering import render
from gateway.language import Speech

HERE = "/audit"
PAGE = 50
CHECKED_MAX = 100_000
"""Entries whose hashes are recomputed while somebody waits: some seconds. `coldchain verify` checks all of them."""
OFFERED_MAX = 300

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def _text(longest: int) -> StringConstraints:
    return StringConstraints(max_length=longest, pattern=r"^[^\x00-\x1f]*$", strip_whitespace=True)


class AuditQuery(BaseModel):
    """What stands in the address. `since` and `until` are days in Norway, both included; `check` asks for the chain."""

    who: Annotated[str, _text(64)] = ""
    act: Annotated[str, _text(32)] = ""
    subject: Annotated[str, _text(160)] = ""
    since: Day | Literal[""] = ""
    until: Day | Literal[""] = ""
    before: Annotated[int, Field(ge=0, le=NUMBER_MAX)] = 0
    check: Literal["", "1"] = ""

    def to_wanted(self) -> Wanted:
        """Return which entries are asked for."""
        return Wanted(
            self.who or None,
            self.act or None,
            self.subject or None,
            midnight_ms(self.since) if self.since else None,
            midnight_ms(self.until + timedelta(days=1)) if self.until else None,
        )

    def address(self, **changes: object) -> str:
        """Return the address of the page that asks for the same but for the changes."""
        stated = self.model_dump(mode="json", exclude_defaults=True) | changes
        kept = {name: value for name, value in stated.items() if value}
        return HERE + (f"?{urlencode(kept)}" if kept else "")

    @property
    def is_narrowed(self) -> bool:
        """Whether a filter is set."""
        return bool(self.model_dump(exclude_defaults=True, exclude={"before", "check"}))


@dataclass(frozen=True, slots=True)
class Line:
    """An entry in words, with what it changed; `others` counts the fields that are not shown."""

    entry: Entry
    act: str
    subject: str
    who: str
    changes: Sequence[Change]
    others: int
    link: str


@router.get(HERE)
def show_audit(
    rooms: HubRooms, caller: ReadingAudit, reader: Reader, query: Annotated[AuditQuery, Query()]
) -> HTMLResponse:
    """Show who did what, when, from what to what, and why."""
    wanted = query.to_wanted()
    with rooms.store.read() as connection:
        before = query.before or NUMBER_MAX
        found = read_entries(connection, wanted, before=before, limit=PAGE + 1)[::-1]
        total, head = _read_end(connection)
        offered = _offered(connection)
    asked = {name: value for name, value in asdict(wanted).items() if value is not None}
    return render(
        "quality/audit.html",
        rooms,
        caller,
        reader,
        query=query,
        lines=[to_line(entry, reader) for entry in found[:PAGE]],
        total=total,
        head=head,
        whos=[(name, say_who(name, reader)) for name in offered["who"] if name],
        acts=sorted(((name, say_act(name, reader)) for name in offered["act"] if name), key=itemgetter(1)),
        chain=check_chain(rooms.store, CHECKED_MAX) if query.check else None,
        older=query.address(before=found[PAGE - 1].id, check="") if len(found) > PAGE else "",
        newest=query.address(before=0, check="") if query.before else "",
        checking=query.address(check="1"),
        exports=[(shape, f"/api/v1/audit/export?{urlencode({**asked, 'shape': shape})}") for shape in ("csv", "jsonl")],
        here=query.address(check=""),
    )


def to_line(entry: Entry, speech: Speech) -> Line:
    """Return an entry as a page shows it."""
    changes = find_changes(entry.old, entry.new)
    kind, _, code = entry.subject.partition(" ")
    ways = {"breach": f"/review/{code}", "consignment": f"/bench?{urlencode({'code': code})}"}
    return Line(
        entry,
        say_act(entry.act, speech),
        say_subject(entry.subject, speech),
        say_who(entry.who, speech),
        changes[:CHANGES_MAX],
        max(0, len(changes) - CHANGES_MAX),
        ways.get(kind, "") if code else "",
    )


def _read_end(connection: Connection) -> tuple[int, str]:
    """Return how many entries there are, and the hash of the last."""
    total = int(connection.execute(select(func.count()).select_from(audit)).scalar_one())
    head = connection.execute(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)).scalar()
    return total, "" if head is None else bytes(head).hex()


def _offered(connection: Connection) -> dict[str, Sequence[str]]:
    """Return the accounts and the acts that are on record."""
    columns = {"who": audit.c.who, "act": audit.c.act}
    return {
        name: connection.execute(select(column).distinct().order_by(column).limit(OFFERED_MAX)).scalars().all()
        for name, column in columns.items()
    }
