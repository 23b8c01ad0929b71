"""Sends alerts: drains the saved ones, and marks each sent after sending. Sent twice after a crash, never lost."""

from __future__ import annotations

import logging

from gateway.clock import Clock
from gateway.hub.database.patience import keep_trying
from gateway.hub.database.store import Store
from gateway.hub.signals.alerts import Alert, mark_sent, read_unsent
from gateway.hub.signals.events import Bell

log = logging.getLogger(__name__)

BATCH = 50
IDLE_S = 2.0
"""Real seconds after which unsent alerts are looked for unasked: another process may have saved one."""


async def send_alerts(store: Store, clock: Clock, work: Bell, told: Bell) -> None:
    """Send for ever: when `work` rings, and now and then. Rings `told` when listeners have something to read."""
    while True:
        heard = work.rings
        sent = await keep_trying(lambda: _send_waiting(store, clock), "alerts wait")
        if sent:
            told.ring()
        if sent < BATCH:
            await work.wait(heard, IDLE_S)


def _send_waiting(store: Store, clock: Clock) -> int:
    with store.read() as connection:
        waiting = read_unsent(connection, BATCH)
    if not waiting:
        return 0
    with store.claim("alerts", [""], 1) as claim:  # one process sends
        if not claim.names:
            return 0
        with store.read() as connection:
            waiting = read_unsent(connection, BATCH)
        for alert in waiting:
            _send(alert)
        with claim.write() as connection:
            for alert in waiting:
                mark_sent(connection, alert, clock.now_ms())
    return len(waiting)


def _send(alert: Alert) -> None:
    log.warning("alert %d %s %s", alert.id, alert.kind, alert.document)
