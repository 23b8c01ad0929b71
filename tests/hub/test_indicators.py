"""Shares over time, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from gateway.core.configuration import Box, Calibration, Consignment, Logger
from gateway.core.errors import InputError
from gateway.core.verdicts import Figures, Judgement, Verdict
from gateway.hub.breaches.keeping import read_covered, reconcile
from gateway.hub.database.store import Store
from gateway.hub.judgement.verdict_history import save_judgement
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.ingest import Ingest
from gateway.hub.review.desk import ReviewDesk
from gateway.hub.times import to_datetime
from gateway.hub.views import indicators
from gateway.hub.views.indicators import Grouping, Indicators, Measure, Question, Step, buckets_of, read_indicators
from tests.hub.review.reviewing import QUALITY
from tests.hub.samples import breach, judgement
from tests.hub.vans import LOGGER, START_MS, Van, iso, observe

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BEGIN = to_datetime(START_MS).date()
FIGURES = Figures(100, 4.0, 9.0, 6.0, None, 1.0, 0, 10, 2)


def judged(code: str, item: str, verdict: Verdict, monitored: float = 1.0, profile: str = "potassium") -> Judgement:
    figures = replace(FIGURES, monitored_fraction=monitored, unmonitored_ms=round((1 - monitored) * HOUR_MS))
    return replace(judgement(), consignment=code, item=item, verdict=verdict, figures=figures, profile=profile)


class Hospital:
    """Two boxes, and consignments that were received in them, an hour after they set out."""

    def __init__(self, store: Store) -> None:
        self.store, self.now_ms = store, START_MS + DAY_MS
        self.registry = Registry(store, lambda: self.now_ms)
        for box in ("BOX-1", "BOX-2"):
            self.registry.put_box(Box(code=box), "test")

    def receive(self, code: str, *judgements: Judgement, days: int = 0, box: str = "BOX-1", **changes: object) -> None:
        begins_s = days * 86_400
        examinations = [{"code": "K", "profile": "potassium"}]
        document = {
            "code": code,
            "items": [
                {"code": item, "kind": "sample", "examinations": examinations}
                for item in sorted({one.item for one in judgements})
            ],
            "carriage": [{"box": box, "begins": iso(begins_s)}],
            "received_at": iso(begins_s + 3600),
            **changes,
        }
        self.registry.put_consignment(Consignment.model_validate(document), "test")
        with self.store.write() as connection:
            for one in judgements:
                save_judgement(connection, one, self.now_ms, received=True)

    def ask(self, days: int = 6, step: Step = Step.WEEK, by: Grouping = Grouping.NONE) -> Indicators:
        until = to_datetime(START_MS + days * DAY_MS).date()
        with self.store.read() as connection:
            return read_indicators(connection, Question(BEGIN, until, step, by), self.now_ms)


@pytest.fixture
def hospital(store: Store) -> Hospital:
    return Hospital(store)


def test_shares_are_of_items_by_the_worst_of_their_verdicts(hospital: Hospital) -> None:
    other = replace(judged("C-1", "T-1", Verdict.REVIEW), examination="CRP")
    hospital.receive(
        "C-1", judged("C-1", "T-1", Verdict.ACCEPT), other, judged("C-1", "T-2", Verdict.ACCEPT, monitored=0.75)
    )
    hospital.receive("C-2", judged("C-2", "T-3", Verdict.ACCEPT), planned_arrival=iso(3599))
    hospital.receive("C-3", judged("C-3", "T-4", Verdict.ACCEPT), planned_arrival=iso(3600))
    found = hospital.ask()
    total = found.totals[""]
    assert (total.met[Measure.ACCEPTED], total.of[Measure.ACCEPTED]) == (3, 4)
    assert (total.met[Measure.MONITORED], total.of[Measure.MONITORED]) == (3, 4)
    assert (total.met[Measure.ON_TIME], total.of[Measure.ON_TIME]) == (1, 2)
    assert total.share(Measure.REVIEWED) is None
    quality = found.quality
    assert (quality.items, quality.with_gaps, quality.unmonitored_ms) == (4, 1, HOUR_MS // 4)
    assert (quality.readings, quality.backfilled, quality.untrusted) == (400, 40, 8)


def test_only_the_current_verdict_counts(hospital: Hospital) -> None:
    hospital.receive("C-1", judged("C-1", "T-1", Verdict.ACCEPT), judged("C-1", "T-1", Verdict.REJECT))
    total = hospital.ask().totals[""]
    assert (total.met[Measure.ACCEPTED], total.of[Measure.ACCEPTED]) == (0, 1)


def test_weeks_and_months_are_those_of_norway(hospital: Hospital) -> None:
    hospital.receive("C-1", judged("C-1", "T-1", Verdict.ACCEPT))
    hospital.receive("C-2", judged("C-2", "T-2", Verdict.REJECT), days=7)
    weeks = hospital.ask(days=13)
    assert [day.weekday() for day in weeks.buckets] == [0] * len(weeks.buckets)
    accepted = [weeks.cells["", day].met[Measure.ACCEPTED] for day in weeks.buckets if ("", day) in weeks.cells]
    assert accepted == [1, 0]
    assert buckets_of(Question(date(2026, 1, 31), date(2026, 3, 1), Step.MONTH)) == [
        date(2026, 1, 1),
        date(2026, 2, 1),
        date(2026, 3, 1),
    ]
    with pytest.raises(InputError, match="until"):
        buckets_of(Question(date(2026, 1, 2), date(2026, 1, 1)))
    with pytest.raises(InputError, match="at most"):
        buckets_of(Question(date(2020, 1, 1), date(2026, 1, 1)))


def test_groups(hospital: Hospital, van: Van) -> None:
    calibration = Calibration(certificate="K", calibrated_at=iso(-86400), due_at=iso(86400))
    hospital.registry.put_logger(Logger(address=LOGGER, box="BOX-1", calibration=calibration), "test")
    van.seal(observe(660, 5.0))
    Ingest(hospital.store, lambda: hospital.now_ms).take(van.deliveries())
    hospital.receive("C-1", judged("C-1", "T-1", Verdict.ACCEPT), requester="ward-4", receiver="lab")
    hospital.receive("C-2", judged("C-2", "T-2", Verdict.REJECT, profile="crp"), box="BOX-2", vehicle="van-7")
    hospital.receive("C-3", judged("C-3", "T-3", Verdict.REJECT, profile="crp"), box="BOX-2", days=1)

    def accepted(by: Grouping) -> dict[str, float | None]:
        found = hospital.ask(by=by)
        return {group: found.totals[group].share(Measure.ACCEPTED) for group in sorted(found.groups)}

    assert accepted(Grouping.BOX) == {"BOX-1": 1, "BOX-2": 0}
    assert accepted(Grouping.VEHICLE) == {"?": 0, "van-1": 1, "van-7": 0}
    assert accepted(Grouping.ROUTE) == {"?": 0, "ward-4 → lab": 1}
    assert accepted(Grouping.PROFILE) == {"crp": 0, "potassium": 1}


def test_reviewed_within_a_day_of_being_found(hospital: Hospital, store: Store) -> None:
    hospital.receive("C-1", judged("C-1", "T-1", Verdict.REJECT))
    found = judgement(breach(5, 10), breach(20, 30), breach(35, 40))
    with store.write() as connection:
        reconcile(connection, found, read_covered(connection, "C-1"), START_MS)
    desk = ReviewDesk(store, lambda: hospital.now_ms)

    def review(number: int) -> None:
        desk.acknowledge(number, QUALITY)
        desk.begin(number, QUALITY)
        desk.conclude(number, QUALITY, "box_open", "trained")
        desk.close(number, QUALITY)

    hospital.now_ms = START_MS + DAY_MS - 1
    review(1)
    total = hospital.ask().totals[""]
    assert (total.met[Measure.REVIEWED], total.of[Measure.REVIEWED]) == (1, 1)  # the others may still be in time
    hospital.now_ms = START_MS + DAY_MS + 1
    review(2)
    total = hospital.ask(by=Grouping.BOX).totals["BOX-1"]
    assert (total.met[Measure.REVIEWED], total.of[Measure.REVIEWED]) == (1, 3)


def test_too_much_at_once_is_said(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital.receive("C-1", judged("C-1", "T-1", Verdict.ACCEPT), judged("C-1", "T-2", Verdict.ACCEPT))
    monkeypatch.setattr(indicators, "ROWS_MAX", 1)
    with pytest.raises(InputError, match="shorter"):
        hospital.ask()
