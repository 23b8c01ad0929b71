"""The simulator's truth file, read: what its loggers measured and what their memories hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from gateway.core.errors import InputError
from gateway.demo.reckoning import LoggerTruth, Measurement

LINES_MAX = 5_000_000
"""Fifty loggers for a week of real time; a day of the demonstration takes 17,000."""
_MC_PER_CC = 10


class _Line(msgspec.Struct, frozen=True):
    """Any line of the file; which fields it has depends on its kind."""

    kind: str
    logger: str = ""
    n: int = 0
    at_ms: int = 0
    temperature_mc: int | None = None
    temperature_cc: int | None = None


def read_truth(path: Path, memory_interval_s: Mapping[str, int]) -> dict[str, LoggerTruth]:
    """Read the file; raises InputError naming the line. Loggers without a memory are not in `memory_interval_s`."""
    try:
        with path.open("rb") as file:
            return parse_truth(file, memory_interval_s, where=str(path))
    except OSError as error:
        raise InputError("truth", error.strerror or str(error), where=str(path)) from error


def parse_truth(
    lines: Iterable[bytes], memory_interval_s: Mapping[str, int], *, where: str = ""
) -> dict[str, LoggerTruth]:
    """Read the lines of a truth file; a last line without its end is one that was being written and is left out."""
    measured: dict[str, list[Measurement]] = defaultdict(list)
    memory: dict[str, list[Measurement]] = defaultdict(list)
    decode = msgspec.json.Decoder(_Line).decode
    for number, text in enumerate(lines, start=1):
        if number > LINES_MAX:
            raise InputError("truth", f"more than {LINES_MAX} lines", where=where)
        if not text.endswith(b"\n"):
            break
        try:
            line = decode(text)
        except msgspec.MsgspecError as error:
            raise InputError(f"line {number}", str(error), where=where) from error
        if line.kind == "measurement" and line.temperature_mc is not None:
            measured[line.logger].append(Measurement(line.n, line.at_ms, line.temperature_mc))
        elif line.kind == "memory" and line.temperature_cc is not None:
            memory[line.logger].append(Measurement(line.n, line.at_ms, line.temperature_cc * _MC_PER_CC))
    return {
        logger: LoggerTruth(rows, memory.get(logger, []), memory_interval_s.get(logger, 300))
        for logger, rows in measured.items()
    }
