from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from gateway import profiles
from gateway.core.errors import InputError
from gateway.hub.access.accounts import Accounts
from gateway.hub.access.identities import Identity
from gateway.hub.access.roles import Role
from gateway.hub.breaches.lifecycle import NotNowError, ReviewEvent, ReviewState
from gateway.hub.database import schema
from gateway.hub.database.rows import read_rule
from gateway.hub.database.store import Store
from gateway.hub.proof.verification import verify_store
from gateway.hub.review.choices import Choice, ChoiceList, Choices
from gateway.hub.review.competence import NotYoursError
from gateway.hub.review.desk import UnknownBreachError
from gateway.hub.review.signing import Meaning
from tests.hub.review.reviewing import DOCTOR, DRIVER, NURSE, PHARMACIST, QUALITY, Ward
from tests.hub.samples import NOW_MS
from tests.hub.vans import sqlite_only


@pytest.fixture
def ward(store: Store) -> Ward:
    opened = Ward(store)
    opened.judge((10, 30))
    return opened


def acts(store: Store) -> list[tuple[str, str, str]]:
    with store.read() as connection:
        rows = connection.execute(select(schema.audit).where(schema.audit.c.subject.like("breach %")).order_by("id"))
        return [(row.who, row.act, row.subject) for row in rows]


def test_a_breach_from_alert_to_signature_is_on_record(ward: Ward, store: Store) -> None:
    assert ward.desk.review(1).standing.state is ReviewState.OPEN
    ward.close()
    review = ward.desk.review(1)
    assert (review.standing.state, review.standing.acknowledged_by) == (ReviewState.CLOSED, DOCTOR.name)
    signed = ward.desk.sign(1, DOCTOR, Meaning.APPROVED, review.hash)
    (signature,) = signed.signatures
    assert (signature.printed_name, signature.meaning, signature.holds) == ("The laboratory_doctor", "approved", True)
    assert signature.signed_at.utcoffset() is not None
    assert [who for who, _, _ in acts(store)] == [DOCTOR.name, QUALITY.name, QUALITY.name, QUALITY.name, DOCTOR.name]
    assert [act for _, act, _ in acts(store)] == [f"{record.event}_breach" for record in signed.records]
    assert verify_store(store).is_proven


@pytest.mark.parametrize("change", ["comment", "late data", "another verdict", "decision", "reopened"])
def test_a_later_change_breaks_the_signature(ward: Ward, store: Store, change: str) -> None:
    ward.close()
    ward.desk.sign(1, DOCTOR, Meaning.REVIEWED, ward.desk.review(1).hash)
    match change:
        case "comment":
            ward.desk.comment(1, NURSE, "I was there")
        case "late data":
            ward.judge((10, 35))
        case "another verdict":
            ward.judge()
        case "decision":
            with store.write() as connection:
                row = {"consignment": "C-1", "item": "T-1", "at_ms": NOW_MS, "who": "x", "printed_name": "X"}
                connection.execute(schema.decisions.insert().values(**row, document="{}"))
        case _:
            ward.desk.reopen(1, QUALITY, "found more")
    assert [one.holds for one in ward.desk.review(1).signatures] == [False]


def test_a_second_signature_breaks_none(ward: Ward) -> None:
    ward.close()
    for who in (DOCTOR, QUALITY):
        ward.desk.sign(1, who, Meaning.REVIEWED, ward.desk.review(1).hash)
    assert [one.holds for one in ward.desk.review(1).signatures] == [True, True]


def test_what_was_not_read_is_not_signed(ward: Ward) -> None:
    ward.close()
    seen = ward.desk.review(1).hash
    ward.desk.comment(1, NURSE, "wait")
    with pytest.raises(NotNowError, match="changed"):
        ward.desk.sign(1, DOCTOR, Meaning.REVIEWED, seen)


@sqlite_only
@pytest.mark.parametrize(("kind", "who", "may"), [
    ("sample", NURSE, True),
    ("sample", DOCTOR, True),
    ("sample", PHARMACIST, False),
    ("sample", DRIVER, False),
    ("medicine", PHARMACIST, True),
    ("medicine", QUALITY, True),
    ("medicine", NURSE, False),
])  # fmt: skip
def test_who_acknowledges_what(store: Store, kind: str, who: object, may: bool) -> None:  # noqa: FBT001  a parameter
    ward = Ward(store, kind)
    ward.judge((10, None))
    if may:
        assert ward.desk.acknowledge(1, who).standing.state is ReviewState.ACKNOWLEDGED  # type: ignore[arg-type]  a Caller
    else:
        with pytest.raises(NotYoursError):
            ward.desk.acknowledge(1, who)  # type: ignore[arg-type]  a Caller
        assert acts(store) == []


def test_many_at_once_need_a_reason_and_are_all_or_none(ward: Ward, store: Store) -> None:
    ward.judge((10, 30), (40, 50))
    with pytest.raises(InputError, match="reason"):
        ward.desk.acknowledge_all([1, 2], DOCTOR, "  ")
    ward.desk.acknowledge(2, DOCTOR)
    with pytest.raises(NotNowError):
        ward.desk.acknowledge_all([1, 2], DOCTOR, "one box")
    assert ward.desk.review(1).standing.state is ReviewState.OPEN
    (review,) = ward.desk.acknowledge_all([1], DOCTOR, "one box")
    assert review.records[0].document == {"reason": "one box", "bulk": True}
    with pytest.raises(UnknownBreachError):
        ward.desk.acknowledge_all([7], DOCTOR, "one box")
    assert len(acts(store)) == 2


def test_what_still_runs_is_closed_with_a_stated_reason(store: Store) -> None:
    ward = Ward(store)
    ward.judge((10, None))
    ward.desk.acknowledge(1, DOCTOR)
    ward.desk.begin(1, QUALITY)
    with pytest.raises(NotNowError, match="cause"):
        ward.desk.close(1, QUALITY)
    ward.desk.conclude(1, QUALITY, "logger_fault", "equipment")
    with pytest.raises(InputError, match="ending"):
        ward.desk.close(1, QUALITY)
    with pytest.raises(InputError, match="ending"):
        ward.desk.close(1, QUALITY, "nonsense")
    review = ward.desk.close(1, QUALITY, "logger_lost")
    assert (review.standing.state, review.running, review.ending) == (ReviewState.CLOSED, False, "logger_lost")
    assert review.records[-1].document == {"ending": "logger_lost"}


def test_records_are_corrected_by_new_ones(ward: Ward) -> None:
    ward.desk.comment(1, NURSE, "the lid was shut")
    with pytest.raises(NotYoursError):
        ward.desk.comment(1, DOCTOR, "no", corrects=1)
    with pytest.raises(InputError, match="corrects"):
        ward.desk.comment(1, NURSE, "no", corrects=9)
    review = ward.desk.comment(1, NURSE, "the lid was open", corrects=1)
    assert [(one.document["text"], one.corrects) for one in review.records] == [
        ("the lid was shut", None),
        ("the lid was open", 1),
    ]
    with pytest.raises(NotNowError, match="corrected already"):
        ward.desk.comment(1, NURSE, "again", corrects=1)
    ward.desk.acknowledge(1, DOCTOR)
    ward.desk.begin(1, DOCTOR)
    first = ward.desk.conclude(1, DOCTOR, "delay", "none").records[-1]
    with pytest.raises(NotNowError, match="correct that one"):
        ward.desk.conclude(1, DOCTOR, "box_open", "none")
    assert ward.desk.conclude(1, DOCTOR, "box_open", "none", corrects=first.id).records[-1].corrects == first.id


@sqlite_only
def test_identities_stay_out(ward: Ward) -> None:
    with pytest.raises(InputError, match="identity"):
        ward.desk.comment(1, NURSE, "15076500565 was at home")


def test_a_breach_is_given_to_somebody_who_exists(ward: Ward, store: Store) -> None:
    with pytest.raises(InputError, match="no account"):
        ward.desk.assign(1, QUALITY, "kari")
    accounts = Accounts(store, lambda: NOW_MS, lambda: NOW_MS)
    accounts.add("kari", "Kari", [Role.QUALITY], "test", identity=Identity("https://login.example", "kari"))
    assert ward.desk.assign(1, QUALITY, "kari").standing.assigned_to == "kari"


def test_late_data_closes_what_nobody_is_at_and_leaves_what_somebody_is(ward: Ward) -> None:
    ward.judge((10, 30), (40, 50))
    ward.desk.acknowledge(2, DOCTOR)
    ward.desk.begin(2, DOCTOR)
    ward.judge()
    states = [ward.desk.review(number).standing.state for number in (1, 2)]
    assert states == [ReviewState.CLOSED, ReviewState.IN_REVIEW]
    assert ward.desk.review(1).records[-1].document == {"reason": "superseded"}
    ward.judge((10, 30), (40, 50))
    assert ward.desk.review(1).standing.state is ReviewState.OPEN
    events = [record.event for record in ward.desk.review(2).records]
    assert events[-2:] == [ReviewEvent.WITHDRAW, ReviewEvent.RESTORE]


def test_the_broken_rule_is_kept_as_it_was(store: Store) -> None:
    with store.read() as connection:
        assert read_rule(connection, "potassium", 1, "warm") is None
        limits = next(p for p in map(profiles.load, profiles.names()) if p.limits)
        kept = read_rule(connection, limits.id, limits.version, limits.limits[0].name)
        other = read_rule(connection, limits.id, limits.version + 1, limits.limits[0].name)
    assert other is None
    assert kept is not None
    assert json.loads(kept)["name"] == limits.limits[0].name


def test_lists_are_edited_on_record_and_retired_entries_are_offered_no_more(ward: Ward, store: Store) -> None:
    choices = Choices(store, lambda: NOW_MS)
    choices.put(ChoiceList.CAUSE, Choice(code="flood", en="Flood", nb="Flom"), "quality", "it happens")
    choices.put(ChoiceList.CAUSE, Choice(code="delay", en="Late", nb="Sent", retired=True), "quality")
    ward.desk.acknowledge(1, DOCTOR)
    ward.desk.begin(1, DOCTOR)
    with pytest.raises(InputError, match="cause"):
        ward.desk.conclude(1, DOCTOR, "delay", "none")
    ward.desk.conclude(1, DOCTOR, "flood", "none")
    with store.read() as connection:
        rows = connection.execute(select(schema.audit).where(schema.audit.c.act == "edit_choice").order_by("id")).all()
    assert [(row.subject, row.old is None, row.reason) for row in rows] == [
        ("choice cause/flood", True, "it happens"),
        ("choice cause/delay", False, ""),
    ]
