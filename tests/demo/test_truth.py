"""The truth file becomes measurements and memories by logger."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.errors import InputError
from gateway.demo.reckoning import Measurement
from gateway.demo.truth import parse_truth, read_truth

LINES = [
    b'{"kind":"run","seed":1,"start_ms":0,"shift_ms":0}\n',
    b'{"kind":"measurement","logger":"A","n":65536,"counter":1,"at_ms":5,"temperature_mc":-5165}\n',
    b'{"kind":"memory","logger":"A","n":65536,"at_ms":5,"temperature_cc":-517}\n',
    b'{"kind":"measurement","logger":"B","n":1,"counter":1,"at_ms":6,"temperature_mc":20}\n',
    b'{"kind":"box","box":"BOX-1","logger":"B","event":"logger_died","at_ms":7}\n',
]


def test_measurements_and_memories_by_logger() -> None:
    truth = parse_truth(LINES, {"A": 60})
    assert truth["A"].measured == [Measurement(65536, 5, -5165)]
    assert truth["A"].memory == [Measurement(65536, 5, -5170)]
    assert truth["A"].memory_interval_s == 60
    assert truth["B"].memory == []


def test_a_line_that_was_being_written_is_left_out() -> None:
    assert parse_truth([*LINES[:2], LINES[3][:20]], {}).keys() == {"A"}


def test_a_malformed_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    path.write_bytes(LINES[0] + b"nonsense\n")
    with pytest.raises(InputError, match=r"truth\.jsonl: line 2: "):
        read_truth(path, {})
    with pytest.raises(InputError, match="No such file"):
        read_truth(tmp_path / "none", {})
