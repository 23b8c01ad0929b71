"""The worker: plans, sends, tries again. One process of a hub does it at a time.

Each channel has one message under way and a thread of its own; a slow one holds up itself alone.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from zoneinfo import ZoneInfo

from gateway.clock import Clock
from gateway.core.errors import ColdchainError
from gateway.hub.database.patience import call_apart, keep_trying
from gateway.hub.database.store import Store
from gateway.hub.notification.channels import open_channel
from gateway.hub.notification.composing import compose, compose_test, make_uid
from gateway.hub.notification.ledger import (
    Message,
    has_work,
    make_messages,
    note_failure,
    note_lost,
    note_sent,
    notice_alerts,
    read_contents,
    read_due,
)
from gateway.hub.notification.outgoing import Outgoing
from gateway.hub.notification.recipients import Channel, Recipient
from gateway.hub.rooms import Rooms
from gateway.hub.settings import HubSettings
from gateway.hub.signals.events import Bell
from gateway.hub.times import real_ms

log = logging.getLogger(__name__)

IDLE_S = 1.0
"""Real seconds after which it looks unasked: another process may have raised an alert, or a step has come due."""
AT_ONCE = 32
"""Messages under way: threads that mostly wait. Of one channel never two."""
SEND_S = 30.0
"""After so long a channel has not answered. Its thread may hang on, and until it ends nothing else goes that way."""


class Notifier:
    """Plans and sends. `run` is for one task at a time; the other methods block."""

    def __init__(
        self,
        store: Store,
        settings: HubSettings,
        clock: Clock,
        *,
        rng: random.Random | None = None,
        now_real_ms: Callable[[], int] = real_ms,
        send_s: float = SEND_S,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311  jitter, no secret
        self._real_ms = now_real_ms
        self._send_s = send_s
        self._under_way: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._hanging: set[tuple[str, str]] = set()
        self._ended = asyncio.Event()

    async def run(self, work: Bell) -> None:
        """Plan and send for ever: when `work` rings, when a channel is free again, and now and then."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    heard = work.rings
                    self._ended.clear()
                    behind = await keep_trying(self.prepare, "alerts wait for being sent")
                    # What ends while the list is read stands in it as it was before: it would be sent a second time.
                    busy = self._under_way.keys() | self._hanging
                    for message in await keep_trying(self._read_due, "messages wait"):
                        if (message.recipient, message.channel) not in busy:
                            self._start(tasks, message)
                    if not behind:
                        await self._wait(work, heard)
        finally:
            self._under_way.clear()

    def prepare(self) -> bool:
        """Plan new alerts and make messages of what is due; say whether more waits."""
        now_ms = self._clock.now_ms()
        with self._store.read() as connection:
            if not has_work(connection, now_ms):
                return False
        with self._store.write() as connection:
            noticed = notice_alerts(connection, now_ms, ZoneInfo(self._settings.notification.zone))
            make_messages(connection, now_ms, self._real_ms(), make_uid)
        return noticed > 0

    async def _wait(self, work: Bell, heard: int) -> None:
        waits = {asyncio.ensure_future(work.wait(heard, IDLE_S)), asyncio.ensure_future(self._ended.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def _start(self, tasks: asyncio.TaskGroup, message: Message) -> None:
        key = (message.recipient, message.channel)
        if key in self._under_way or key in self._hanging or len(self._under_way) >= AT_ONCE:
            return
        task = tasks.create_task(self._send(message), name=f"notify {message.recipient}")
        self._under_way[key] = task
        task.add_done_callback(lambda _: self._end(key))

    def _end(self, key: tuple[str, str]) -> None:
        self._under_way.pop(key, None)
        self._ended.set()

    async def _send(self, message: Message) -> None:
        recipient, outgoing = await keep_trying(lambda: self._compose(message), "a message waits")
        channel = None if recipient is None else recipient.channel(message.channel)
        if channel is None:
            await keep_trying(lambda: self._note_lost(message), "a message waits")
            return
        failure = await self._carry(message, channel, outgoing)
        if failure is None:
            log.info("message %s reached %s (%s)", message.uid, message.recipient, message.channel)
            await keep_trying(lambda: self._note_sent(message), "a sent message waits")
        else:
            told = (message.uid, message.recipient, message.channel, failure)
            log.warning("message %s did not reach %s (%s): %s", *told)
            await keep_trying(lambda: self._note_failure(message, failure), "a message waits")

    async def _carry(self, message: Message, channel: Channel, outgoing: Outgoing) -> str | None:
        """Carry a message in a thread; return why it did not arrive, None if it did."""
        settings = self._settings.notification
        carrying = asyncio.ensure_future(
            call_apart(lambda: open_channel(channel, settings).carry(outgoing), "notification")
        )
        try:
            await asyncio.wait_for(asyncio.shield(carrying), self._send_s)
        except TimeoutError:
            key = (message.recipient, message.channel)
            self._hanging.add(key)
            carrying.add_done_callback(lambda done: self._forget(key, done))
            return f"no answer within {self._send_s:g} s"
        except ColdchainError as error:
            return str(error)
        return None

    def _forget(self, key: tuple[str, str], done: asyncio.Future[None]) -> None:
        """A thread that hung has ended: its channel may be tried again. What became of it came too late."""
        if not done.cancelled():
            done.exception()
        self._hanging.discard(key)
        self._ended.set()

    def _read_due(self) -> list[Message]:
        with self._store.read() as connection:
            return read_due(connection, self._real_ms())

    def _compose(self, message: Message) -> tuple[Recipient | None, Outgoing]:
        with self._store.read() as connection:
            recipient, stories = read_contents(connection, message.id)
        if recipient is None:
            return None, Outgoing(message.uid, "", "", {})
        return recipient, compose(message.uid, recipient, stories, self._settings.http.public_url)

    def _note_sent(self, message: Message) -> None:
        with self._store.write() as connection:
            note_sent(connection, message, self._clock.now_ms())

    def _note_failure(self, message: Message, failure: str) -> None:
        with self._store.write() as connection:
            note_failure(connection, message, failure, self._clock.now_ms(), self._real_ms(), self._rng)

    def _note_lost(self, message: Message) -> None:
        with self._store.write() as connection:
            note_lost(connection, message, "there is no such recipient or channel any more")


async def run_notification(rooms: Rooms, work: Bell) -> None:
    """Plan and send for ever."""
    await Notifier(rooms.store, rooms.settings, rooms.clock).run(work)


def send_test(recipient: Recipient, settings: HubSettings) -> dict[str, str]:
    """Send a test to each channel of a recipient; return what went wrong by channel, "" if nothing."""
    found: dict[str, str] = {}
    for channel in recipient.channels:
        try:
            open_channel(channel, settings.notification).carry(compose_test(make_uid(), recipient))
        except ColdchainError as error:
            found[channel.id] = str(error)
        else:
            found[channel.id] = ""
    return found
