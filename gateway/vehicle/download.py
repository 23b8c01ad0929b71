"""One conversation with one logger's memory over a link that may hang, stall or be lost at any point."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bleak import BleakClient

from gateway.clock import Clock
from gateway.vehicle.listening import RADIO_ERRORS
from gateway.vehicle.loggers.memory import LogProtocolError, MemorySession, Progress, Told, Write
from gateway.vehicle.moments import Moment, read_moment

if TYPE_CHECKING:
    from bleak.backends.characteristic import BleakGATTCharacteristic

log = logging.getLogger(__name__)

GATT_TIMEOUT_S = 35.0
"""ATT ends a link on which a request has no answer for 30 s (Bluetooth Core, Vol 3 Part F 3.3.3); beyond that it is
the daemon that hangs."""
IDLE_TIMEOUT_S = 5.0
"""Log frames follow each other within tens of milliseconds; five seconds without one is a stalled download."""
DOWNLOAD_TIMEOUT_S = 300.0
"""Ten days of records, 8,640 frames, at the slowest connection interval."""
REQUESTS = 3
"""A request whose journey took too long to know the records' times is repeated so often."""


@dataclass(frozen=True, slots=True)
class MemoryAnswer:
    """What a logger's memory said. `complete` only if it is proven whole; `asked` is when the request was written."""

    told: Told
    asked: Moment
    complete: bool


async def download(client: BleakClient, session: MemorySession, inbox: Inbox, clock: Clock) -> MemoryAnswer:
    """Ask, and take what comes until the end, a stall, or the loss of the link."""
    async with asyncio.timeout(GATT_TIMEOUT_S):
        await client.start_notify(session.notifies, inbox.receive)
    for attempt in range(1, REQUESTS + 1):
        inbox.begin()
        asked = read_moment(clock)
        async with asyncio.timeout(GATT_TIMEOUT_S):
            values = [bytes(await client.read_gatt_char(characteristic)) for characteristic in session.reads]
        request = session.begin(asked, values)
        if request is not None:
            await _write(client, request)
        write_ms = clock.monotonic_ms() - asked.monotonic_ms
        session.written(write_ms)
        await inbox.wait(client)
        if session.is_precise() or attempt == REQUESTS:
            break
        log.info("radio: the request took %d ms, the records' times would be unknown: asked again", write_ms)
    return MemoryAnswer(session.told(), asked, session.progress is Progress.COMPLETE)


async def _write(client: BleakClient, request: Write) -> None:
    async with asyncio.timeout(GATT_TIMEOUT_S):
        await client.write_gatt_char(request.characteristic, request.data, response=True)


class Inbox:
    """Receives the notifications of a download."""

    def __init__(self, session: MemorySession) -> None:
        self._session = session
        self._error: LogProtocolError | None = None
        self._replies: deque[Write] = deque()
        self._is_lost = False
        self._arrived = asyncio.Event()

    def begin(self) -> None:
        """Begin anew."""
        self._replies.clear()
        self._arrived.clear()

    def receive(self, _characteristic: BleakGATTCharacteristic, data: bytearray) -> None:
        """Take a notification."""
        try:
            feed = self._session.feed(bytes(data))
        except LogProtocolError as error:
            self._error = error
            self._arrived.set()
            return
        if feed.reply is not None:
            self._replies.append(feed.reply)
        if feed.is_alive:
            self._arrived.set()

    def lose(self) -> None:
        """The link is gone."""
        self._is_lost = True
        self._arrived.set()

    async def wait(self, client: BleakClient) -> None:
        """Wait for the end, a stall, or the loss of the link, and say what the logger waits for meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DOWNLOAD_TIMEOUT_S):
                while self._session.progress is Progress.RECEIVING and not self._is_lost:
                    async with asyncio.timeout(IDLE_TIMEOUT_S):
                        await self._arrived.wait()
                    self._arrived.clear()
                    if self._error is not None:
                        raise self._error
                    while self._replies and not self._is_lost:
                        await self._say(client, self._replies.popleft())

    async def _say(self, client: BleakClient, reply: Write) -> None:
        """A link that is lost meanwhile is no error here: what arrived counts."""
        try:
            await _write(client, reply)
        except RADIO_ERRORS as error:
            log.info("radio: the download ends: %s", error)
            self._is_lost = True
