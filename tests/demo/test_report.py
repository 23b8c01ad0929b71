"""The report says in words and in JSON the same, and is good only if nothing is wrong."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC

from rich.console import Console

from gateway.core.verdicts import BreachKind, Figures, Judgement, Reason, Verdict
from gateway.demo.reception import KnownAlert, KnownBreach
from gateway.demo.reckoning import Account, Finding
from gateway.demo.report import Judged, Report, print_report

TOO_WARM = {"rule": "warm", "side": "above", "limit_c": 8.0, "allowed_min": 30.0, "minutes": 31.0, "extreme_c": 9.0}
FIGURES = Figures(600, 4.0, 9.0, 5.0, 5.2, 0.97, 0, 5, 0)
JUDGEMENT = Judgement(
    consignment="SEND-1",
    item="DOSE-1",
    examination="dose",
    profile="demo",
    profile_version=1,
    verdict=Verdict.REVIEW,
    reasons=(
        Reason(
            "limit_single",
            Verdict.REVIEW,
            {"rule": "warm", "side": "above", "limit_c": 8.0, "allowed_min": 30.0, "minutes": 31.0, "extreme_c": 9.0},
        ),
    ),
    breaches=(),
    excursions=(),
    cumulative_minutes={},
    gaps=(),
    lives=(),
    figures=FIGURES,
    urgent=False,
    through_ms=0,
)
BREACH = KnownBreach(
    id=3,
    consignment="SEND-1",
    item="DOSE-1",
    examination="dose",
    rule="warm",
    kind=BreachKind.SINGLE,
    state="confirmed",
    started_at_ms=0,
    triggered_at_ms=1_800_000,
    ended_at_ms=None,
    extreme_c=9.0,
    minutes=31.0,
    found_by="VAN-1",
    found_at_ms=1_824_000,
)
ALERT = KnownAlert(id=1, kind="breach", breach=3, created_at_ms=1_824_000, sent_at_ms=1_848_000)
REPORT = Report(
    account=Account(recorded=10, delivered=10, backfilled=2, lost=(), duplicated=(), altered=()),
    judged=[Judged(JUDGEMENT, Verdict.REVIEW)],
    breaches=[BREACH],
    alerts=[ALERT],
    rate=240.0,
    pages={"BOX-1": "http://127.0.0.1:1/bench"},
    zone=UTC,
)


def _print(report: Report) -> str:
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=120))
    return stream.getvalue().replace("\u00a0", " ")  # between a number and its unit


def test_a_good_day() -> None:
    assert REPORT.is_good
    told = REPORT.to_json()
    assert {name: told[name] for name in ("recorded", "delivered", "lost", "duplicated", "altered", "backfilled")} == {
        "recorded": 10,
        "delivered": 10,
        "lost": 0,
        "duplicated": 0,
        "altered": 0,
        "backfilled": 2,
    }
    assert told["breaches"] == told["alerts"] == 1
    assert told["breach_list"][0]["alerts"] == 1
    assert told["alert_delay_s"] == 0.2
    assert told["alert_delay_domain_s"] == 48.0
    assert told["verdicts"][0]["reasons"][0]["code"] == "limit_single"
    text = _print(REPORT)
    assert "Above 8 °C for 31 min in one stretch; 30 min are allowed." in text
    assert "lost 0, duplicated 0, altered 0" in text
    assert "0.20 s real time" in text
    assert "http://127.0.0.1:1/bench" in text


def test_a_lost_reading_is_not_good_and_is_named() -> None:
    lost = Finding("C0:FF:EE:00:00:01", 3_600_000, "sealed, not at the hub")
    report = replace(REPORT, account=replace(REPORT.account, lost=(lost,)))
    assert not report.is_good
    assert report.to_json()["findings"][0]["kind"] == "lost"
    assert "lost: C0:FF:EE:00:00:01 at 01:00: sealed, not at the hub" in _print(report)


def test_an_unexpected_verdict_is_not_good_and_is_named() -> None:
    report = replace(REPORT, judged=[Judged(JUDGEMENT, Verdict.ACCEPT)])
    assert not report.is_good
    assert "Not as expected: DOSE-1 dose should be accept" in _print(report)


def test_an_alert_that_has_not_left_has_no_delay() -> None:
    report = replace(REPORT, alerts=[ALERT.model_copy(update={"sent_at_ms": None})], missing="3 records in memories")
    assert report.to_json()["alert_delay_s"] is None
    assert "Not everything arrived in time: 3 records in memories" in _print(report)
