"""Breaches over time: how many, of which kind and rule, how far and how long."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import About, Panel, Target, add, bars, board, choice, figure, lines, rows

INTERVAL = "1h"
CHOSEN = '"rule" =~ /^(${rule:regex})$/ AND $timeFilter'
SINCE = "GROUP BY time($__interval)"
_EXTREME = (
    "The extreme of a breach is its reading farthest beyond the limit: its highest, or its lowest if it is too cold."
)


def build() -> Dashboard:
    """Return the dashboard."""
    dashboard = board(
        "coldchain-breaches",
        "Cold chain: breaches over time",
        "Breaches by the time when they were found. Those that were taken back are not counted among the others.",
        "now-30d",
    )
    names = 'SHOW TAG VALUES FROM "breach" WITH KEY = "rule"'
    dashboard.with_variable(choice("rule", "Rule", names, many=True))
    add(dashboard, *_figures(), *_over_time(), *_extent(), _newest())
    return dashboard


def _figures() -> list[Panel]:
    return [
        figure(
            About("Breaches that stand", "Provisional and confirmed, in the time shown.", "short", 6, 4),
            Target(f'SELECT sum("counts") AS "breaches" FROM "breach" WHERE {CHOSEN}'),
        ),
        figure(
            About("Taken back", "Not confirmed by the archive, or superseded by a later judgement.", "short", 6, 4),
            Target(f'SELECT count("counts") AS "breaches" FROM "breach" WHERE "counts" = 0 AND {CHOSEN}'),
        ),
        figure(
            About("Highest extreme", f"{_EXTREME} This is the highest of those that stand.", "celsius", 6, 4),
            Target(f'SELECT max("extreme_c") AS "extreme" FROM "breach" WHERE "counts" = 1 AND {CHOSEN}'),
            nothing="–",
        ),
        figure(
            About("Lowest extreme", f"{_EXTREME} This is the lowest of those that stand.", "celsius", 6, 4),
            Target(f'SELECT min("extreme_c") AS "extreme" FROM "breach" WHERE "counts" = 1 AND {CHOSEN}'),
            nothing="–",
        ),
    ]


def _over_time() -> list[Panel]:
    return [
        bars(
            About(f"Breaches by {tag}", f"Breaches that stand, by {tag}.", "short"),
            INTERVAL,
            Target(
                f'SELECT sum("counts") AS "breaches" FROM "breach" WHERE {CHOSEN} {SINCE}, "{tag}" fill(null)',
                f"$tag_{tag}",
            ),
            stacked=True,
        )
        for tag in ("kind", "rule")
    ]


def _extent() -> list[Panel]:
    standing = f'FROM "breach" WHERE "counts" = 1 AND {CHOSEN} {SINCE}, "rule" fill(null)'
    return [
        lines(
            About("How far", f"{_EXTREME} The highest and the lowest of each interval.", "celsius"),
            INTERVAL,
            Target(f'SELECT max("extreme_c") AS "highest", min("extreme_c") AS "lowest" {standing}', "$tag_rule $col"),
        ),
        bars(
            About("How long", "The longest time beyond a limit among the breaches.", "m"),
            INTERVAL,
            Target(f'SELECT max("minutes") AS "longest" {standing}', "$tag_rule"),
        ),
    ]


def _newest() -> Panel:
    return rows(
        About("Newest breaches", "At most 200, also those that were taken back: see their state.", "none", 24, 10),
        Target(
            'SELECT "state", "kind", "rule", "consignment", "item", "examination", "started_at_ms", "extreme_c", '
            f'"minutes", "found_by" FROM "breach" WHERE {CHOSEN} ORDER BY time DESC LIMIT 200',
            as_table=True,
        ),
    )
