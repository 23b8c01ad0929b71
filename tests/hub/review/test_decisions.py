from __future__ import annotations

from datetime import UTC

import pytest

from gateway.core.errors import InputError
from gateway.hub.breaches.lifecycle import NotNowError
from gateway.hub.database.store import Store
from gateway.hub.judgement.verdict_history import read_versions
from gateway.hub.notification.facts import read_story
from gateway.hub.notification.policies import DEFAULTS, REQUESTER, Subject, choose_policy
from gateway.hub.notification.wording import say_alert
from gateway.hub.review.competence import NotYoursError
from gateway.hub.review.decisions import Course, Decisions, NewDecision, UnknownItemError
from gateway.hub.signals.alerts import AlertKind, read_open
from gateway.language import Language, speech_of
from tests.hub.review.reviewing import DOCTOR, PHARMACIST, RECEIVER, Ward
from tests.hub.samples import NOW_MS

HOLD = NewDecision(choice=Course.HOLD, seen={"K": 1}, comment="call the requester")


@pytest.fixture
def decisions(store: Store) -> Decisions:
    return Decisions(store, lambda: NOW_MS)


def test_a_decision_keeps_what_was_seen_and_leaves_the_verdict(store: Store, decisions: Decisions) -> None:
    ward = Ward(store)
    ward.judge((10, 30))
    made = decisions.decide("C-1", "T-1", HOLD, RECEIVER)
    assert (made.choice, made.in_force, made.current) == ("hold", True, True)
    assert (made.seen["K"]["version"], made.seen["K"]["verdict"], len(made.seen["K"]["hash"])) == (1, "reject", 64)
    with store.read() as connection:
        assert [one.judgement.verdict for one in read_versions(connection, "C-1", "T-1", "K")] == ["reject"]
    ward.judge((10, 30), (40, 50))
    (listed,) = decisions.of("C-1")
    assert not listed.current
    with pytest.raises(NotNowError, match="look again"):
        decisions.decide("C-1", "T-1", HOLD.model_copy(update={"corrects": 1}), RECEIVER)


def test_a_later_decision_names_the_one_it_replaces(store: Store, decisions: Decisions) -> None:
    Ward(store).judge((10, 30))
    decisions.decide("C-1", "T-1", HOLD, RECEIVER)
    rejection = NewDecision(choice=Course.REJECT, seen={"K": 1}, reason="RR")
    with pytest.raises(NotNowError, match="corrects"):
        decisions.decide("C-1", "T-1", rejection, DOCTOR)
    decisions.decide("C-1", "T-1", rejection.model_copy(update={"corrects": 1}), DOCTOR)
    assert [(one.choice, one.in_force) for one in decisions.of("C-1", "T-1")] == [("hold", False), ("reject", True)]


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (NewDecision(choice=Course.RECEIVE, seen={"K": 1}), "comment"),
        (NewDecision(choice=Course.HOLD, seen={"K": 1}), "comment"),
        (NewDecision(choice=Course.REJECT, seen={"K": 1}), "reason"),
        (NewDecision(choice=Course.REJECT, seen={"K": 1}, reason="XX"), "reason"),
        (NewDecision(choice=Course.HOLD, seen={"K": 1}, comment="for 15076500565"), "comment"),
        (NewDecision(choice=Course.HOLD, seen={"K": 1}, comment="call", new_sample=True), "new_sample"),
    ],
)
def test_words_that_are_needed(store: Store, decisions: Decisions, new: NewDecision, field: str) -> None:
    Ward(store).judge((10, 30))
    with pytest.raises(InputError) as caught:
        decisions.decide("C-1", "T-1", new, RECEIVER)
    assert caught.value.field == field
    assert decisions.of("C-1") == []


def test_only_a_pharmacist_decides_about_a_medicine(store: Store, decisions: Decisions) -> None:
    Ward(store, "medicine").judge((10, 30))
    for other in (RECEIVER, DOCTOR):
        with pytest.raises(NotYoursError, match="pharmacist"):
            decisions.decide("C-1", "T-1", HOLD, other)
    assert decisions.decide("C-1", "T-1", HOLD, PHARMACIST).who == PHARMACIST.name


def test_a_pharmacist_does_not_decide_about_a_sample(store: Store, decisions: Decisions) -> None:
    Ward(store).judge((10, 30))
    with pytest.raises(NotYoursError, match="laboratory doctor"):
        decisions.decide("C-1", "T-1", HOLD, PHARMACIST)
    with pytest.raises(UnknownItemError):
        decisions.decide("C-1", "T-9", HOLD, RECEIVER)


def test_a_new_sample_is_asked_of_its_requester_until_the_decision_is_another(
    store: Store, decisions: Decisions
) -> None:
    Ward(store).judge((10, 30))
    decisions.decide(
        "C-1", "T-1", NewDecision(choice=Course.REJECT, seen={"K": 1}, reason="RR", new_sample=True), DOCTOR
    )
    with store.read() as connection:
        (asked,) = read_open(connection, AlertKind.NEW_SAMPLE)
        story = read_story(connection, asked.id)
    assert (story.facts.subject, story.item) == (Subject.REQUEST, "T-1")
    assert choose_policy(DEFAULTS, story.facts, UTC).steps[0].to == (REQUESTER,)  # type: ignore[union-attr]  # one fits
    said = say_alert(story, speech_of(Language.NB))
    assert said.title == "Ny prøve ønskes: T-1 i C-1"
    assert "Feil oppbevaring eller transport" in said.text
    decisions.decide("C-1", "T-1", HOLD.model_copy(update={"corrects": 1}), DOCTOR)
    with store.read() as connection:
        assert read_open(connection, AlertKind.NEW_SAMPLE) == []


def test_nobody_is_asked_for_a_new_dose(store: Store, decisions: Decisions) -> None:
    Ward(store, "medicine").judge((10, 30))
    asked = NewDecision(choice=Course.REJECT, seen={"K": 1}, reason="RR", new_sample=True)
    with pytest.raises(InputError, match="a sample is rejected"):
        decisions.decide("C-1", "T-1", asked, PHARMACIST)


def test_what_was_never_judged_is_not_decided(store: Store, decisions: Decisions) -> None:
    Ward(store)
    with pytest.raises(NotNowError, match="judged"):
        decisions.decide("C-1", "T-1", HOLD, RECEIVER)
