import struct

import pytest

from gateway.vehicle.loggers import ruuvi_log
from gateway.vehicle.loggers.ruuvi_log import (
    LogDownload,
    LogProtocolError,
    LogRecord,
    Progress,
    RequestTiming,
    encode_request,
)

END = bytes.fromhex("3A3A10FFFFFFFFFFFFFFFF")


def frame(source: int, at_s: int, value: int) -> bytes:
    return struct.pack(">BBBIi", 0x3A, source, 0x10, at_s, value)


def test_request_is_the_documented_one() -> None:
    assert encode_request(0x5D6740ED, 0x5D57FEAD) == bytes.fromhex("3A3A115D6740ED5D57FEAD")


def test_request_never_starts_before_1970() -> None:
    assert encode_request(100, -5)[-4:] == bytes(4)


def test_values_of_one_time_are_one_record() -> None:
    download = LogDownload()
    download.feed(bytes.fromhex("3A30105D57FEAD0000098D"))  # 24.45 °C, from the documentation
    download.feed(bytes.fromhex("3A31105D57FEAD0000098D"))
    download.feed(bytes.fromhex("3A32105D57FEAD0000098D"))
    assert download.feed(bytes.fromhex("3A30105D6740EDFFFFF8AC")) is Progress.RECEIVING  # −18.76 °C
    assert download.feed(END) is Progress.COMPLETE
    assert download.records() == (LogRecord(0x5D57FEAD, 24_450, 2445), LogRecord(0x5D6740ED, -18_760, None))


def test_without_the_end_mark_nothing_is_complete() -> None:
    download = LogDownload()
    download.feed(frame(0x30, 1000, 500))
    download.feed(frame(0x3A, 0xFFFFFFFF, 5))
    assert download.progress is Progress.RECEIVING
    assert download.malformed == 1


def test_an_empty_memory_is_complete() -> None:
    download = LogDownload()
    assert download.feed(END) is Progress.COMPLETE
    assert download.records() == ()


def test_heartbeats_and_nonsense_are_counted_not_recorded() -> None:
    download = LogDownload()
    for data in (b"", b"\x05" + bytes(17), b"\x3a\x30", frame(0x77, 1000, 5), bytes(11)):
        download.feed(data)
    assert download.heartbeats == 1
    assert download.malformed == 4
    assert download.records() == ()


def test_frames_after_the_end_change_nothing() -> None:
    download = LogDownload()
    download.feed(END)
    download.feed(frame(0x30, 1000, 500))
    assert download.records() == ()


def test_more_than_a_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ruuvi_log, "RECORDS_MAX", 2)
    download = LogDownload()
    download.feed(frame(0x30, 1, 1))
    download.feed(frame(0x30, 2, 1))
    with pytest.raises(LogProtocolError):
        download.feed(frame(0x30, 3, 1))


@pytest.mark.parametrize("arrival_ms", [0, 1, 250, 499, 500])
def test_the_stated_error_bounds_the_real_one(arrival_ms: int) -> None:
    """A tag that stores whole seconds of its uptime and learns the time at `arrival_ms` of a 500 ms write."""
    timing = RequestTiming(now_ms=1_000_000_700, write_ms=500)
    truth_ms = 999_000_123
    uptime_of_record_ms = 5_000_000
    uptime_at_arrival_ms = uptime_of_record_ms + (timing.now_ms + arrival_ms - truth_ms)
    at_s = timing.now_s - (uptime_at_arrival_ms // 1000 - uptime_of_record_ms // 1000)
    assert abs(timing.measured_at_ms(at_s) - truth_ms) <= timing.error_ms
