"""Opening a recording: which form it has, its text, and how far reading has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import InputError
from gateway.core.readings import Reading
from gateway.importers.berlinger import is_berlinger, parse_berlinger
from gateway.importers.delimited import FORM, Mapping, iter_readings, parse_delimited, survey_delimited
from gateway.importers.local_time import LocalClock
from gateway.importers.recording import Recording

FILE_SIZE_MAX = 2 * 1024**3
"""Some 60 million rows: more than any logger holds, less than what a disk can fill memory with."""
Progress = Callable[[int], None]
"""Is told now and then how much has been done so far."""


def read_recording(
    path: Path,
    *,
    mapping: Mapping | None = None,
    clock: LocalClock | None = None,
    encoding: str = "utf-8",
    progress: Progress | None = None,
) -> Recording:
    """Return the recording in a file: a Berlinger text by itself, anything else by the mapping of its columns.

    Raises InputError naming file, line and field.
    """
    where = str(path)
    with _naming_faults(where, encoding):
        _check_size(path, FILE_SIZE_MAX)
        with path.open(encoding=encoding, newline="") as file:
            first = file.readline(2000)
            file.seek(0)
            if is_berlinger(first):
                _check_size(path, BERLINGER_BYTES_MAX)
                return parse_berlinger(_counted(file, progress), where, clock)
            if mapping is None:
                raise InputError(
                    "file",
                    "no file of a Q-tag or Fridge-tag; for a CSV name its --time-column and --temperature-column",
                    where=where,
                )
            return parse_delimited(_counted(file, progress), where, mapping)


SORTED_MAX = 2_000_000
"""Rows that are sorted in memory, some 400 MB; whoever has more in disorder sorts the file."""
BERLINGER_BYTES_MAX = 64 * 1024**2
"""A thousand times what such a logger holds: its file is read as a whole."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording whose readings are read when they are asked for. `readings` begins anew with each call."""

    form: str
    serial: str
    readings: Callable[[], Iterator[Reading]]


def open_recording(
    path: Path,
    *,
    mapping: Mapping | None = None,
    clock: LocalClock | None = None,
    encoding: str = "utf-8",
    progress: Progress | None = None,
) -> Opened:
    """Return a recording without holding it: delimited text in order of time is read a row at a time, all of it once.

    What is in disorder, or of a logger's own form, is bounded and held. Raises InputError as `read_recording` does.
    """

    def lines(told: Progress | None) -> Iterator[str]:
        with path.open(encoding=encoding, newline="") as file:
            yield from _counted(file, told)

    if mapping is not None and not _looks_like_berlinger(path, encoding):
        where = str(path)
        with _naming_faults(where, encoding):
            _check_size(path, FILE_SIZE_MAX)
            survey = survey_delimited(lines(progress), where, mapping)
        if survey.is_ordered:
            return Opened(FORM, mapping.serial, lambda: iter_readings(lines(None), where, mapping, survey.interval_s))
        if survey.rows > SORTED_MAX:
            raise InputError("file", f"has more than {SORTED_MAX} rows that are not in order of time", where=where)
    recording = read_recording(path, mapping=mapping, clock=clock, encoding=encoding, progress=progress)
    return Opened(recording.form, recording.serial, lambda: iter(recording.readings))


def _looks_like_berlinger(path: Path, encoding: str) -> bool:
    with _naming_faults(str(path), encoding), path.open(encoding=encoding, newline="") as file:
        return is_berlinger(file.readline(2000))


def _check_size(path: Path, most: int) -> None:
    if path.stat().st_size > most:
        raise InputError("file", f"larger than {most // 1024**2} MiB", where=str(path))


@contextmanager
def _naming_faults(where: str, encoding: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError("file", error.strerror or str(error), where=where) from error
    except LookupError as error:
        raise InputError("--encoding", f"{encoding!r} is no encoding of text") from error
    except UnicodeDecodeError as error:
        raise InputError("file", f"is not {encoding} text; say --encoding", where=where) from error


_LINES_PER_REPORT = 4096


def _counted(lines: Iterable[str], progress: Progress | None) -> Iterator[str]:
    """Pass lines on, telling now and then how many characters have been read."""
    if progress is None:
        yield from lines
        return
    read = 0
    for number, line in enumerate(lines):
        read += len(line)
        if number % _LINES_PER_REPORT == 0:
            progress(read)
        yield line
    progress(read)
