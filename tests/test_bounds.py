"""The page of bounds says what the code says."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "bounds.md"
ROW = re.compile(r"^\| `(gateway[\w.]*)\.([A-Z_]+)` \| ([\d.]+) \|", re.MULTILINE)
STATED = ROW.findall(PAGE.read_text(encoding="utf-8"))


def test_every_row_of_a_table_is_read() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `gateway.")]
    assert len(rows) == len(STATED) > 20


@pytest.mark.parametrize(("module", "name", "value"), STATED, ids=[name for _, name, _ in STATED])
def test_a_bound_is_what_the_page_says(module: str, name: str, value: str) -> None:
    assert str(getattr(importlib.import_module(module), name)) == value
