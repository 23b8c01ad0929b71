"""The fleet: what gateways still hold, their clocks, their adapters, when each was last heard."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import (
    HEALTH_INTERVAL,
    About,
    Panel,
    Target,
    add,
    bars,
    board,
    choice,
    last_heard,
    lines,
    states,
)

CHOSEN = '"gateway" =~ /^(${gateway:regex})$/ AND $timeFilter'
EACH = 'GROUP BY time($__interval), "gateway" fill(null)'
_OF_A_WEEK = "The longest silent come first; who has said nothing for seven days is not listed."


def build() -> Dashboard:
    """Return the dashboard."""
    dashboard = board(
        "coldchain-fleet",
        "Cold chain: the fleet",
        "How the gateways do, by the reports that they seal into their own logs. A report that is still on its way is "
        "not seen here; a gateway that says nothing shows nothing.",
        "now-24h",
    )
    names = 'SHOW TAG VALUES FROM "health" WITH KEY = "gateway"'
    dashboard.with_variable(choice("gateway", "Gateway", names, many=True))
    add(dashboard, *_outbox(), _adapter(), _restarts(), *_clocks(), *_last_heard())
    return dashboard


def _outbox() -> list[Panel]:
    return [
        lines(
            About(
                "Outbox depth",
                "Segments that are sealed and not yet acknowledged by the hub. A vehicle without network grows, and "
                "empties when it is back.",
                "short",
            ),
            HEALTH_INTERVAL,
            Target(f'SELECT max("waiting_segments") AS "waiting" FROM "health" WHERE {CHOSEN} {EACH}', "$tag_gateway"),
        ),
        lines(
            About("Outbox, bytes", "The same in bytes: what a connection will have to carry.", "bytes"),
            HEALTH_INTERVAL,
            Target(f'SELECT max("waiting_bytes") AS "waiting" FROM "health" WHERE {CHOSEN} {EACH}', "$tag_gateway"),
        ),
    ]


def _adapter() -> Panel:
    return states(
        About("Adapter", "Whether the Bluetooth adapter was listening at every report of the interval.", "none"),
        HEALTH_INTERVAL,
        {"1": ("listening", "green"), "0": ("down", "red")},
        Target(f'SELECT min("scanning") AS "listening" FROM "health" WHERE {CHOSEN} {EACH}', "$tag_gateway"),
    )


def _restarts() -> Panel:
    return bars(
        About("Restarts of the scan", "How often an adapter had to be started again.", "short"),
        HEALTH_INTERVAL,
        Target(
            f'SELECT non_negative_difference(max("scan_restarts")) AS "restarts" FROM "health" WHERE {CHOSEN} {EACH}',
            "$tag_gateway",
        ),
    )


def _clocks() -> list[Panel]:
    return [
        bars(
            About(
                "Reports with an untrusted clock",
                "Neither NTP nor GPS vouched for the time. Times are corrected later where that is possible.",
                "short",
            ),
            HEALTH_INTERVAL,
            Target(
                f'SELECT count("clock_trusted") AS "untrusted" FROM "health" '
                f'WHERE "clock_trusted" = false AND {CHOSEN} {EACH}',
                "$tag_gateway",
            ),
        ),
        bars(
            About(
                "Clock corrections",
                "By how much clocks were put forward, or back (below 0); of several in an interval the highest and the "
                "lowest.",
                "ms",
            ),
            HEALTH_INTERVAL,
            Target(
                f'SELECT max("step_ms") AS "highest", min("step_ms") AS "lowest" FROM "clock" WHERE {CHOSEN} {EACH}',
                "$tag_gateway $col",
            ),
            signed=True,
        ),
    ]


def _last_heard() -> list[Panel]:
    return [
        last_heard(
            About("Gateways, last heard", f"The newest report of each. {_OF_A_WEEK}", "none"),
            Target(
                f'SELECT last("waiting_segments") AS "waiting" FROM "health" WHERE {CHOSEN} GROUP BY "gateway"',
                as_table=True,
            ),
        ),
        last_heard(
            About("Loggers, last heard", f"The newest reading of each. {_OF_A_WEEK}", "none"),
            Target(
                'SELECT last("temperature_c") AS "temperature" FROM "reading" WHERE $timeFilter GROUP BY "logger"',
                as_table=True,
            ),
        ),
    ]
