"""Opening a recording: which form it has, its text, and how far reading has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gateway.core.errors import InputError
from gateway.importers.berlinger import is_berlinger, parse_berlinger
from gateway.importers.delimited import Mapping, parse_delimited
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
    try:
        size = path.stat().st_size
        if size > FILE_SIZE_MAX:
            raise InputError("file", f"larger than {FILE_SIZE_MAX // 1024**3} GiB", where=where)
        with path.open(encoding=encoding, newline="") as file:
            first = file.readline(2000)
            file.seek(0)
            if is_berlinger(first):
                return parse_berlinger(_counted(file, progress), where, clock)
            if mapping is None:
                raise InputError(
                    "file",
                    "no file of a Q-tag or Fridge-tag; for a CSV name its --time-column and --temperature-column",
                    where=where,
                )
            return parse_delimited(_counted(file, progress), where, mapping)
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
