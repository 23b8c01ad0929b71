"""Data quality: how much of the time was measured, from which source, by which clock, and what went wrong."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import (
    HEALTH_INTERVAL,
    READINGS_INTERVAL,
    About,
    Panel,
    Target,
    add,
    bars,
    board,
    choice,
    mark_whole,
    rows,
)

CHOSEN = '"logger" =~ /^(${logger:regex})$/ AND $timeFilter'
EACH = 'GROUP BY time($__interval), "logger" fill(null)'
TOGETHER = "GROUP BY time($__interval) fill(null)"


def build() -> Dashboard:
    """Return the dashboard."""
    dashboard = board(
        "coldchain-quality",
        "Cold chain: data quality",
        "Whether the record can carry a verdict: what is missing, what came from a logger's memory, whose clock to "
        "trust.",
        "now-7d",
    )
    names = 'SHOW TAG VALUES FROM "reading" WITH KEY = "logger"'
    dashboard.with_variable(choice("logger", "Logger", names, many=True))
    add(dashboard, _measured(), _sources(), _untrusted(), _withdrawn(), _faults(), _damage(), _memory_reads())
    return dashboard


def _measured() -> Panel:
    panel = bars(
        About(
            "Measured time",
            "The part of each interval that a logger's readings stand for. No bar: nothing was measured.",
            "percentunit",
            width=24,
        ),
        READINGS_INTERVAL,
        Target(
            f'SELECT sum("interval_s") * 1000 / $__interval_ms AS "measured" FROM "reading" '
            f'WHERE "withdrawn" = false AND {CHOSEN} {EACH}',
            "$tag_logger",
        ),
    )
    return mark_whole(panel)


def _sources() -> Panel:
    counted = 'SELECT count("temperature_c") AS "readings" FROM "reading" WHERE "withdrawn" = false'
    return bars(
        About("Readings by source", "Heard live, or fetched later from a logger's memory.", "short"),
        READINGS_INTERVAL,
        Target(f"""{counted} AND "source" = 'live' AND {CHOSEN} {TOGETHER}""", "live"),
        Target(f"""{counted} AND "source" = 'memory' AND {CHOSEN} {TOGETHER}""", "memory"),
        stacked=True,
    )


def _untrusted() -> Panel:
    return bars(
        About("Readings with an untrusted time", "Nothing is judged on them without saying so.", "short"),
        READINGS_INTERVAL,
        Target(
            f'SELECT count("temperature_c") AS "untrusted" FROM "reading" '
            f'WHERE "clock_trusted" = false AND "withdrawn" = false AND {CHOSEN} {EACH}',
            "$tag_logger",
        ),
    )


def _withdrawn() -> Panel:
    return bars(
        About(
            "Readings withdrawn",
            "Points that turned out to repeat another measurement when the rest of the record arrived.",
            "short",
        ),
        READINGS_INTERVAL,
        Target(
            f'SELECT count("temperature_c") AS "withdrawn" FROM "reading" WHERE "withdrawn" = true AND {CHOSEN} {EACH}',
            "$tag_logger",
        ),
    )


def _faults() -> Panel:
    return bars(
        About("Faults of loggers and gateways", "By code, as gateways reported them.", "short"),
        HEALTH_INTERVAL,
        Target(
            'SELECT sum("faults") AS "faults" FROM "fault" '
            'WHERE $timeFilter GROUP BY time($__interval), "code" fill(null)',
            "$tag_code",
        ),
        stacked=True,
    )


def _damage() -> Panel:
    return bars(
        About(
            "Segments damaged or dropped by gateways",
            "Corrupt on the card, or let go because the disk was full. Their signed headers remain.",
            "short",
        ),
        HEALTH_INTERVAL,
        Target(
            'SELECT non_negative_difference(max("corrupt_segments")) AS "corrupt", '
            'non_negative_difference(max("dropped_payloads")) AS "dropped" FROM "health" '
            'WHERE $timeFilter GROUP BY time($__interval), "gateway" fill(null)',
            "$tag_gateway $col",
        ),
    )


def _memory_reads() -> Panel:
    return rows(
        About(
            "Memory reads that were not complete", "The logger's end mark did not arrive; it is asked again.", "none"
        ),
        Target(
            'SELECT "gateway", "logger", "records", "new_records", "from_ms", "to_ms" FROM "memory_read" '
            'WHERE "complete" = false AND $timeFilter LIMIT 1000',
            as_table=True,
        ),
    )
