"""The vectors of docs/reference-logger.md, read out of it: the firmware and the document must say the same."""

import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from firmware_sim.reference import formats
from firmware_sim.reference.formats import (
    Abort,
    Credit,
    LogState,
    Mark,
    Outcome,
    Position,
    ReadRequest,
    Record,
    Status,
)

DOCUMENT = (Path(__file__).parents[2] / "docs" / "reference-logger.md").read_text(encoding="utf-8")


def vectors(kind: str) -> Any:  # noqa: ANN401 - parameters of pytest
    found = re.search(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    chosen = [vector for vector in json.loads(found[1]) if vector["kind"] == kind]
    assert chosen
    return pytest.mark.parametrize("vector", chosen, ids=[vector["name"] for vector in chosen])


def crc16(data: bytes) -> int:
    """CRC-16/IBM-3740, bit by bit, as the document words it."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


@vectors("advertisement")
def test_advertisement(vector: dict[str, Any]) -> None:
    fields = {name: vector[name] for name in ("boot", "number", "temperature_cc", "battery_mv", "clock_s")}
    encoded = formats.encode_advertisement(status=Status(vector["flags"]), **fields)
    assert encoded.hex() == vector["hex"]
    assert len(encoded) == 31 - 3 - 2 - 16


@vectors("record")
def test_record(vector: dict[str, Any]) -> None:
    names = ("boot", "number", "clock_s", "temperature_cc")
    record = Record(*(vector[name] for name in names), marks=Mark(vector["marks"]))
    assert record.encode().hex() == vector["hex"]
    assert len(record.encode()) == formats.RECORD_BYTES


@vectors("frame")
def test_frame(vector: dict[str, Any]) -> None:
    frame = formats.encode_frame(vector["tag"], [bytes.fromhex(record) for record in vector["records"]])
    assert frame.hex() == vector["hex"]
    assert int.from_bytes(frame[-2:], "little") == crc16(frame[:-2])


@vectors("end")
def test_end(vector: dict[str, Any]) -> None:
    end = formats.encode_end(vector["tag"], Outcome(vector["outcome"]), vector["count"], vector["crc32"])
    assert end.hex() == vector["hex"]
    assert int.from_bytes(end[-2:], "little") == crc16(end[:-2])


def test_the_end_fits_its_frames() -> None:
    found = {v["name"]: v for v in json.loads(DOCUMENT.split("```json\n")[1].split("```")[0])}
    sent = "".join(found["one record"]["records"] + found["two records"]["records"])
    end = found["complete: the three records of the two frames above"]
    assert zlib.crc32(bytes.fromhex(sent)) == end["crc32"] == formats.add_crc32(bytes.fromhex(sent))
    assert len(sent) // 2 == 13 * end["count"]


@vectors("state")
def test_state(vector: dict[str, Any]) -> None:
    names = ("boot", "stored", "capacity", "interval_ms", "clock_s")
    places = {name: None if vector[name] is None else Position(*vector[name]) for name in ("oldest", "newest")}
    state = LogState(**places, **{name: vector[name] for name in names})
    assert state.encode().hex() == vector["hex"]
    assert len(state.encode()) == 31


@vectors("read")
def test_read(vector: dict[str, Any]) -> None:
    start = Position(vector["boot"], vector["number"])
    request = ReadRequest(vector["tag"], start, vector["limit"], vector["credits"])
    assert formats.parse_command(bytes.fromhex(vector["hex"])) == request


@vectors("credit")
def test_credit(vector: dict[str, Any]) -> None:
    assert formats.parse_command(bytes.fromhex(vector["hex"])) == Credit(vector["tag"], vector["credits"])


@vectors("abort")
def test_abort(vector: dict[str, Any]) -> None:
    assert formats.parse_command(bytes.fromhex(vector["hex"])) == Abort(vector["tag"])


@vectors("current_time")
def test_current_time(vector: dict[str, Any]) -> None:
    assert formats.encode_current_time(vector["clock_ms"]).hex() == vector["hex"]
    assert formats.parse_current_time(bytes.fromhex(vector["hex"])) == vector["clock_ms"]


def test_check_value_of_the_crc() -> None:
    assert crc16(b"123456789") == 0x29B1
    assert zlib.crc32(b"123456789") == 0xCBF43926
    assert "0x29B1" in DOCUMENT
    assert "0xCBF43926" in DOCUMENT


@pytest.mark.parametrize("uuid", ["LOGGER_SERVICE", "LOG_STATE", "LOG_CONTROL", "LOG_DATA"])
def test_uuids(uuid: str) -> None:
    assert f"`{getattr(formats, uuid)}`" in DOCUMENT


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x01",
        b"\x04\x07",
        b"\x01" * 13,
        b"\x01" * 15,
        b"\x02\x07\x00\x00",
        b"\x03",
        struct.pack("<BBHIIH", 1, 7, 0, 0, 0, 0),
    ],
)
def test_malformed_command(raw: bytes) -> None:
    assert formats.parse_command(raw) is None


@pytest.mark.parametrize(
    "raw", ["ea07020a", "ea071e0a07001e028000", "ea07021e07001e028000", "d007030a07001e028000", "3a08030a07001e028000"]
)
def test_no_time(raw: str) -> None:
    assert formats.parse_current_time(bytes.fromhex(raw)) is None


@pytest.mark.parametrize(("payload_bytes", "records"), [(20, 1), (18, 1), (244, 18), (5000, 255)])
def test_as_many_records_as_the_link_carries(payload_bytes: int, records: int) -> None:
    assert formats.records_in_frame(payload_bytes) == records
