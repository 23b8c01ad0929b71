"""Weeks and months of loggers for the explorer: minimum, maximum and mean of each interval, never every reading.

InfluxDB decimates in the query (InfluxQL on ``/query``, which 2.x and 3 answer alike). Without it the archive gives the
same answer, slower. Minimum and maximum are those of all readings of the interval, so no excursion is drawn away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, fsum
from typing import Protocol

import httpx

from gateway.core.errors import ColdchainError, InputError
from gateway.core.readings import Reading, merge_observations
from gateway.hub.projection.hours import HOUR_MS
from gateway.hub.projection.settling import EDGE_MS
from gateway.hub.record.archive import Archive
from gateway.hub.settings import InfluxSettings

INTERVALS_MAX = 2000
"""Intervals of one logger: a pixel each, on a wide screen."""
LOGGERS_MAX = 100
STEPS_MS = tuple(
    minutes * 60_000 for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14_400, 43_200)
)
"""Interval lengths; those from an hour up are whole hours, so that the long history answers them too."""
CHUNK_MS = 24 * HOUR_MS
"""What is read of the archive at once: a day of a logger, some 3,000 observations."""
TIMEOUT_S = 60.0
LATE_MS = HOUR_MS // 2
"""So long after its end an hour is in the long history; younger ones are made of their readings."""
BODY_MAX = 32 << 20
"""Bytes of an answer: 100 loggers of 2,000 intervals take some 20 MB."""


class HistoryError(ColdchainError):
    """The history cannot be read now: the server is away or refuses."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One logger's readings within an interval that begins at `begins_ms`; there is none where nothing was read."""

    begins_ms: int
    readings: int
    min_c: float
    max_c: float
    mean_c: float


@dataclass(frozen=True, slots=True)
class Question:
    """What to read: loggers, and a stretch of time in intervals of one length.

    The stretch is widened to whole intervals, counted from 1970-01-01T00:00Z. Hours that begin before `hours_until_ms`
    are in the long history.
    """

    loggers: tuple[str, ...]
    begins_ms: int
    ends_ms: int
    step_ms: int
    hours_until_ms: int


class History(Protocol):
    """What answers questions. Blocking."""

    def read(self, question: Question) -> dict[str, tuple[Interval, ...]]:
        """Return the intervals of each logger, in order; raises HistoryError."""


def ask(loggers: Iterable[str], begins_ms: int, ends_ms: int, now_ms: int, intervals: int = 600) -> Question:
    """Return the question that yields at most so many intervals; raises InputError for what is no stretch."""
    named = tuple(sorted(set(loggers)))
    if len(named) > LOGGERS_MAX:
        raise InputError("loggers", f"{len(named)} at once, at most {LOGGERS_MAX}")
    if not 1 <= intervals <= INTERVALS_MAX:
        raise InputError("intervals", f"{intervals} is not 1 to {INTERVALS_MAX}")
    if not 0 <= begins_ms < ends_ms:
        raise InputError("to", "is not after from")
    least_ms = (ends_ms - begins_ms) / intervals
    step_ms = next((step for step in STEPS_MS if step >= least_ms), ceil(least_ms / STEPS_MS[-1]) * STEPS_MS[-1])
    first_ms = begins_ms - begins_ms % step_ms
    late_ms = max(0, now_ms - LATE_MS)
    return Question(named, first_ms, ends_ms + -ends_ms % step_ms, step_ms, late_ms - late_ms % HOUR_MS)


@dataclass(frozen=True, slots=True)
class ArchiveHistory:
    """Answers from the archive, a day at a time."""

    archive: Archive
    offsets_c: dict[str, float]

    def read(self, question: Question) -> dict[str, tuple[Interval, ...]]:
        """Return the intervals of each logger, in order."""
        return {logger: tuple(self._intervals(logger, question)) for logger in question.loggers}

    def _intervals(self, logger: str, question: Question) -> Iterator[Interval]:
        begins_ms, temperatures = question.begins_ms, list[float]()
        for reading in self._readings(logger, question):
            at_ms = reading.at_ms - reading.at_ms % question.step_ms
            if at_ms != begins_ms and temperatures:
                yield _interval(begins_ms, temperatures)
                temperatures = []
            begins_ms = at_ms
            temperatures.append(reading.temperature_c)
        if temperatures:
            yield _interval(begins_ms, temperatures)

    def _readings(self, logger: str, question: Question) -> Iterator[Reading]:
        for begins_ms in range(question.begins_ms, question.ends_ms, CHUNK_MS):
            ends_ms = min(begins_ms + CHUNK_MS, question.ends_ms)
            around = self.archive.observations(logger, begins_ms - EDGE_MS, ends_ms + EDGE_MS)
            for reading in merge_observations(around, offset_c=self.offsets_c.get(logger, 0.0)).readings:
                if begins_ms <= reading.at_ms < ends_ms:
                    yield reading


class InfluxHistory:
    """Answers from InfluxDB: intervals of an hour and more from the long history, shorter ones from the readings."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        token = settings.token.get_secret_value()
        headers = {"Authorization": f"Token {token}"} if token else {}
        self._client = httpx.Client(base_url=settings.url, headers=headers, timeout=TIMEOUT_S)

    def read(self, question: Question) -> dict[str, tuple[Interval, ...]]:
        """Return the intervals of each logger, in order; raises HistoryError."""
        return {logger: tuple(self._intervals(logger, question)) for logger in question.loggers}

    def _intervals(self, logger: str, question: Question) -> list[Interval]:
        begins_ms, ends_ms, step_ms = question.begins_ms, question.ends_ms, question.step_ms
        if step_ms < HOUR_MS:
            return self._ask(self._settings.bucket, reading_query(logger, begins_ms, ends_ms, step_ms))
        middle_ms = min(max(begins_ms, question.hours_until_ms), ends_ms)
        found: list[Interval] = []
        if begins_ms < middle_ms:
            found = self._ask(self._settings.long_bucket_name, hour_query(logger, begins_ms, middle_ms, step_ms))
        if middle_ms < ends_ms:
            fresh = self._ask(self._settings.bucket, reading_query(logger, middle_ms, ends_ms, step_ms))
            if found and fresh and found[-1].begins_ms == fresh[0].begins_ms:
                found[-1:] = [_join(found[-1], fresh.pop(0))]
            found += fresh
        return found

    def _ask(self, bucket: str, statement: str) -> list[Interval]:
        return list(_to_intervals(query(self._client, bucket, statement)))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def reading_query(logger: str, begins_ms: int, ends_ms: int, step_ms: int) -> str:
    """Return the InfluxQL that decimates readings."""
    columns = (
        'count("temperature_c") AS "readings", min("temperature_c") AS "min_c", max("temperature_c") AS "max_c",'
        ' sum("temperature_c") AS "sum_c"'
    )
    where = f'"logger" = {_quote(logger)} AND "withdrawn" = false'
    return _select(columns, "reading", where, begins_ms, ends_ms, step_ms)


def hour_query(logger: str, begins_ms: int, ends_ms: int, step_ms: int) -> str:
    """Return the InfluxQL that decimates the hours of the long history."""
    columns = 'sum("readings") AS "readings", min("min_c") AS "min_c", max("max_c") AS "max_c", sum("sum_c") AS "sum_c"'
    where = f'"logger" = {_quote(logger)} AND "readings" > 0'
    return _select(columns, "reading_hour", where, begins_ms, ends_ms, step_ms)


def _select(columns: str, source: str, where: str, begins_ms: int, ends_ms: int, step_ms: int) -> str:
    span = f"time >= {begins_ms}ms AND time < {ends_ms}ms"
    ends = f"GROUP BY time({step_ms}ms) fill(none)"
    return f'SELECT {columns} FROM "{source}" WHERE {where} AND {span} {ends}'  # noqa: S608  what is not ours is quoted


def _join(one: Interval, other: Interval) -> Interval:
    readings = one.readings + other.readings
    return Interval(
        begins_ms=one.begins_ms,
        readings=readings,
        min_c=min(one.min_c, other.min_c),
        max_c=max(one.max_c, other.max_c),
        mean_c=round((one.mean_c * one.readings + other.mean_c * other.readings) / readings, 3),
    )


def query(client: httpx.Client, bucket: str, statement: str) -> list[dict[str, object]]:
    """Ask in InfluxQL; return the rows of all series, times in milliseconds. Raises HistoryError."""
    try:
        with client.stream("GET", "/query", params={"db": bucket, "q": statement, "epoch": "ms"}) as response:
            body = _read_bounded(response)
            if response.is_error:
                raise HistoryError(f"InfluxDB answers {response.status_code}: {body[:300].decode(errors='replace')}")
        answer = httpx.Response(200, content=body).json()
    except (httpx.HTTPError, ValueError) as error:
        raise HistoryError(f"InfluxDB cannot be asked: {type(error).__name__}: {error}") from error
    return list(_rows(answer))


def _read_bounded(response: httpx.Response) -> bytes:
    body = bytearray()
    for part in response.iter_bytes():
        body += part
        if len(body) > BODY_MAX:
            raise HistoryError(f"InfluxDB's answer is longer than {BODY_MAX} bytes")
    return bytes(body)


def _rows(answer: object) -> Iterator[dict[str, object]]:
    results = answer.get("results", []) if isinstance(answer, dict) else []
    for result in results:
        if "error" in result:
            raise HistoryError(f"InfluxDB refuses the question: {result['error']}")
        for series in result.get("series", []):
            tags = series.get("tags", {})
            for values in series["values"]:
                yield {**tags, **dict(zip(series["columns"], values, strict=True))}


def _to_intervals(rows: Iterable[dict[str, object]]) -> Iterator[Interval]:
    for row in rows:
        count, total = row["readings"], row["sum_c"]
        if not count:
            continue
        yield Interval(
            begins_ms=to_ms(row["time"]),
            readings=int(_number(count)),
            min_c=_number(row["min_c"]),
            max_c=_number(row["max_c"]),
            mean_c=round(_number(total) / _number(count), 3),
        )


def to_ms(time: object) -> int:
    """Return a time of an answer in milliseconds; InfluxDB 3 may answer with text where a number was asked for."""
    if isinstance(time, str):
        return round(datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp() * 1000)
    return int(_number(time))


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise HistoryError(f"InfluxDB answers {value!r} where a number belongs")
    return value


def _interval(begins_ms: int, temperatures: Sequence[float]) -> Interval:
    return Interval(
        begins_ms,
        len(temperatures),
        min(temperatures),
        max(temperatures),
        round(fsum(temperatures) / len(temperatures), 3),
    )


def _quote(text: str) -> str:
    """Return a string literal of InfluxQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", " ") + "'"
