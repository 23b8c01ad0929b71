import struct

import pytest

from gateway.vehicle.loggers import ruuvi_log
from gateway.vehicle.loggers.memory import MemoryRequest
from gateway.vehicle.loggers.ruuvi_log import (
    LogDownload,
    LogProtocolError,
    LogRecord,
    Progress,
    RequestTiming,
    RuuviSession,
    encode_request,
)
from gateway.vehicle.moments import Moment

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


def answered(*frames: bytes) -> RuuviSession:
    """A session that asked at 10,000 s for records 300 s apart, and got these frames."""
    session = RuuviSession(MemoryRequest("T", 0, 10_000_000, 300))
    say(session, *frames)
    return session


def say(session: RuuviSession, *frames: bytes) -> None:
    session.begin(Moment(10_000_000, 0, trusted=True), [])
    session.written(0)
    for data in frames:
        session.feed(data)


def records(*times: int, without: int | None = None) -> list[bytes]:
    values = ((0x30, 500), (0x31, 5000), (0x32, 100_000))
    return [frame(kind, at_s, value) for at_s in times for kind, value in values if kind != without]


@pytest.mark.parametrize("kind", [0x30, 0x31, 0x32])
def test_a_record_that_lacks_a_value_is_a_hole(kind: int) -> None:
    frames = [*records(1000), *records(1300, without=kind), *records(1600), END]
    session = answered(*frames)
    assert (session.progress, session.is_precise()) == (Progress.BROKEN, False)
    assert [record.at_ms for record in session.told().records] == [1_000_000, 1_600_000]
    assert session.told().through_ms == 1_000_000


def test_a_record_that_did_not_come_at_all_is_a_hole() -> None:
    session = answered(*records(1000, 1300, 1900), END)
    assert session.progress is Progress.BROKEN
    assert session.told().through_ms == 1_300_000


def test_the_same_hole_twice_is_the_memorys_own() -> None:
    session = answered(*records(1000, 1900), END)
    say(session, *records(1001, 1901), END)
    assert (session.progress, session.is_precise()) == (Progress.COMPLETE, True)
    assert session.told().through_ms is None


def test_another_hole_is_none_of_the_memory() -> None:
    session = answered(*records(1000, 1600, 1900), END)
    say(session, *records(1000, 1300, 1900), END)
    assert session.progress is Progress.BROKEN


def test_a_download_that_broke_off_proves_no_hole() -> None:
    session = answered(*records(1000, 1900))
    say(session, *records(1000, 1900), END)
    assert session.progress is Progress.BROKEN


def test_a_tag_that_measures_temperature_only_has_no_holes() -> None:
    session = answered(frame(0x30, 1000, 500), frame(0x30, 1300, 510), END)
    assert session.progress is Progress.COMPLETE


def test_a_record_cut_short_by_the_end_of_the_link_is_no_record_yet() -> None:
    session = answered(*records(1000, 1300), frame(0x30, 1600, 500))
    assert session.progress is Progress.RECEIVING
    assert [record.at_ms for record in session.told().records] == [1_000_000, 1_300_000]
    assert session.told().through_ms == 1_300_000


def test_an_error_that_the_tag_reports_is_one() -> None:
    with pytest.raises(LogProtocolError, match="reports an error"):
        answered(bytes.fromhex("3A3AF0FFFFFFFFFFFFFFFF"))
