from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from gateway.core.profiles import Kind
from gateway.hub.notification.hours import Hours
from gateway.hub.notification.planner import MINUTE_MS, plan
from gateway.hub.notification.policies import DEFAULTS, Facts, Policy, Step, Subject, choose_policy
from gateway.hub.notification.recipients import Channel, Recipient

NIGHT_MS = 1_792_879_200_000  # 2026-10-24 22:00 UTC, midnight in Oslo
OSLO = ZoneInfo("Europe/Oslo")


def recipient(name: str, *duties: str, channels: Sequence[str] = ("mail",), **more: object) -> Recipient:
    made = tuple(Channel(id=each, url=SecretStr("mailto:a@b.c")) for each in channels)
    return Recipient.model_validate({"name": name, "duties": duties, "channels": made, **more})


ALL = [
    recipient("NURSE-3"),
    recipient("PHARMACY", "pharmacy-on-call", channels=("mail", "sms")),
    recipient("LAB-A", "laboratory", places=("LAB-A",)),
    recipient("LAB-B", "laboratory", places=("LAB-B",)),
    recipient("QA", "quality-on-call", quiet=[{"begins": "22:00", "ends": "07:00"}]),
    recipient("DISPATCH", "dispatcher"),
    recipient("TECH", "technician", quiet=[{"begins": "22:00", "ends": "07:00"}]),
]
SAMPLE = Facts(
    alert=1,
    subject=Subject.TEMPERATURE,
    created_at_ms=NIGHT_MS,
    kind=Kind.SAMPLE,
    requester="NURSE-3",
    receiver="LAB-A",
    places=frozenset({"NURSE-3", "LAB-A", "van-1", "BOX-1"}),
)
MEDICINE = replace(SAMPLE, kind=Kind.MEDICINE)


def told(facts: Facts, known: Sequence[Recipient] = ALL, **more: object) -> list[tuple[str, int]]:
    """Who is told after how many minutes."""
    policy = choose_policy(DEFAULTS, facts, OSLO)
    planned = plan(facts, policy, {one.name: one for one in known}, **more)  # type: ignore[arg-type]  a test's shorthand
    return [(f"{one.recipient} {one.channel}", (one.due_ms - NIGHT_MS) // MINUTE_MS) for one in planned]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        # The requesting nurse first, then the laboratory that awaits it, then quality. At night too: it cannot wait.
        (SAMPLE, [("NURSE-3 mail", 0), ("LAB-A mail", 10), ("QA mail", 30)]),
        (MEDICINE, [("PHARMACY mail", 0), ("PHARMACY sms", 0), ("LAB-A mail", 10), ("QA mail", 30)]),
        # Nobody knows who asked for it: the laboratory does not wait for nobody.
        (replace(SAMPLE, requester=None), [("LAB-A mail", 0), ("QA mail", 20)]),
        (
            replace(SAMPLE, requester="GONE", receiver="LAB-B", places=frozenset({"LAB-B"})),
            [("LAB-B mail", 0), ("QA mail", 20)],
        ),
        (replace(SAMPLE, subject=Subject.MISSING), [("DISPATCH mail", 0), ("LAB-A mail", 20)]),
        (
            replace(SAMPLE, subject=Subject.WORSENED),
            [("LAB-A mail", 0), ("NURSE-3 mail", 0), ("PHARMACY mail", 10), ("PHARMACY sms", 10), ("QA mail", 10)],
        ),
        # A fault of a gateway can wait for the morning.
        (replace(SAMPLE, subject=Subject.TECHNICAL), [("TECH mail", 8 * 60), ("QA mail", 8 * 60)]),
        (replace(SAMPLE, kind=Kind.STORAGE), [("LAB-A mail", 0), ("QA mail", 20)]),
    ],
)
def test_who_is_told_and_when(facts: Facts, expected: list[tuple[str, int]]) -> None:
    assert told(facts) == expected


def test_what_is_acknowledged_is_escalated_to_nobody() -> None:
    assert told(SAMPLE, acknowledged=True) == [("NURSE-3 mail", 0)]


def test_a_retraction_goes_to_whoever_heard_of_it() -> None:
    facts = replace(SAMPLE, subject=Subject.RETRACTION)
    assert told(facts, told=frozenset({"NURSE-3", "GONE"})) == [("NURSE-3 mail", 0)]
    assert told(facts) == []


def test_an_alert_that_no_policy_brings_to_anybody_goes_to_whoever_there_is() -> None:
    assert told(SAMPLE, [recipient("QA", "quality-on-call")]) == [("QA mail", 0)]
    assert told(SAMPLE, [recipient("X", "other"), recipient("Y", channels=())]) == [("X mail", 0)]
    assert told(SAMPLE, [recipient("X", enabled=False)]) == []
    assert told(SAMPLE, []) == []


def test_each_channel_is_used_once() -> None:
    both = recipient("NURSE-3", "laboratory", "quality-on-call")
    assert told(SAMPLE, [both]) == [("NURSE-3 mail", 0)]


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"kinds": ["medicine"]}, False),
        ({"kinds": ["medicine", "sample"]}, True),
        ({"places": ["van-1"]}, True),
        ({"places": ["van-2"]}, False),
        ({"subjects": ["missing"]}, False),
        ({"hours": [{"begins": "22:00", "ends": "06:00"}]}, True),
        ({"hours": [{"begins": "08:00", "ends": "16:00"}]}, False),
    ],
)
def test_the_first_policy_that_fits_decides(changes: dict[str, object], fits: bool) -> None:  # noqa: FBT001  expected
    own = Policy.model_validate({"name": "own", "order": 1, "steps": [{"to": ["DISPATCH"]}], **changes})
    chosen = choose_policy([*DEFAULTS, own], SAMPLE, OSLO)
    assert chosen is not None
    assert chosen.name == ("own" if fits else "samples")


def test_steps_come_one_after_the_other() -> None:
    with pytest.raises(ValidationError, match="each comes later"):
        Policy(name="p", steps=(Step(after_min=5, to=("a",)), Step(after_min=5, to=("b",))))


names = st.sampled_from([one.name for one in ALL])
targets = st.sampled_from(["@requester", "@receiver", "laboratory", "pharmacy-on-call", "QA", "nobody"])
facts_of = st.builds(
    Facts,
    alert=st.just(1),
    subject=st.sampled_from([subject for subject in Subject if subject is not Subject.RETRACTION]),
    created_at_ms=st.integers(NIGHT_MS, NIGHT_MS + 86_400_000),
    kind=st.sampled_from(Kind),
    requester=st.none() | names,
    receiver=st.none() | names,
    places=st.frozensets(st.sampled_from(["LAB-A", "LAB-B", "van-1"])),
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    minutes = sorted(draw(st.sets(st.integers(0, 2880), min_size=1, max_size=5)))
    to = st.lists(targets, min_size=1, max_size=4).map(tuple)
    steps = tuple(Step(after_min=after, to=draw(to)) for after in minutes)
    return Policy(name="p", steps=steps, can_wait=draw(st.booleans()))


@given(facts_of, policies(), st.lists(st.sampled_from(ALL), unique=True, min_size=1))
def test_somebody_is_always_told_and_whoever_cannot_wait_at_once(
    facts: Facts, policy: Policy, known: list[Recipient]
) -> None:
    planned = plan(facts, policy, {one.name: one for one in known})
    assert planned
    assert len({(one.recipient, one.channel) for one in planned}) == len(planned)
    assert all(one.due_ms >= facts.created_at_ms for one in planned)
    assert planned[0].step == 0
    if not policy.can_wait:
        assert planned[0].due_ms == facts.created_at_ms
        assert [one.due_ms for one in planned] == sorted(one.due_ms for one in planned)
    acknowledged = plan(facts, policy, {one.name: one for one in known}, acknowledged=True)
    assert set(acknowledged) <= set(planned)
    assert {one.step for one in acknowledged} == {0}


def test_quiet_hours_are_the_recipients() -> None:
    owl = recipient("OWL", "technician", quiet=[Hours(begins=time(6), ends=time(15))])
    assert told(replace(SAMPLE, subject=Subject.TECHNICAL), [owl]) == [("OWL mail", 0)]
