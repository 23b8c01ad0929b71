"""The forms in which rows leave: CSV, CSV for Excel, Parquet, line protocol. Each takes some rows at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, tzinfo
from enum import StrEnum
from hashlib import sha256
from itertools import groupby
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol, cast

from gateway.core.errors import InputError
from gateway.hub.projection.points import reading_lines
from gateway.hub.tabular.selection import Row

if TYPE_CHECKING:
    import pyarrow as pa
    from typing_extensions import Buffer

COLUMNS = (
    "time",
    "logger",
    "box",
    "temperature_c",
    "interval_s",
    "source",
    "clock_trusted",
    "time_error_ms",
    "counter",
    "light_lux",
    "shock_g",
)
_PLAIN = tuple(name for name in COLUMNS if name not in {"time", "logger", "box", "source"})
ROWS_PER_GROUP = 50_000
"""Rows that wait for their group of a Parquet file: some 10 MiB. Smaller groups compress worse."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Form(StrEnum):
    """What the rows become."""

    CSV = "csv"
    EXCEL = "excel"
    PARQUET = "parquet"
    LINES = "lines"


class Sink(io.BufferedIOBase):
    """A file that is written from the first byte to the last, and its hash."""

    name = "export"  # asked for by a text layer over it

    def __init__(self, file: IO[bytes]) -> None:
        self.digest = sha256()
        self._file = file
        self._place = 0

    def writable(self) -> bool:
        """Say that it can be written."""
        return True

    def tell(self) -> int:
        """Return how many bytes have been written."""
        return self._place

    def write(self, data: Buffer) -> int:
        """Write all of it."""
        taken = bytes(data)
        self._file.write(taken)
        self.digest.update(taken)
        self._place += len(taken)
        return len(taken)


class Take(Protocol):
    """Takes the next rows."""

    def __call__(self, rows: Sequence[Row]) -> None:
        """Write rows, or keep a bounded number of them for the next call."""


def open_form(form: Form, file: Sink, zone: tzinfo) -> AbstractContextManager[Take]:
    """Open a form over a binary file; times of CSV are in `zone`. Raises InputError if a library is missing."""
    match form:
        case Form.PARQUET:
            return _parquet(file)
        case Form.LINES:
            return _lines(file)
        case _:
            return _delimited(file, zone, for_excel=form is Form.EXCEL)


def guard_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula. Source: OWASP, CSV injection."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def unguard_cell(text: str) -> str:
    """Return what `guard_cell` was given."""
    return text[1:] if text.startswith(tuple(f"'{mark}" for mark in _FORMULA)) else text


@contextmanager
def _delimited(file: Sink, zone: tzinfo, *, for_excel: bool) -> Iterator[Take]:
    text = io.TextIOWrapper(cast("BinaryIO", file), encoding="utf-8-sig" if for_excel else "utf-8", newline="")
    writer = csv.writer(text, delimiter=";" if for_excel else ",", lineterminator="\r\n")
    writer.writerow(COLUMNS)

    def number(value: float | None) -> str:
        shown = "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
        return shown.replace(".", ",") if for_excel else shown

    def take(rows: Sequence[Row]) -> None:
        for row in rows:
            reading = row.reading
            moment = datetime.fromtimestamp(reading.at_ms / 1000, zone).isoformat(timespec="milliseconds")
            told = (guard_cell(row.logger), guard_cell(row.box), number(reading.temperature_c), reading.interval_s)
            clock = ("true" if reading.clock_trusted else "false", reading.time_error_ms)
            measured = (number(reading.counter), number(reading.light_lux), number(reading.shock_g))
            writer.writerow((moment, *told, reading.source.value, *clock, *measured))

    try:
        yield take
        text.flush()
    finally:
        text.detach()


@contextmanager
def _lines(file: Sink) -> Iterator[Take]:
    def take(rows: Sequence[Row]) -> None:
        for logger, group in groupby(rows, key=lambda row: row.logger):
            lines = reading_lines(logger, [row.reading for row in group])
            file.write("".join(f"{line}\n" for line in lines).encode())

    yield take


@contextmanager
def _parquet(file: Sink) -> Iterator[Take]:
    try:
        import pyarrow as pa  # noqa: PLC0415  a large library that only this form needs
        from pyarrow import parquet  # noqa: PLC0415  the same
    except ImportError as error:
        raise InputError("--parquet", "needs pyarrow: pip install 'coldchain-gateway[parquet]'") from error
    schema = _schema()
    waiting: list[Row] = []
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:

        def take(rows: Sequence[Row]) -> None:
            waiting.extend(rows)
            if len(waiting) >= ROWS_PER_GROUP:
                flush()

        def flush() -> None:
            writer.write_table(pa.table(_columns(waiting), schema=schema))
            waiting.clear()

        yield take
        if waiting:
            flush()


def _schema() -> pa.Schema:
    import pyarrow as pa  # noqa: PLC0415  the same

    name = pa.dictionary(pa.int32(), pa.string())
    kinds = {
        "time": pa.timestamp("ms", tz="UTC"),
        "logger": name,
        "box": name,
        "temperature_c": pa.float64(),
        "interval_s": pa.int32(),
        "source": name,
        "clock_trusted": pa.bool_(),
        "time_error_ms": pa.int64(),
        "counter": pa.int64(),
        "light_lux": pa.int64(),
        "shock_g": pa.float64(),
    }
    return pa.schema([(column, kinds[column]) for column in COLUMNS])


def _columns(rows: Sequence[Row]) -> dict[str, Sequence[object]]:
    named: dict[str, Sequence[object]] = {
        "time": [row.reading.at_ms for row in rows],
        "logger": [row.logger for row in rows],
        "box": [row.box for row in rows],
        "source": [row.reading.source.value for row in rows],
    }
    return named | {name: [getattr(row.reading, name) for row in rows] for name in _PLAIN}
