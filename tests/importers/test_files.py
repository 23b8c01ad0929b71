"""Recordings are opened without being held, where they can be."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.core.errors import InputError
from gateway.importers import files
from gateway.importers.delimited import Mapping, Unit
from gateway.importers.files import open_recording, read_recording

MAPPING = Mapping(("t",), "c", Unit.CELSIUS)
BEGINS = datetime(2026, 3, 1, tzinfo=UTC)


def write(path: Path, minutes: range) -> Path:
    rows = (f"{(BEGINS + timedelta(minutes=minute)).isoformat()},{4 + minute % 3}\n" for minute in minutes)
    with path.open("w") as file:
        file.write("t,c\n")
        file.writelines(rows)
    return path


def test_a_file_in_order_is_read_a_row_at_a_time(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", range(20_000))
    tracemalloc.start()
    opened = open_recording(path, mapping=MAPPING)
    count = sum(1 for _ in opened.readings())
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (count, opened.form) == (20_000, "csv")
    assert most_bytes < 1_500_000  # held, they take more than three times that
    assert list(opened.readings()) == list(read_recording(path, mapping=MAPPING).readings)


def test_a_file_in_disorder_is_sorted_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.csv", range(50, 0, -1))
    opened = open_recording(path, mapping=MAPPING)
    assert list(opened.readings()) == list(read_recording(path, mapping=MAPPING).readings)
    monkeypatch.setattr(files, "SORTED_MAX", 49)
    with pytest.raises(InputError, match="not in order of time"):
        open_recording(path, mapping=MAPPING)
