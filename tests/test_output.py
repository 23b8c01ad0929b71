from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest

from gateway.core.errors import InputError
from gateway.output import STDOUT, replacing, writing

FULL = Path("/dev/full")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"before")
    with pytest.raises(TypeError), replacing(path) as file:
        file.write(cast("bytes", "half"))
    assert [each.name for each in tmp_path.iterdir()] == ["t.csv"]
    assert path.read_bytes() == b"before"
    with replacing(path) as file:
        file.write(b"after")
    assert path.read_bytes() == b"after"
    with pytest.raises(InputError, match=r"--output: No such file"), replacing(tmp_path / "no" / "t.csv"):
        pass
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="--output: is no file"), replacing(pipe):
        pass
    assert pipe.is_fifo()


def test_a_full_disk_behind_the_standard_output_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    full = FULL.open("w", encoding="utf-8")
    monkeypatch.setattr("sys.stdout", full)
    with pytest.raises(InputError, match="-: --output: No space left"), writing(STDOUT) as file:
        file.write(b"little")
    assert full.closed
