"""What a logger offers to whoever connects: its services, and what it does while a link is up."""

from collections.abc import Callable, Iterable, Sequence

from firmware_sim.history import NUS_RX, NUS_SERVICE, NUS_TX
from firmware_sim.misbehaviour import Download, Misbehaviour
from firmware_sim.peripheral import Characteristic, Job, Port, Send, Service
from firmware_sim.ruuvitag import GATT_HEARTBEAT_BYTES, RuuviTag

Now = Callable[[], float]
"""The present domain time in milliseconds."""


class Served:
    """A logger that offers nothing; makers override what theirs do. ``downloads`` are what a lost link ends."""

    services: Sequence[Service] = ()
    downloads: Sequence[Download] = ()

    def transmitted(self, payload: bytes) -> None:
        """Hear that this payload was just broadcast."""

    def connected(self, *, is_connected: bool) -> None:
        """Hear of a change of the link."""
        if not is_connected:
            for download in self.downloads:
                download.cancel()

    def bind(self, port: Port) -> None:
        """Take the place on the radio."""
        for download in self.downloads:
            download.port = port

    async def stop(self) -> None:
        """End what is under way."""
        for download in self.downloads:
            await download.stop()


class ServedRuuviTag(Served):
    """A RuuviTag's Nordic UART service: heartbeats, and the log on request.

    While a log is being sent the firmware is busy and takes no other request.
    """

    def __init__(self, tag: RuuviTag, now: Now, misbehaviour: Misbehaviour) -> None:
        self._tag = tag
        self._now = now
        self._tx = Characteristic(NUS_TX, ("notify",))
        rx = Characteristic(NUS_RX, ("write", "write-without-response"), on_write=self._take_request)
        self._download = Download(self._tx, misbehaviour)
        self.services = (Service(NUS_SERVICE, (rx, self._tx)),)
        self.downloads = (self._download,)

    def transmitted(self, payload: bytes) -> None:
        """Send the same to whoever is connected."""
        if not self._download.is_busy:
            self._tx.notify(payload[:GATT_HEARTBEAT_BYTES])

    def _take_request(self, data: bytes) -> None:
        self._download.start(send_all(self._tag.answer(data, self._now())))


def send_all(frames: Iterable[bytes]) -> Job:
    """Return the job that sends these frames one after another."""

    async def job(send: Send) -> None:
        for frame in frames:
            if not await send(frame):
                return

    return job
