"""Frames: docs.ruuvi.com, "Read logged history"."""

import struct

import pytest

from firmware_sim.history import LogRequest, Memory, Record, answer, parse_request

NOW_S = 1_567_047_917
UPTIME_S = 10_000
END = bytes.fromhex("3A3A10FFFFFFFFFFFFFFFF")


def record(uptime_s: int, temperature_cc: int = 500) -> Record:
    return Record(uptime_s, uptime_s, temperature_cc, 4500, 101_325)


def ask(records: list[Record], start_s: int = NOW_S - UPTIME_S, endpoint: int = 0x3A, **options: bool) -> list[bytes]:
    return list(answer(LogRequest(endpoint, endpoint, NOW_S, start_s), records, UPTIME_S * 1000, **options))


def test_documented_request() -> None:
    data = bytes.fromhex("3A3A115D6740ED5D57FEAD")
    assert parse_request(data) == LogRequest(0x3A, 0x3A, 0x5D6740ED, 0x5D57FEAD)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes.fromhex("3A3A115D6740ED5D57FE"),
        bytes.fromhex("3A3A105D6740ED5D57FEAD"),
        bytes.fromhex("403A115D6740ED5D57FEAD"),
        bytes.fromhex("3A3A115D57FEAD5D57FEAD"),
        bytes.fromhex("3A3A115D57FEAD5D6740ED"),
    ],
)
def test_nonsense_has_no_answer(data: bytes) -> None:
    assert parse_request(data) is None


def test_documented_values() -> None:
    frames = ask([Record(7, UPTIME_S, 2445, 2445, 2445)])
    stamp = NOW_S.to_bytes(4, "big")
    assert frames == [
        b"\x3a\x30\x10" + stamp + bytes.fromhex("0000098D"),
        b"\x3a\x31\x10" + stamp + bytes.fromhex("0000098D"),
        b"\x3a\x32\x10" + stamp + bytes.fromhex("0000098D"),
        END,
    ]


def test_negative_temperature() -> None:
    first, *_ = ask([record(UPTIME_S, -1876)])
    assert first[7:] == bytes.fromhex("FFFFF8AC")


def test_one_endpoint_alone() -> None:
    frames = ask([record(9_000)], endpoint=0x30)
    assert [frame[:3].hex() for frame in frames] == ["303010", "303010"]
    assert frames[-1][3:] == b"\xff" * 8


def test_times_are_the_readers_now_less_the_age() -> None:
    frames = ask([record(9_400), record(9_700)])
    stamps = {struct.unpack_from(">I", frame, 3)[0] for frame in frames[:-1]}
    assert stamps == {NOW_S - 600, NOW_S - 300}


def test_only_what_is_not_older_than_asked() -> None:
    frames = ask([record(seconds) for seconds in range(7000, 10_000, 300)], start_s=NOW_S - 1200)
    assert len(frames) == 4 * 3 + 1  # 8800, 9100, 9400, 9700


def test_a_firmware_that_skips_the_first_record() -> None:
    records = [record(seconds) for seconds in range(7000, 10_000, 300)]
    assert len(ask(records, start_s=NOW_S - 1200, skips_first=True)) == 3 * 3 + 1
    assert ask(records, skips_first=True) == ask(records)  # nothing to pass over


def test_an_empty_log_ends_at_once() -> None:
    assert ask([]) == [END]


def test_memory_keeps_one_record_an_interval() -> None:
    memory = Memory(interval_s=300, capacity=100)
    kept = [ms for ms in range(6_425, 2_000_000, 6_425) if memory.offer(ms, record(ms // 1000))]
    assert kept[:3] == [6_425, 6_425 * 48, 6_425 * 95]  # the first heartbeat that is 300 s later


def test_memory_overwrites_the_oldest() -> None:
    memory = Memory(interval_s=300, capacity=3)
    for number in range(10):
        memory.offer(number * 300_000, record(number * 300))
    assert [kept.uptime_s for kept in memory] == [2100, 2400, 2700]
