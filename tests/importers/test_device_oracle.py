"""Real loggers as an oracle: their own alarms, minutes and means against ours, from their readings and their limits.

The device measures every minute and logs every 5 or 10. So its minutes differ from ours by up to one logging interval
for each stretch beyond a limit, and a break of a few minutes between two logged readings is seen by the device only.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from gateway.core.verdicts import Verdict
from gateway.importers.comparison import Difference, compare_with_device
from gateway.importers.local_time import moment_ms
from gateway.importers.recording import Recording

Q_TAG = "RCPJ00010_02_202211090128.txt"
FRIDGE_TAG_UL = "100800001215_202304201410.txt"
FRIDGE_TAG_2 = "130400191542_202302140605.txt"

Recorded = Callable[[str], Recording]


def at(text: str) -> int:
    return moment_ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


def differences(recording: Recording, number: str) -> list[Difference]:
    return [each for each in compare_with_device(recording).differences if each.limit.number == number]


class TestQTag:
    """A trip of 124 readings every 10 minutes."""

    @pytest.fixture
    def recording(self, recorded: Recorded) -> Recording:
        return recorded(Q_TAG)

    def test_what_the_file_says(self, recording: Recording) -> None:
        assert (recording.device, recording.serial, recording.firmware) == (
            "Q-tag CLm doc LR",
            "RCPJ00010",
            "4.7.04o",
        )
        assert (recording.interval_s, recording.start_delay_s, len(recording.readings)) == (600, 1800, 124)
        assert (recording.readings[0].at_ms, recording.readings[0].temperature_c) == (at("2022-11-08 04:49"), 4.4)
        assert (recording.readings[-1].at_ms, recording.readings[-1].temperature_c) == (at("2022-11-09 01:19"), 24.1)
        assert len(recording.limits) == 4  # alarm 3 is switched off
        assert len(recording.alarms) == 6
        assert (len(recording.missing), len(recording.notes), len(recording.markers)) == (0, 0, 0)

    def test_figures(self, recording: Recording) -> None:
        """Mean and MKT appear truncated to one decimal; the MKT is computed with the device's own ΔH."""
        device, ours = recording.figures, compare_with_device(recording).judgement.figures
        assert device.mkt_energy_kj_mol == 83.0
        assert (ours.min_c, ours.max_c) == (device.min_c, device.max_c) == (0.9, 24.3)
        assert (ours.min_at_ms, ours.max_at_ms) == (device.min_at_ms, device.max_at_ms)
        assert device.mean_c is not None
        assert device.mkt_c is not None
        assert ours.mean_c == pytest.approx(device.mean_c, abs=0.1)
        assert ours.mkt_c == pytest.approx(device.mkt_c, abs=0.1)

    @pytest.mark.parametrize(("number", "minutes"), [("1", 219), ("2", 219), ("4", 598)])
    def test_minutes_within_one_interval_for_each_stretch(
        self, recording: Recording, number: str, minutes: int
    ) -> None:
        (difference,) = differences(recording, number)
        assert difference.device is not None
        assert difference.ours is not None
        assert difference.device.minutes == minutes
        assert difference.agrees
        assert difference.same_alarm

    def test_cumulative_minutes_differ_far_less_than_they_may(self, recording: Recording) -> None:
        """17 stretches below 2 °C: 580 of ours against 598 of the device's."""
        (difference,) = differences(recording, "4")
        assert difference.minutes == -18
        assert difference.tolerance_min == 170
        assert difference.ours is not None
        assert difference.ours.triggered_at_ms == pytest.approx(at("2022-11-08 07:34"), abs=600_000)

    def test_start_and_trigger_within_one_interval(self, recording: Recording) -> None:
        listed = [each for number in "125" for each in differences(recording, number) if each.device and each.ours]
        assert len(listed) == 5
        for difference in listed:
            assert difference.device is not None
            assert difference.ours is not None
            for theirs, ours in (
                (difference.device.started_at_ms, difference.ours.started_at_ms),
                (difference.device.triggered_at_ms, difference.ours.triggered_at_ms),
            ):
                assert theirs is not None
                assert ours == pytest.approx(theirs, abs=600_000)

    def test_each_single_alarm_of_the_device_is_ours(self, recording: Recording) -> None:
        listed = [each for each in differences(recording, "5") if each.device is not None]
        assert [(each.device.minutes, each.ours.minutes) for each in listed if each.device and each.ours] == [
            (145, 150),
            (32, 30),
            (31, 40),
        ]
        assert all(each.agrees and each.same_alarm for each in listed)

    def test_where_only_we_alarm_the_log_cannot_tell(self, recording: Recording) -> None:
        """Three readings below 2 °C stand for 30 minutes and reach the limit of 30; the device, measuring every
        minute, counted less. In the stretch of 40 minutes it saw a break between two readings that the log does not
        have; so that one differs by more than an interval, on the safe side.
        """
        unlisted = [each for each in differences(recording, "5") if each.device is None]
        assert [each.ours.minutes for each in unlisted if each.ours] == [30, 30, 30, 30, 30, 30, 40]
        assert [each.agrees for each in unlisted] == [True, True, True, True, True, True, False]

    def test_the_device_marks_as_out_of_limits_what_we_do(
        self, recording: Recording, path_of: Callable[[str], Path]
    ) -> None:
        """Strictly: 2.0 °C is within the limit."""
        marked = [
            line.rstrip("\n").split("\t")[3] == "x"
            for line in path_of(Q_TAG).read_text().splitlines()
            if line.startswith("\t20")
        ]
        assert marked == [not 2.0 <= reading.temperature_c <= 8.0 for reading in recording.readings]


class TestFridgeTagWithReadings:
    """835 readings every 5 minutes, daily summaries, and an external sensor that did not answer at both ends."""

    @pytest.fixture
    def recording(self, recorded: Recorded) -> Recording:
        return recorded(FRIDGE_TAG_UL)

    def test_what_the_file_says(self, recording: Recording) -> None:
        assert (recording.serial, recording.interval_s, len(recording.readings)) == ("100800001215", 300, 835)
        assert recording.begins_ms == at("2023-04-17 16:06")
        assert [(gap.begins_ms, gap.ends_ms) for gap in recording.missing] == [
            (at("2023-04-17 16:06"), at("2023-04-17 16:21")),
            (at("2023-04-20 13:56"), at("2023-04-20 14:11")),
        ]
        newest = recording.days[-1]
        assert (newest.day, newest.events, newest.checked_at_ms) == (date(2023, 4, 20), 16, (at("2023-04-20 14:09"),))
        assert (newest.timeouts[0].sensor, newest.timeouts[0].minutes) == ("external", 17)
        assert (newest.alarms[1].ambient_c, newest.alarms[1].checked) == (14.9, False)

    def test_a_sensor_that_does_not_answer_is_a_gap(self, recording: Recording) -> None:
        judgement = compare_with_device(recording).judgement
        assert judgement.gaps == recording.missing
        assert judgement.figures.unmonitored_ms == 30 * 60_000
        assert judgement.figures.monitored_fraction == pytest.approx(1 - 30 / 4205)

    def test_daily_alarms_agree(self, recording: Recording) -> None:
        compared = compare_with_device(recording).differences
        assert len(compared) == 8
        assert all(each.same_alarm and each.agrees for each in compared)

    def test_minutes_agree_where_the_sensor_answered(self, recording: Recording) -> None:
        """On the first day the device counts the 15 minutes without a value as above its limit; we do not."""
        high = differences(recording, "1")
        assert [each.minutes for each in high] == [-15, 0, 0, 2]
        silent_min = [15, 0, 0, 15]
        interval_min = 5
        assert [each.tolerance_min for each in high] == [
            pytest.approx(interval_min + silent, abs=1) for silent in silent_min
        ]

    def test_summaries_lie_within_an_interval_of_the_readings(self, recording: Recording) -> None:
        for day in recording.days[1:]:
            values = [r.temperature_c for r in recording.readings if day.begins_ms <= r.at_ms < day.ends_ms]
            assert day.min_c is not None
            assert day.max_c is not None
            assert day.mean_c is not None
            assert day.min_c <= min(values)  # every minute sees more than every fifth
            assert day.max_c >= max(values)
            assert sum(values) / len(values) == pytest.approx(day.mean_c, abs=0.15)  # truncated, of every minute


class TestFridgeTagWithoutReadings:
    """Sixty daily summaries."""

    @pytest.fixture
    def recording(self, recorded: Recorded) -> Recording:
        return recorded(FRIDGE_TAG_2)

    def test_what_the_file_says(self, recording: Recording) -> None:
        assert (recording.serial, recording.interval_s, recording.readings) == ("130400191542", None, ())
        assert len(recording.days) == 60
        assert [day.day for day in recording.days] == sorted(day.day for day in recording.days)
        assert recording.begins_ms == at("2022-12-17 00:00")
        assert recording.ends_ms == at("2023-02-14 06:05")
        assert recording.notes == ("the device reports error 19, 1 times, last at 2022-03-24 15:30",)
        oldest = recording.days[0]
        assert (oldest.min_c, oldest.min_at_ms, oldest.max_c, oldest.mean_c) == (
            15.1,
            at("2022-12-17 23:22"),
            17.3,
            16.5,
        )

    def test_daily_alarms_and_minutes_agree(self, recording: Recording) -> None:
        """Every day's minimum is above 8 °C, so the summaries alone prove the device's minutes."""
        compared = compare_with_device(recording).differences
        assert len(compared) == 120
        assert all(each.ours is not None and each.agrees and each.same_alarm for each in compared)

    def test_the_verdict_is_proven_by_the_summaries(self, recording: Recording) -> None:
        judgement = compare_with_device(recording).judgement
        assert judgement.verdict is Verdict.REJECT
        assert [reason.code for reason in judgement.reasons] == ["limit_single", "summaries_only"]
        assert judgement.figures.readings == 0
        assert (judgement.figures.min_c, judgement.figures.max_c) == (14.7, 19.5)
