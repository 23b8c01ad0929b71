"""A process that sends until nothing waits, and can be killed in place of any of its steps."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, func, select

from gateway.clock import SystemClock
from gateway.hub.database.schema import alerts, messages, notices
from gateway.hub.database.store import Store, open_existing_store
from gateway.hub.notification import worker
from gateway.hub.notification.channels import Carrier, open_channel
from gateway.hub.notification.outgoing import Outgoing
from gateway.hub.notification.recipients import Channel
from gateway.hub.settings import HubSettings, NotificationSettings
from gateway.hub.signals.events import Bell


class Steps:
    """Counts steps, and kills the process in place of one of them."""

    def __init__(self, killed_at: int) -> None:
        self._left = killed_at

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Stepped(Store):
    """A store where each commit is a step, before and after."""

    step = Steps(0)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            yield connection
            self.step()
        self.step()


def run_worker(settings: HubSettings, killed_at: int) -> None:
    """The process: sends until nothing waits. Each commit and each sending is a step."""
    step = Steps(killed_at)
    Stepped.step = step

    class Stepping:
        def __init__(self, inner: Carrier) -> None:
            self._inner = inner

        def carry(self, message: Outgoing) -> None:
            step()
            self._inner.carry(message)
            step()

    def open_stepping(channel: Channel, known: NotificationSettings) -> Carrier:
        return Stepping(open_channel(channel, known))

    worker.open_channel = open_stepping  # type: ignore[assignment]  this process alone
    store = open_existing_store(settings.database_url)
    store.__class__ = Stepped
    asyncio.run(_drain(store, settings))


async def _drain(store: Store, settings: HubSettings) -> None:
    notifier = worker.Notifier(store, settings, SystemClock(), send_s=5.0)
    running = asyncio.create_task(notifier.run(Bell()))
    while not await asyncio.to_thread(_is_done, store):  # noqa: ASYNC110  the store has no event
        await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.wait({running})


def _is_done(store: Store) -> bool:
    with store.read() as connection:
        unnoticed = select(func.count()).select_from(alerts.outerjoin(notices)).where(notices.c.alert_id.is_(None))
        waiting = select(func.count()).where(messages.c.state != "sent")
        return not connection.execute(unnoticed).scalar_one() and not connection.execute(waiting).scalar_one()
