"""One consignment's journey: its temperature with limits, time beyond them, gaps, custody, breaches."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import (
    READINGS_INTERVAL,
    About,
    Panel,
    Target,
    add,
    bars,
    board,
    choice,
    color_series,
    hidden,
    lines,
    mark_whole,
    rows,
)

RIDE = """FROM "carriage" WHERE "consignment" = '$consignment\'"""
BY_LOGGER = '$timeFilter GROUP BY time($__interval), "logger" fill(null)'
STANDS = '"withdrawn" = false'

# A consignment may have no limit on one side. Then the list of loggers with such a limit is empty and nothing is drawn;
# the 0 before the value keeps the query one that can be parsed.
ABOVE, BELOW = "(0${high_c})", "(0${low_c})"
WARM, COLD = '"logger" =~ /^(${loggers_high:regex})$/', '"logger" =~ /^(${loggers_low:regex})$/'
MINE = '"logger" =~ /^(${logger:regex})$/'


def build() -> Dashboard:
    """Return the dashboard."""
    dashboard = board(
        "coldchain-journey",
        "Cold chain: one consignment's journey",
        "What happened to one consignment. A gap is a gap: nothing is drawn where nothing was measured.",
        "now-24h",
    )
    listed = 'SELECT "consignment", "items" FROM "carriage" WHERE $timeFilter'
    dashboard.with_variable(choice("consignment", "Consignment", listed))
    dashboard.with_variable(choice("logger", "Logger", f'SELECT "logger", "items" {RIDE}', many=True))
    for name, column in (("low", "low_c"), ("high", "high_c")):
        # Only a field in the list makes InfluxQL answer; where there is no limit there is no row.
        listed = f'SELECT "logger", "{column}" {RIDE} AND "{column}" > -300'
        dashboard.with_variable(hidden(f"loggers_{name}", listed).multi(multi=True).include_all(include_all=True))
        dashboard.with_variable(hidden(column, f'SELECT last("{column}") {RIDE}'))
    add(dashboard, _temperature(), _beyond(), _covered(), _custody(), _breaches())
    return dashboard


def _temperature() -> Panel:
    about = About(
        "Temperature and limits",
        "Highest and lowest reading of each interval, so that no excursion is averaged away. The dashed lines are the "
        "tightest limits of what was carried; how long they may be exceeded is the profile's matter.",
        "celsius",
        width=24,
        height=12,
    )
    panel = lines(
        about,
        READINGS_INTERVAL,
        Target(
            f'SELECT max("temperature_c") AS "highest", min("temperature_c") AS "lowest" FROM "reading" '
            f"WHERE {MINE} AND {BY_LOGGER}",
            "$tag_logger $col",
        ),
        Target(
            f'SELECT max("temperature_c") * 0 + {ABOVE} AS "upper limit" FROM "reading" '
            f"WHERE {WARM} AND $timeFilter GROUP BY time($__interval) fill(null)",
            "upper limit",
        ),
        Target(
            f'SELECT max("temperature_c") * 0 + {BELOW} AS "lower limit" FROM "reading" '
            f"WHERE {COLD} AND $timeFilter GROUP BY time($__interval) fill(null)",
            "lower limit",
        ),
    )
    color_series(panel, "upper limit", "red", dashed=True)
    color_series(panel, "lower limit", "blue", dashed=True)
    return panel


def _beyond() -> Panel:
    about = About(
        "Time beyond a limit",
        "What the readings outside the limits stand for. Whether it is too much, the profile decides: see Breaches.",
        "s",
    )
    panel = bars(
        about,
        READINGS_INTERVAL,
        Target(
            f'SELECT sum("interval_s") AS "above" FROM "reading" '
            f'WHERE {WARM} AND "temperature_c" > {ABOVE} AND {STANDS} AND {BY_LOGGER}',
            "$tag_logger above",
        ),
        Target(
            f'SELECT sum("interval_s") AS "below" FROM "reading" '
            f'WHERE {COLD} AND "temperature_c" < {BELOW} AND {STANDS} AND {BY_LOGGER}',
            "$tag_logger below",
        ),
    )
    color_series(panel, "above", "red")
    color_series(panel, "below", "blue")
    return panel


def _covered() -> Panel:
    about = About(
        "Measured time",
        "The part of each interval that readings stand for. Where there is no bar nothing was measured: a gap, which "
        "is never compliance. Slightly over 100 % where a crossing was recorded besides.",
        "percentunit",
    )
    panel = bars(
        about,
        READINGS_INTERVAL,
        Target(
            f'SELECT sum("interval_s") * 1000 / $__interval_ms AS "measured" FROM "reading" '
            f"WHERE {MINE} AND {STANDS} AND {BY_LOGGER}",
            "$tag_logger",
        ),
    )
    return mark_whole(panel)


def _custody() -> Panel:
    about = About("Custody", "Who had it, from the gateways' records. Codes only, never names.", "none")
    return rows(
        about,
        Target(
            'SELECT "act", "box", "item", "holder", "place", "clock_trusted" FROM "custody" '
            """WHERE "consignment" = '$consignment' AND $timeFilter LIMIT 1000""",
            as_table=True,
        ),
    )


def _breaches() -> Panel:
    about = About(
        "Breaches",
        "As they stand now, by the time when they were found. not_confirmed and superseded ones were taken back.",
        "none",
    )
    return rows(
        about,
        Target(
            'SELECT "state", "rule", "kind", "item", "examination", "started_at_ms", "ended_at_ms", "extreme_c", '
            """"minutes" FROM "breach" WHERE "consignment" = '$consignment' AND $timeFilter LIMIT 1000""",
            as_table=True,
        ),
    )
