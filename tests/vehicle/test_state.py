from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.assignments import Swap, SwapReason, swap_of
from gateway.core.configuration import Calibration
from gateway.core.verdicts import Excursion
from gateway.vehicle.state import STALE_S, BoxWord, Latest, view_boxes, word_for
from tests.vehicle.carried import breach, configuration, judgement
from tests.vehicle.samples import T0, TAG

RUNNING = Excursion("cold", T0, None, None, 9.0, 3.0, 1.0)
ENDED = Excursion("cold", T0, None, T0 + 1, 9.0, 3.0, 1.0)


@pytest.mark.parametrize(
    ("age_s", "judgements", "word"),
    [
        (5.0, [judgement()], BoxWord.OK),
        (5.0, [], BoxWord.OK),
        (None, [judgement()], BoxWord.UNKNOWN),
        (STALE_S + 1.0, [judgement()], BoxWord.STALE),
        (5.0, [judgement(excursions=(RUNNING,))], BoxWord.WARN),
        (5.0, [judgement(excursions=(ENDED,))], BoxWord.OK),
        (STALE_S + 1.0, [judgement(excursions=(RUNNING,))], BoxWord.STALE),
        (STALE_S + 1.0, [judgement(), judgement(breach())], BoxWord.BREACH),
        (None, [judgement(breach())], BoxWord.BREACH),
    ],
)
def test_one_word_for_each_box(age_s: float | None, judgements: list[object], word: BoxWord) -> None:
    assert word_for(age_s, judgements) is word  # type: ignore[arg-type]  # a list of judgements behind object


def test_a_box_shows_its_latest_calibrated_temperature() -> None:
    latest = Latest()
    latest.hear(TAG, T0, 4000)
    latest.hear(TAG, T0 + 5000, 5120)
    (box,) = view_boxes(configuration(), latest, {}, T0 + 8000)
    assert (box.code, box.label, box.temperature_c, box.age_s, box.state) == ("BOX-1", "Blue", 5.12, 3.0, "ok")


def test_breaches_show_at_the_box_that_carries_the_item() -> None:
    latest = Latest()
    latest.hear(TAG, T0, 4000)
    (box,) = view_boxes(configuration(), latest, {"C1": (judgement(breach()),)}, T0)
    assert box.state is BoxWord.BREACH


def test_without_a_configuration_there_are_no_boxes() -> None:
    assert view_boxes(None, Latest(), {}, T0) == []


def test_a_calibration_that_falls_due_shows_at_its_box() -> None:
    known = configuration()
    (logger,) = known.loggers
    due = datetime.fromtimestamp(T0 / 1000, UTC) + timedelta(days=29)
    certificate = Calibration(certificate="K-1", calibrated_at=due - timedelta(days=365), due_at=due)
    certified = known.model_copy(update={"loggers": (logger.model_copy(update={"calibration": certificate}),)})
    assert [view.needs for view in view_boxes(known, Latest(), {}, T0)] == [("not_calibrated",)]
    assert [view.needs for view in view_boxes(certified, Latest(), {}, T0)] == [("calibration_due",)]
    assert [view.needs for view in view_boxes(certified, Latest(), {}, T0 - 2 * 86_400_000)] == [()]


def test_after_a_swap_a_box_shows_the_logger_that_came() -> None:
    known = configuration()
    (logger,) = known.loggers
    now = datetime.fromtimestamp(T0 / 1000, UTC)
    left, came = swap_of(logger, None, Swap(new="C0:FF:EE:00:00:02", reason=SwapReason.BATTERY), now)
    latest = Latest()
    latest.hear(left.address, T0 + 1000, 20_000)
    latest.hear(came.address, T0, 5000)
    (view,) = view_boxes(known.model_copy(update={"loggers": (left, came)}), latest, {}, T0)
    assert view.temperature_c == 5.0
