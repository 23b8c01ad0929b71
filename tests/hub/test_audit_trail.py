"""Which entries of the audit trail are read, and what a spreadsheet gets of them."""

from __future__ import annotations

import csv
import io

import pytest

from gateway.hub.audit.acts import Act, record_act
from gateway.hub.audit.trail import Entry, Wanted, read_entries, write_csv
from gateway.hub.database.store import Store

MOMENTS_MS = (1000, 2000, 3000)


def read(store: Store, wanted: Wanted | None = None, **more: int) -> list[Entry]:
    with store.read() as connection:
        return read_entries(connection, wanted or Wanted(), **more)


@pytest.fixture
def trail(store: Store) -> Store:
    for at_ms in MOMENTS_MS:
        with store.write() as connection:
            record_act(connection, Act("kari", "register", f"box {at_ms}"), at_ms)
    return store


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "found"),
    [(None, None, MOMENTS_MS), (2000, None, (2000, 3000)), (2001, None, (3000,)), (None, 2000, (1000,))],
)
def test_the_first_moment_is_included_and_the_last_is_not(
    trail: Store, from_ms: int | None, to_ms: int | None, found: tuple[int, ...]
) -> None:
    assert tuple(entry.at_ms for entry in read(trail, Wanted(from_ms=from_ms, to_ms=to_ms))) == found


def test_pages_neither_repeat_an_entry_nor_leave_one_out(trail: Store) -> None:
    first, second, third = (entry.id for entry in read(trail))
    assert [entry.id for entry in read(trail, before=third, limit=1)] == [second]
    assert [entry.id for entry in read(trail, before=second)] == [first]
    assert [entry.id for entry in read(trail, after=first)] == [second, third]


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_calculate_is_text(begins: str) -> None:
    entry = Entry(1, 0, "kari", "register", f"{begins}cmd", None, None, "a = b", "", "")
    _, row = csv.reader(io.StringIO(b"".join(write_csv([entry])).decode(), newline=""))
    assert f"'{begins}cmd" in row
    assert "a = b" in row
