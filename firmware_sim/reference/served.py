"""The reference logger's GATT services."""

import asyncio
import math

from firmware_sim import battery
from firmware_sim.misbehaviour import Download, Misbehaviour
from firmware_sim.peripheral import AttError, Characteristic, Descriptor, Send, Service, constant
from firmware_sim.reference import formats
from firmware_sim.reference.firmware import ReferenceLogger
from firmware_sim.reference.formats import Abort, Credit, Outcome, ReadRequest, Refusal
from firmware_sim.served import Now, Served

CREDIT_TIMEOUT_S = 30.0
"""Real seconds without credit after which a transfer ends, lest a reader that hangs keeps the logger busy."""
OUT_OF_RANGE = 0xFF
"""The ATT error for a value that cannot be (Core Specification Supplement, Part B 1.2)."""
MAX_CREDITS = 0xFFFF
INSTANTANEOUS, UNSPECIFIED, UNKNOWN_UNCERTAINTY = 0x01, 0x00, 0xFF
FIXED_INTERVAL = 0x01


class ServedReferenceLogger(Served):
    """Environmental Sensing, Battery, Device Information, Current Time, and the log."""

    def __init__(self, logger: ReferenceLogger, now: Now, misbehaviour: Misbehaviour) -> None:
        self._logger = logger
        self._now = now
        self._transfer: _Transfer | None = None
        self._temperature = Characteristic(
            "2a6e",
            ("read", "notify"),
            on_read=self._read_temperature,
            descriptors=_describe_temperature(logger.settings.heartbeat_s),
        )
        self._state = Characteristic(formats.LOG_STATE, ("read", "notify"), on_read=self._read_state)
        self._data = Characteristic(formats.LOG_DATA, ("notify",))
        self._download = Download(self._data, misbehaviour)
        self._told: bytes | None = None
        self.downloads = (self._download,)
        self.services = (
            Service("181a", (self._temperature,)),
            Service("180f", (Characteristic("2a19", ("read",), on_read=self._read_battery),)),
            Service("180a", _device_information(logger.settings.address)),
            Service(
                "1805",
                (
                    Characteristic("2a2b", ("read", "write"), on_read=self._read_time, on_write=self._set_time),
                    constant("2a0f", b"\x00\x00"),
                ),
            ),
            Service(
                formats.LOGGER_SERVICE,
                (self._state, Characteristic(formats.LOG_CONTROL, ("write",), on_write=self._take_command), self._data),
            ),
        )

    def transmitted(self, payload: bytes) -> None:
        """Tell a measurement that is new to whoever listens."""
        if payload != self._told:
            self._told = payload
            self._temperature.notify(self._read_temperature())
            self._state.notify(self._read_state())

    def _read_temperature(self) -> bytes:
        newest = self._logger.newest
        temperature_cc = None if newest is None else newest.temperature_cc
        return (formats.NO_TEMPERATURE if temperature_cc is None else temperature_cc).to_bytes(2, "little", signed=True)

    def _read_battery(self) -> bytes:
        return bytes((battery.percent(self._logger.voltage_mv),))

    def _read_time(self) -> bytes:
        logger = self._logger
        clock_ms = logger.clock_ms(logger.uptime_ms(self._now())) if logger.is_clock_set else None
        return formats.encode_current_time(clock_ms)

    def _set_time(self, data: bytes) -> None:
        clock_ms = formats.parse_current_time(data)
        if clock_ms is None:
            raise AttError(OUT_OF_RANGE, "not a time")
        self._logger.set_clock(clock_ms, self._now())

    def _read_state(self) -> bytes:
        return self._logger.state(self._now()).encode()

    def _take_command(self, data: bytes) -> None:
        command = formats.parse_command(data)
        if command is None:
            raise AttError(Refusal.MALFORMED, "malformed")
        if isinstance(command, ReadRequest):
            self._begin(command)
        elif self._transfer is not None and self._transfer.tag == command.tag:
            self._transfer.take(command)

    def _begin(self, request: ReadRequest) -> None:
        transfer = _Transfer(self._logger, request, self._data.payload_bytes)
        if not self._download.start(transfer.run):
            raise AttError(Refusal.BUSY, "busy")
        self._transfer = transfer


class _Transfer:
    """One run through the log, a frame for each credit."""

    def __init__(self, logger: ReferenceLogger, request: ReadRequest, payload_bytes: int) -> None:
        self.tag = request.tag
        self._records = [record.encode() for record in logger.records_from(request.start, request.limit)]
        self._in_frame = formats.records_in_frame(payload_bytes)
        self._credits = request.credits
        self._is_aborted = False
        self._changed = asyncio.Event()

    def take(self, command: Credit | Abort) -> None:
        """Hear what the reader says meanwhile."""
        if isinstance(command, Abort):
            self._is_aborted = True
        else:
            self._credits = min(MAX_CREDITS, self._credits + command.credits)
        self._changed.set()

    async def run(self, send: Send) -> None:
        """Send the frames, and the end."""
        crc32 = count = 0
        outcome = Outcome.COMPLETE
        while count < len(self._records):
            outcome = await self._may_send()
            if outcome is not Outcome.COMPLETE:
                break
            records = self._records[count : count + self._in_frame]
            if not await send(formats.encode_frame(self.tag, records)):
                return
            count += len(records)
            crc32 = formats.add_crc32(b"".join(records), crc32)
        await send(formats.encode_end(self.tag, outcome, count, crc32))

    async def _may_send(self) -> Outcome:
        """Wait for a credit and use it; anything but COMPLETE ends the transfer."""
        try:
            async with asyncio.timeout(CREDIT_TIMEOUT_S):
                while not self._credits and not self._is_aborted:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return Outcome.NO_CREDIT
        if self._is_aborted:
            return Outcome.ABORTED
        self._credits -= 1
        return Outcome.COMPLETE


def _describe_temperature(interval_s: float) -> tuple[Descriptor, Descriptor]:
    """Return ES Measurement, and ES Trigger Setting, without which nothing may be notified (ESS 1.0, 3.1.2)."""
    update_s = math.ceil(interval_s).to_bytes(3, "little")
    measured = bytes((0, 0, INSTANTANEOUS, 0, 0, 0, *update_s, UNSPECIFIED, UNKNOWN_UNCERTAINTY))
    return Descriptor("290c", measured), Descriptor("290d", bytes((FIXED_INTERVAL, *update_s)))


def _device_information(address: str) -> tuple[Characteristic, ...]:
    return (
        constant("2a29", b"Coldchain"),
        constant("2a24", b"Reference logger"),
        constant("2a25", address.replace(":", "").encode()),
        constant("2a27", b"1"),
        constant("2a26", b"1.0"),
    )
