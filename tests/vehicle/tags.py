"""A tag with a memory on the fake BlueZ, written from Ruuvi's documentation for these tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from firmware_sim.bluez import Characteristic, Device, FakeBluez, Service

SERVICE = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
RX = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
TX = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"
END = bytes.fromhex("3A3A10FFFFFFFFFFFFFFFF")


def payload(counter: int, temperature_c: float = 5.0) -> bytes:
    """Data format 5 with nothing but temperature and counter."""
    steps = round(temperature_c / 0.005)
    return struct.pack(">BhHHhhhHBH6s", 5, steps, 20_000, 0xFFFF, 0, 0, 0, (1400 << 5) | 22, 0, counter, b"\x00" * 6)


class Tag:
    """Answers a log request with the records (seconds before its now, °C) younger than what was asked for."""

    def __init__(
        self, bluez: FakeBluez, address: str, memory: Sequence[tuple[int, float]] = (), *, adapter: str = ""
    ) -> None:
        self.requests: list[tuple[int, int]] = []
        self.frames_before_silence: int | None = None
        self.memory = list(memory)
        self._tx = Characteristic(TX, ["notify"])
        rx = Characteristic(RX, ["write", "write-without-response"], on_write=self._answer)
        services = [Service(SERVICE, [rx, self._tx])]
        self.device: Device = bluez.add_device(address, name="Ruuvi", services=services, adapter_name=adapter)

    def advertise(self, counter: int, temperature_c: float = 5.0) -> None:
        self.device.advertise(manufacturer_data={0x0499: payload(counter, temperature_c)})

    def _answer(self, request: bytes) -> None:
        header, now_s, start_s = struct.unpack(">3sII", request)
        assert header == b"\x3a\x3a\x11"
        self.requests.append((now_s, start_s))
        frames = [b"\x05" + bytes(17)]
        for age_s, temperature_c in self.memory:
            at_s = now_s - age_s
            if at_s >= start_s:
                frames.append(struct.pack(">3sIi", b"\x3a\x30\x10", at_s, round(temperature_c * 100)))
                frames.append(struct.pack(">3sIi", b"\x3a\x31\x10", at_s, 5000))
        frames.append(END)
        for frame in frames[: self.frames_before_silence]:
            self._tx.notify(frame)
