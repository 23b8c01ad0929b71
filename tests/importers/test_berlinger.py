from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import InputError
from gateway.importers.berlinger import parse_berlinger
from gateway.importers.files import read_recording
from gateway.importers.local_time import Ambiguous, LocalClock, local_text, parse_zone
from gateway.importers.recording import AlarmKind, Recording, Side

TRIP = """\
Device: Q-tag CLm doc
Vers: 1.9
Fw Vers: 1.0
Conf:
 Serial: TEST1
 Zone: 1.00
 Start Delay: 30
 User String 1: ward 3, with: punctuation
 Logging Interval: 5
 Alarm:
  1:
   Type: 2, T AL: 8.0, t AL: 10
  3:
   Type: 0
Res:
 TS Batt Temp:
 Alarm:
  1:
   TS S: 2026-01-01 10:05, t A: 12, TS A: 2026-01-01 10:15, TS E:, T M: 9.5, TS M: 2026-01-01 10:10
Marker:
\tNumber\tT\tyyyy-MM-dd hh:mm\t
\t1\t4.1\t2026-01-01 10:02\t
Data:
\tyyyy-MM-dd hh:mm\tT\tOut of limits
\t2026-01-01 10:00\t4.0\t
\t2026-01-01 10:05\t9.0\tx
\t2026-01-01 10:10\t--.-\tx
\t2026-01-01 10:15\t9.5\tx
\t2026-01-01 10:20\t--.-\tx
Sig: 00
"""


def read(text: str, clock: LocalClock | None = None) -> Recording:
    return parse_berlinger(text.splitlines(keepends=True), "trip.txt", clock)


def fault(before: str, after: str) -> str:
    assert before in TRIP
    with pytest.raises(InputError) as caught:
        read(TRIP.replace(before, after))
    return str(caught.value)


def test_a_small_trip() -> None:
    recording = read(TRIP)
    assert local_text(recording.readings[0].at_ms, recording.zone) == "2026-01-01T10:00:00+01:00"
    assert recording.zone_name == "+01:00, as the device states"
    assert [reading.temperature_c for reading in recording.readings] == [4.0, 9.0, 9.5]
    assert [(gap.ends_ms - gap.begins_ms) // 60_000 for gap in recording.missing] == [5, 5]
    assert recording.limits[0].kind is AlarmKind.SINGLE
    assert recording.limits[0].side is Side.HIGH
    (alarm,) = recording.alarms
    assert (alarm.minutes, alarm.extreme_c, alarm.ended_at_ms) == (12, 9.5, None)
    assert (recording.markers[0].number, recording.markers[0].temperature_c) == (1, 4.1)
    assert recording.notes == ()


def test_a_stated_zone_replaces_the_devices() -> None:
    clock = LocalClock(*parse_zone("Europe/Oslo"))
    recording = read(TRIP.replace("2026-01-01", "2026-07-01"), clock)
    assert local_text(recording.readings[0].at_ms, recording.zone) == "2026-07-01T10:00:00+02:00"


def test_the_end_of_summer_time_in_a_stated_zone() -> None:
    text = TRIP.replace("2026-01-01 10:", "2026-10-25 02:")
    with pytest.raises(InputError, match=r"trip\.txt:25: Data\.time: 2026-10-25 02:00 occurs twice in Europe/Oslo"):
        read(text, LocalClock(*parse_zone("Europe/Oslo")))
    assert len(read(text, LocalClock(*parse_zone("Europe/Oslo"), ambiguous=Ambiguous.LATER)).readings) == 3


@pytest.mark.parametrize(
    ("stated", "offset"), [("5.50", "+05:30"), ("5.30", "+05:30"), ("-3.30", "-03:30"), ("5.75", "+05:45")]
)
def test_zones_of_half_hours(stated: str, offset: str) -> None:
    recording = read(TRIP.replace("Zone: 1.00", f"Zone: {stated}"))
    assert recording.zone_name.startswith(offset)


def test_fahrenheit() -> None:
    text = TRIP.replace(" Zone: 1.00", " Temp unit: F\n Zone: 1.00").replace("\t9.0\t", "\t41.0\t")
    assert read(text).readings[1].temperature_c == 5.0


def test_a_file_without_its_end_says_so() -> None:
    assert read(TRIP.replace("Sig: 00\n", "")).notes == (
        "the file has no signature at its end: it may have been cut short",
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("Device: Q-tag CLm doc", "Device: Toaster", "trip.txt:1: Device: not a file of a Q-tag or Fridge-tag"),
        (" Serial: TEST1\n", "", "trip.txt:4: Conf.Serial: is missing: not a whole file"),
        ("Zone: 1.00", "Zone: 1.20", "trip.txt:6: Conf.Zone: '1.20' is no offset; state the zone with --timezone"),
        ("Type: 2,", "Type: 9,", "trip.txt:12: Conf.Alarm.1.Type: '9' is no known type of alarm"),
        ("T AL: 8.0", "T AL: warm", "trip.txt:12: Conf.Alarm.1.T AL: 'warm' is no number"),
        ("t AL: 10", "t AL: ten", "trip.txt:12: Conf.Alarm.1.t AL: 'ten' is no whole number"),
        ("t A: 12, ", "", "trip.txt:18: Res.Alarm.1.t A: is missing: not a whole file"),
        ("\t9.5\tx", "\tx", "trip.txt:28: Data.T: 'x' is no number"),
        ("\t2026-01-01 10:15\t", "\t2026-01-01\t", "trip.txt:28: Data.time: '2026-01-01' is no time such as"),
        ("\t2026-01-01 10:15\t", "\t2026-01-01 10:10\t", "trip.txt:28: Data.time: 2026-01-01 10:10 is not later than"),
        ("\t9.5\tx", "\t999\tx", "trip.txt:28: Data.T: 999 is no temperature of a logger"),
        ("\tyyyy-MM-dd hh:mm\tT\tOut", "\twhen\tT\tOut", "trip.txt:24: Data: the table does not begin with"),
        ("Vers: 1.9", "Vers 1.9", "trip.txt:2: line: 'Vers 1.9' is not 'key: value'"),
        (" Logging Interval: 5\n", "", "trip.txt: Conf.Logging Interval: is missing, but there are readings"),
        ("  1:\n   Type", "    1:\n   Type", "trip.txt:11: line: is indented below nothing"),
    ],
)
def test_what_is_wrong_is_named(before: str, after: str, expected: str) -> None:
    assert fault(before, after).startswith(expected)


def test_files_that_are_no_recordings(tmp_path: Path) -> None:
    cases: list[tuple[str, Any, str]] = [
        ("photo.jpg", b"\xff\xd8\xff\xe0", "is not utf-8 text; say --encoding"),
        ("notes.txt", b"buy milk\n", "no file of a Q-tag or Fridge-tag"),
        ("empty.txt", b"", "no file of a Q-tag or Fridge-tag"),
        ("long.txt", b"Device: Q-tag\n" + b"x" * 3000, "too long for a logger's file"),
    ]
    for name, content, expected in cases:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=expected):
            read_recording(path)
    with pytest.raises(InputError, match="No such file"):
        read_recording(tmp_path / "none.txt")
    with pytest.raises(InputError, match="Is a directory"):
        read_recording(tmp_path)
