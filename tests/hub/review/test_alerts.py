"""Alerts that are no breach's: open until somebody acknowledges them, or until what they tell of is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from gateway.core.errors import InputError
from gateway.core.verdicts import Verdict
from gateway.hub.access.roles import Role
from gateway.hub.breaches.lifecycle import NotNowError
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.judgement.verdict_history import save_judgement
from gateway.hub.notification.ledger import make_messages, notice_alerts
from gateway.hub.review.alerts import AlertDesk, StoredAlert, UnknownAlertError, read_alerts
from gateway.hub.review.competence import NotYoursError
from gateway.hub.review.decisions import Course, Decisions, NewDecision
from gateway.hub.settings import HubSettings
from gateway.hub.signals.alerts import AlertKind, Resolution, raise_alert, resolve_alerts
from tests.hub.notification.scene import register
from tests.hub.review.reviewing import DOCTOR, NURSE, PHARMACIST, QUALITY, RECEIVER, Ward, person
from tests.hub.samples import MINUTE_MS, NOW_MS, breach, judgement
from tests.hub.test_vigils import Depot
from tests.hub.vans import START_MS, Van, observe

ADMINISTRATOR = person(Role.ADMINISTRATOR)


def alert(store: Store, kind: AlertKind = AlertKind.LOG_FORKED, **about: object) -> int:
    document = {"gateway": "van-1", "consignment": "C-1", "item": "T-1", "reason": "r"} | about
    with store.write() as connection:
        raise_alert(connection, kind, document, NOW_MS)
    return waiting(store)[-1].id


def waiting(store: Store) -> list[StoredAlert]:
    with store.read() as connection:
        return read_alerts(connection, waiting=True)


def test_an_alert_is_open_until_somebody_acknowledges_it_on_record(store: Store) -> None:
    desk, number = AlertDesk(store, lambda: NOW_MS + 1), alert(store)
    with pytest.raises(NotYoursError, match="administrator"):
        desk.acknowledge([number], NURSE)
    (done,) = desk.acknowledge([number], ADMINISTRATOR, "card restored after the crash")
    assert (done.acknowledged_by, done.acknowledged_at_ms) == ("administrator", NOW_MS + 1)
    assert (done.reason, waiting(store)) == ("card restored after the crash", [])
    with pytest.raises(NotNowError, match="acknowledged by administrator"):
        desk.acknowledge([number], QUALITY)
    with store.read() as connection:
        (act,) = connection.execute(select(schema.audit)).all()
    assert (act.who, act.act, act.subject) == ("administrator", "acknowledge_alert", f"alert {number}")
    assert act.reason == "card restored after the crash"


def test_several_need_a_reason_and_are_acknowledged_all_or_none(store: Store) -> None:
    desk, several = AlertDesk(store, lambda: NOW_MS), [alert(store), alert(store, AlertKind.KEY_REFUSED)]
    with pytest.raises(InputError, match="reason"):
        desk.acknowledge(several, ADMINISTRATOR)
    with pytest.raises(UnknownAlertError):
        desk.acknowledge([*several, 99], ADMINISTRATOR, "one card")
    assert len(waiting(store)) == 2
    assert len(desk.acknowledge(several, ADMINISTRATOR, "one card")) == 2
    assert waiting(store) == []


def test_a_breach_is_acknowledged_itself(store: Store) -> None:
    ward = Ward(store)
    ward.judge((10, 30))
    (told,) = waiting(store)
    assert (told.kind, told.breach) == (AlertKind.BREACH, 1)
    with pytest.raises(InputError, match="acknowledge breach 1"):
        AlertDesk(store, lambda: NOW_MS).acknowledge([told.id], QUALITY)
    ward.desk.acknowledge(1, DOCTOR)
    assert waiting(store) == []


@pytest.mark.parametrize("how", ["acknowledged", "over", ""])
def test_what_is_acknowledged_or_over_is_escalated_to_nobody(store: Store, how: str) -> None:
    settings = HubSettings.model_validate({"data_dir": "."})
    channels = [{"id": "web", "url": "https://alerts.example/in"}]
    technician = {"name": "TECH", "duties": ["technician"], "channels": channels}
    register(store, settings, technician, {"name": "QA", "duties": ["quality-on-call"], "channels": channels})
    number = alert(store)
    names: list[str] = []
    for minutes in (0, 61):
        now_ms = NOW_MS + minutes * MINUTE_MS
        with store.write() as connection:
            notice_alerts(connection, now_ms, ZoneInfo("UTC"))
            make_messages(connection, now_ms, now_ms, lambda uid=f"m-{now_ms}": uid)
            names = list(connection.execute(select(schema.messages.c.recipient)).scalars())
        if how == "acknowledged" and not minutes:
            AlertDesk(store, lambda: NOW_MS).acknowledge([number], ADMINISTRATOR)
        if how == "over" and not minutes:
            with store.write() as connection:
                assert resolve_alerts(connection, [number, number], Resolution.HEARD, NOW_MS) == 1
    assert sorted(names) == (["TECH"] if how else ["QA", "TECH"])


def test_what_is_over_before_it_leaves_is_told_to_nobody(store: Store) -> None:
    settings = HubSettings.model_validate({"data_dir": "."})
    channels = [{"id": "web", "url": "https://alerts.example/in"}]
    register(store, settings, {"name": "TECH", "duties": ["technician"], "channels": channels})
    number = alert(store)
    with store.write() as connection:
        notice_alerts(connection, NOW_MS, ZoneInfo("UTC"))
        resolve_alerts(connection, [number], Resolution.HEARD, NOW_MS)
        assert make_messages(connection, NOW_MS, NOW_MS, lambda: "m") == 0


@pytest.mark.parametrize("how", ["heard", "elsewhere", "received"])
def test_a_silence_ends_by_itself(store: Store, van: Van, how: str) -> None:
    depot = Depot(store, van)
    depot.register()
    depot.hear(0, 600, 5.0)
    depot.clock.now = START_MS + 600_000 + 40 * MINUTE_MS
    with store.write() as connection:
        connection.execute(update(schema.gateways).values(received_at_ms=START_MS + 570_000))
    depot.watch.patrol()
    (told,) = waiting(store)
    assert told.kind is AlertKind.VEHICLE_SILENT
    depot.clock.now += MINUTE_MS
    depot.watch.patrol()
    assert len(waiting(store)) == 1
    if how == "received":
        depot.registry.receive("C-1", datetime.fromtimestamp(depot.clock.now / 1000, UTC), "receiver")
    else:
        depot.deliver(observe(2900, 5.0))
    if how == "elsewhere":
        with store.write() as connection:
            connection.execute(update(schema.gateways).values(received_at_ms=START_MS + 570_000))
    depot.clock.now += MINUTE_MS
    depot.watch.patrol()
    assert waiting(store) == []
    with store.read() as connection:
        (ended,) = read_alerts(connection, waiting=False)
    assert ended.resolution == ("received" if how == "received" else "heard")
    assert (ended.resolved_at_ms, ended.acknowledged_by) == (depot.clock.now, None)


@pytest.mark.parametrize("how", ["recovered", "decided", "acknowledged"])
def test_a_worsened_verdict_waits_until_it_recovers_or_somebody_deals_with_it(store: Store, how: str) -> None:
    ward = Ward(store)
    ward.registry.receive("C-1", datetime.fromtimestamp(NOW_MS / 1000, UTC), "receiver")
    for verdict in (Verdict.ACCEPT, Verdict.REJECT):
        with store.write() as connection:
            save_judgement(connection, replace(judgement(), verdict=verdict), NOW_MS, received=True)
    (told,) = waiting(store)
    if how == "recovered":
        with store.write() as connection:
            better = replace(judgement(breach(1, 2)), verdict=Verdict.ACCEPT)
            save_judgement(connection, better, NOW_MS, received=True)
    elif how == "decided":
        decision = NewDecision(choice=Course.REJECT, seen={"K": 2}, reason="RR")
        Decisions(store, lambda: NOW_MS).decide("C-1", "T-1", decision, RECEIVER)
    else:
        desk = AlertDesk(store, lambda: NOW_MS)
        with pytest.raises(NotYoursError):
            desk.acknowledge([told.id], PHARMACIST)  # a sample is none of theirs
        desk.acknowledge([told.id], NURSE)
    assert waiting(store) == []
