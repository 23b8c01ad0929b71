"""An export of readings, on record."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import tzinfo
from typing import IO

from gateway.hub.audit.acts import Act, record_act
from gateway.hub.database.store import Store
from gateway.hub.record.archive import Archive
from gateway.hub.tabular.forms import Form, Sink, open_form
from gateway.hub.tabular.selection import Selection, iter_rows, select_pieces

Progress = Callable[[int], None]
"""Called with the number of rows written so far."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What left: rows, of so many loggers, and the hash of the file."""

    rows: int
    loggers: int
    sha256: str


def export_readings(
    store: Store,
    selection: Selection,
    form: Form,
    file: IO[bytes],
    now_ms: int,
    *,
    zone: tzinfo,
    progress: Progress | None = None,
) -> Exported:
    """Write the readings of a selection, and put it on record; raises InputError for what is not known."""
    pieces = select_pieces(store, selection)
    sink = Sink(file)
    count = 0
    loggers = set()
    with open_form(form, sink, zone) as take:
        for rows in iter_rows(Archive(store), pieces):
            take(rows)
            count += len(rows)
            loggers.add(rows[0].logger)
            if progress is not None:
                progress(count)
    exported = Exported(count, len(loggers), sink.digest.hexdigest())
    told = {"form": form.value, **asdict(selection), **asdict(exported)}
    with store.write() as connection:
        subject = f"consignment {selection.consignment}" if selection.consignment else "readings"
        record_act(connection, Act("command line", "export", subject, new=json.dumps(told)), now_ms)
    return exported
