"""Every query of every dashboard, asked of a real InfluxDB about a simulated week, and its answer checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dashboards.writing import build_all
from gateway.hub.settings import InfluxSettings
from tests.hub.vans import START_MS
from tests.integration.influx_engine import ask
from tests.integration.week import (
    BACKLOG_S,
    COLD,
    DAY,
    EXCURSION_S,
    EXTREME_C,
    HOUR,
    INTERVAL_S,
    LENGTH_S,
    REMEMBERED_S,
    SECOND_VAN_S,
    SILENT_S,
    TRIP_S,
    WARM,
    Week,
)

STEP_S = 600
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of one query, and what they are about. Moments in seconds since the start of the week."""

    week: Week
    rows: list[Row]

    def column(self, name: str, **tags: str) -> dict[int, Any]:
        """One column by moment, without the gaps, of the series with these tags."""
        return {
            (row["time"] - START_MS) // 1000: row[name]
            for row in self.rows
            if row[name] is not None and all(row[tag] == value for tag, value in tags.items())
        }

    def counted(self, name: str, **tags: str) -> dict[int, Any]:
        """The same of a count, which is 0 rather than nothing where there was nothing to count."""
        return {at_s: value for at_s, value in self.column(name, **tags).items() if value}


def grafana(query: str, variables: dict[str, str], begins_s: int, ends_s: int, step_s: int = STEP_S) -> str:
    """Fill in a query as Grafana does: its own macros, then the variables."""
    begins_ms, ends_ms = START_MS + begins_s * 1000, START_MS + ends_s * 1000
    query = query.replace("$timeFilter", f"time >= {begins_ms}ms and time <= {ends_ms}ms")
    query = query.replace("$__interval_ms", str(step_s * 1000)).replace("$__interval", f"{step_s}s")
    for name, value in variables.items():
        query = query.replace(f"${{{name}:regex}}", value)
        query = re.sub(rf"\$\{{{name}\}}|\${name}\b", value, query)
    assert "$" not in re.sub(r"\)\$/", "", query), query
    return query


def slots(stretch: range) -> set[int]:
    return set(range(stretch.start, stretch.stop, STEP_S))


EVERY_SLOT = set(range(0, LENGTH_S, STEP_S))
TRIP = {"consignment": "C-1"}
EVERY = {"gateway": ".*", "logger": ".*", "rule": ".*"}


# --- what is true, query by query -----------------------------------------------------------------------------------


def temperature(answer: Answer) -> None:
    highest, lowest = answer.column("highest", logger=WARM), answer.column("lowest", logger=WARM)
    assert set(highest) == slots(TRIP_S)
    assert highest[EXCURSION_S.start + 20 * 60] == EXTREME_C
    for at_s in slots(TRIP_S):
        true = answer.week.temperatures(WARM, at_s, at_s + STEP_S)
        assert (highest[at_s], lowest[at_s]) == (max(true), min(true))


def upper_limit(answer: Answer) -> None:
    assert answer.column("upper limit") == dict.fromkeys(slots(TRIP_S), 8)


def lower_limit(answer: Answer) -> None:
    assert answer.column("lower limit") == dict.fromkeys(slots(TRIP_S), 2)


def above(answer: Answer) -> None:
    assert answer.column("above", logger=WARM) == dict.fromkeys(slots(EXCURSION_S), STEP_S)


def measured_on_trip(answer: Answer) -> None:
    assert answer.column("measured", logger=WARM) == dict.fromkeys(slots(TRIP_S), 1.0)


def custody(answer: Answer) -> None:
    assert [(row["act"], row["item"], row["holder"]) for row in answer.rows] == [
        *(("loaded", f"T-{number}", "BADGE-7") for number in range(1, 6)),
        ("received", None, "BADGE-9"),
    ]


def breaches_of_trip(answer: Answer) -> None:
    assert sorted((row["state"], row["kind"], row["extreme_c"]) for row in answer.rows) == [
        ("confirmed", "single", 11.5),
        ("superseded", "forbidden", 11.5),
    ]


def waiting_segments(answer: Answer) -> None:
    # Reports come at the end of each hour; the backlog is followed by a zero that says that it is over.
    found = answer.column("waiting", gateway="van-1")
    assert {at_s // HOUR * HOUR for at_s, value in found.items() if value} == set(BACKLOG_S[::HOUR])
    assert set(found.values()) == {0, 7}
    assert len(found) == LENGTH_S // HOUR


def waiting_bytes(answer: Answer) -> None:
    assert set(answer.column("waiting", gateway="van-1").values()) == {0, 7000}


def listening(answer: Answer) -> None:
    found = answer.column("listening", gateway="van-1")
    assert [at_s // HOUR * HOUR for at_s, value in found.items() if value == 0] == [4 * DAY]


def no_restarts(answer: Answer) -> None:
    assert set(answer.column("restarts").values()) <= {0}


def untrusted_reports(answer: Answer) -> None:
    assert answer.counted("untrusted", gateway="van-1") == {HOUR - STEP_S: 1}


def corrections(answer: Answer) -> None:
    for side in ("highest", "lowest"):
        assert answer.column(side, gateway="van-1") == {30 * 60: 2500}


def gateways_heard(answer: Answer) -> None:
    (row,) = answer.rows
    assert (row["gateway"], row["time"], row["waiting"]) == ("van-1", START_MS + LENGTH_S * 1000 - 1, 0)


def loggers_heard(answer: Answer) -> None:
    last_ms = START_MS + (LENGTH_S - INTERVAL_S) * 1000
    assert {row["logger"]: row["time"] for row in answer.rows} == {WARM: last_ms, COLD: last_ms}


def measured(answer: Answer) -> None:
    warm, cold = answer.column("measured", logger=WARM), answer.column("measured", logger=COLD)
    assert cold == dict.fromkeys(EVERY_SLOT, 1.0)
    # What the memory did not hold is a gap: no bar at all.
    assert EVERY_SLOT - set(warm) == slots(range(REMEMBERED_S.stop, SILENT_S.stop))
    assert warm[SILENT_S.start] == 0.5  # one of its two memory records repeats what was heard live
    assert warm[SILENT_S.start + STEP_S] == 1.0


def live(answer: Answer) -> None:
    found = answer.column("readings")
    assert sum(found.values()) == 2 * LENGTH_S // INTERVAL_S - len(SILENT_S) // INTERVAL_S
    assert found[SECOND_VAN_S.start] == 2 * STEP_S // INTERVAL_S  # two vans heard one box: counted once


def memory(answer: Answer) -> None:
    assert answer.counted("readings") == dict.fromkeys(slots(REMEMBERED_S), 2) | {SILENT_S.start: 1}


def untrusted_readings(answer: Answer) -> None:
    """The first hour was sealed before the clock was known; the hub has dated it before anything was projected."""
    assert answer.counted("untrusted", logger=WARM) == answer.counted("untrusted", logger=COLD) == {}


def nothing(answer: Answer) -> None:
    assert all(value is None for row in answer.rows for name, value in row.items() if name in {"withdrawn", "below"})


def faults(answer: Answer) -> None:
    assert answer.column("faults", code="log_incomplete") == {SILENT_S.stop: 1}


def no_damage(answer: Answer) -> None:
    assert set(answer.column("corrupt").values()) | set(answer.column("dropped").values()) <= {0}


def memory_reads(answer: Answer) -> None:
    (row,) = answer.rows
    assert (row["logger"], row["records"], row["from_ms"]) == (WARM, 12, START_MS + SILENT_S.start * 1000)


def number(value: float, name: str = "breaches") -> Callable[[Answer], None]:
    def check(answer: Answer) -> None:
        (row,) = answer.rows
        assert row[name] == value

    return check


FOUND_S = EXCURSION_S.start + 600
"""When the breaches were found."""


def by_kind(answer: Answer) -> None:
    assert answer.column("breaches", kind="single") == {FOUND_S: 1}
    assert answer.column("breaches", kind="forbidden") == {FOUND_S: 0}


def by_rule(answer: Answer) -> None:
    assert answer.column("breaches", rule="warm") == {FOUND_S: 1}


def how_far(answer: Answer) -> None:
    assert answer.column("highest", rule="warm") == answer.column("lowest", rule="warm") == {FOUND_S: 11.5}


def how_long(answer: Answer) -> None:
    assert answer.column("longest", rule="warm") == {FOUND_S: 7.0}


def newest(answer: Answer) -> None:
    assert {(row["state"], row["consignment"], row["found_by"]) for row in answer.rows} == {
        ("confirmed", "C-1", "hub"),
        ("superseded", "C-1", "hub"),
    }


TRUTHS: dict[tuple[str, str, str], Callable[[Answer], None]] = {
    ("coldchain-journey", "Temperature and limits", "A"): temperature,
    ("coldchain-journey", "Temperature and limits", "B"): upper_limit,
    ("coldchain-journey", "Temperature and limits", "C"): lower_limit,
    ("coldchain-journey", "Time beyond a limit", "A"): above,
    ("coldchain-journey", "Time beyond a limit", "B"): nothing,
    ("coldchain-journey", "Measured time", "A"): measured_on_trip,
    ("coldchain-journey", "Custody", "A"): custody,
    ("coldchain-journey", "Breaches", "A"): breaches_of_trip,
    ("coldchain-fleet", "Outbox depth", "A"): waiting_segments,
    ("coldchain-fleet", "Outbox, bytes", "A"): waiting_bytes,
    ("coldchain-fleet", "Adapter", "A"): listening,
    ("coldchain-fleet", "Restarts of the scan", "A"): no_restarts,
    ("coldchain-fleet", "Reports with an untrusted clock", "A"): untrusted_reports,
    ("coldchain-fleet", "Clock corrections", "A"): corrections,
    ("coldchain-fleet", "Gateways, last heard", "A"): gateways_heard,
    ("coldchain-fleet", "Loggers, last heard", "A"): loggers_heard,
    ("coldchain-quality", "Measured time", "A"): measured,
    ("coldchain-quality", "Readings by source", "A"): live,
    ("coldchain-quality", "Readings by source", "B"): memory,
    ("coldchain-quality", "Readings with an untrusted time", "A"): untrusted_readings,
    ("coldchain-quality", "Readings withdrawn", "A"): nothing,
    ("coldchain-quality", "Faults of loggers and gateways", "A"): faults,
    ("coldchain-quality", "Segments damaged or dropped by gateways", "A"): no_damage,
    ("coldchain-quality", "Memory reads that were not complete", "A"): memory_reads,
    ("coldchain-breaches", "Breaches that stand", "A"): number(1),
    ("coldchain-breaches", "Taken back", "A"): number(1),
    ("coldchain-breaches", "Highest extreme", "A"): number(11.5, "extreme"),
    ("coldchain-breaches", "Lowest extreme", "A"): number(11.5, "extreme"),
    ("coldchain-breaches", "Breaches by kind", "A"): by_kind,
    ("coldchain-breaches", "Breaches by rule", "A"): by_rule,
    ("coldchain-breaches", "How far", "A"): how_far,
    ("coldchain-breaches", "How long", "A"): how_long,
    ("coldchain-breaches", "Newest breaches", "A"): newest,
}


def queries() -> Iterator[tuple[tuple[str, str, str], str]]:
    for document in build_all().values():
        for panel in document["panels"]:
            for target in panel["targets"]:
                yield (document["uid"], panel["title"], target["refId"]), target["query"]


QUERIES = dict(queries())


def test_every_query_has_its_truth() -> None:
    assert set(QUERIES) == set(TRUTHS)


@pytest.fixture(scope="module")
def chosen(week: Week, week_settings: InfluxSettings) -> dict[str, str]:
    """The variables of the journey, filled in order as Grafana fills them: by their own queries."""
    values: dict[str, str] = {}
    document = build_all()["coldchain-journey.json"]
    for variable in document["templating"]["list"]:
        if variable["type"] != "query":
            continue
        query = grafana(variable["query"], values, 0, LENGTH_S)
        found = ask(week_settings.url, week_settings.bucket, query, week_settings.token.get_secret_value())
        # Grafana takes the first column behind the time.
        taken = {str(next(value for name, value in row.items() if name != "time")) for row in found}
        values[variable["name"]] = "|".join(sorted(taken))
    return values


def test_the_choices_of_the_journey_are_filled(chosen: dict[str, str]) -> None:
    assert chosen["consignment"] == "C-1"
    assert chosen["logger"] == chosen["loggers_high"] == chosen["loggers_low"] == WARM
    assert (float(chosen["low_c"]), float(chosen["high_c"])) == (2, 8)


@pytest.mark.parametrize("which", TRUTHS, ids="/".join)
def test_a_query_says_what_is_true(
    which: tuple[str, str, str], week: Week, week_settings: InfluxSettings, chosen: dict[str, str]
) -> None:
    on_trip = which[0] == "coldchain-journey"
    span = (TRIP_S.start, TRIP_S.stop - 1) if on_trip else (0, LENGTH_S)
    query = grafana(QUERIES[which], chosen if on_trip else EVERY, *span)
    rows = ask(week_settings.url, week_settings.bucket, query, week_settings.token.get_secret_value())
    TRUTHS[which](Answer(week, rows))


@pytest.mark.parametrize("high_c", ["", "-20"])
def test_a_journey_without_an_upper_limit_or_in_the_cold_can_be_asked(
    week_settings: InfluxSettings, chosen: dict[str, str], high_c: str
) -> None:
    variables = chosen | {"high_c": high_c, "loggers_high": chosen["logger"] if high_c else ""}
    token = week_settings.token.get_secret_value()
    for which in (("Temperature and limits", "B"), ("Time beyond a limit", "A")):
        query = grafana(QUERIES["coldchain-journey", *which], variables, TRIP_S.start, TRIP_S.stop - 1)
        rows = ask(week_settings.url, week_settings.bucket, query, token)
        values = {value for row in rows for name, value in row.items() if name in {"upper limit", "above"}} - {None}
        if not high_c:
            assert values == set()
        else:
            assert values == ({-20} if which[1] == "B" else {STEP_S})
