"""Weeks of a logger, read from a real InfluxDB and from the archive: the same answers, and never without extremes."""

from __future__ import annotations

import pytest

from gateway.hub.projection.history import ArchiveHistory, HistoryError, InfluxHistory, ask
from gateway.hub.settings import InfluxSettings
from tests.hub.vans import START_MS
from tests.integration.influx_engine import Front
from tests.integration.week import COLD, DAY, EXTREME_C, HOUR, LENGTH_S, NOW_MS, WARM, Week

END_MS = START_MS + LENGTH_S * 1000


@pytest.mark.parametrize("intervals", [7, 60, 170, 600, 2000])
def test_influx_and_the_archive_give_the_same_answer(week: Week, week_settings: InfluxSettings, intervals: int) -> None:
    influx, archive = InfluxHistory(week_settings), ArchiveHistory(week.archive, {})
    question = ask([WARM, COLD], START_MS, END_MS, NOW_MS, intervals)
    answers, expected = influx.read(question), archive.read(question)
    influx.close()
    for logger in (WARM, COLD):
        assert len(answers[logger]) <= intervals
        assert [(one.begins_ms, one.readings, one.min_c, one.max_c) for one in answers[logger]] == [
            (one.begins_ms, one.readings, one.min_c, one.max_c) for one in expected[logger]
        ]
        for one, other in zip(answers[logger], expected[logger], strict=True):
            assert one.mean_c == pytest.approx(other.mean_c, abs=0.002)
    assert max(one.max_c for one in answers[WARM]) == EXTREME_C
    assert sum(one.readings for one in answers[WARM]) == len(week.true[WARM])


def test_the_youngest_hours_are_made_of_their_readings(week: Week, week_settings: InfluxSettings) -> None:
    influx, archive = InfluxHistory(week_settings), ArchiveHistory(week.archive, {})
    # Asked while it lasts: the hour is not over, and not in the long history.
    now_ms = START_MS + (DAY + 8 * HOUR + 25 * 60) * 1000
    question = ask([WARM], START_MS, now_ms, now_ms, 24)
    assert question.hours_until_ms < START_MS + (DAY + 8 * HOUR) * 1000
    answer = influx.read(question)[WARM]
    influx.close()
    assert [(one.begins_ms, one.readings, one.max_c) for one in answer] == [
        (one.begins_ms, one.readings, one.max_c) for one in archive.read(question)[WARM]
    ]
    assert answer[-1].max_c == EXTREME_C


def test_a_code_cannot_break_out_of_the_question(week_settings: InfluxSettings) -> None:
    influx = InfluxHistory(week_settings)
    question = ask(['x\' OR "logger" =~ /.*/ --', "back\\"], START_MS, END_MS, NOW_MS)
    assert set(influx.read(question).values()) == {()}
    influx.close()


def test_a_server_that_is_away_or_refuses_is_an_error_that_says_so(week_settings: InfluxSettings, front: Front) -> None:
    question = ask([WARM], START_MS, END_MS, NOW_MS)
    missing = InfluxHistory(
        week_settings.model_copy(update={"url": front.url, "bucket": "nowhere", "long_bucket": "no"})
    )
    with pytest.raises(HistoryError):
        missing.read(question)
    front.cut()
    with pytest.raises(HistoryError, match="cannot be asked"):
        missing.read(question)
    missing.close()
