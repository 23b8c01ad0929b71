"""Recipients, policies and messages as pages. Addresses and secrets go in and never come out."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import insert, select

from gateway.hub.access.roles import Role
from gateway.hub.database import schema
from gateway.hub.notification.directory import Directory
from gateway.hub.notification.policies import DEFAULTS, Policy
from gateway.hub.notification.recipients import Recipient
from gateway.hub.rooms import Rooms
from gateway.hub.web.setup import notification
from gateway.hub.web.setup.policy_words import say_hours, say_policy
from gateway.language.speech import ENGLISH, NORWEGIAN, plain
from tests.hub.samples import NOW_MS
from tests.hub.setup.forms import Visitor, faults_of, value_of, words_of
from tests.hub.vans import sqlite_only

EDIT = "/setup/notification/edit"
URL, SECRET = "https://alerts.hospital.example/in?key=kept-apart", "0123456789abcdef0123456789abcdef"
FORM = {
    "name": "PHARMACY",
    "duties": "pharmacy-on-call, ward",
    "language": "nb",
    "zone": "Europe/Oslo",
    "messages": "5",
    "window_min": "10",
    "enabled": "1",
    "channel2_id": "board",
    "channel2_url": URL,
    "channel2_secret": SECRET,
    "quiet1_begins": "22:00",
    "quiet1_ends": "07:00",
    "quiet1_days": ["sat", "sun"],
}


WRONG: list[tuple[dict[str, str | list[str]], str, str]] = [
    ({"name": "a b"}, "name", "A code has"),
    ({"name": "OTHER"}, "name", "already"),
    ({"zone": "Europe/Atlantis"}, "zone", "no time zone"),
    ({"messages": "0"}, "messages", "from 1 to 100"),
    ({"language": "sv"}, "language", "offered"),
    ({"channel2_id": "Not One"}, "channel2_id", "small letters"),
    ({"channel2_id": ""}, "channel2_id", "needs a name"),
    ({"channel2_secret": "short"}, "channel2_secret", "at least 24"),
    ({"channel2_url": ""}, "channel2_url", "needs an address"),
    ({"channel2_url": "http://127.0.0.1/in?key=kept-apart"}, "channel2_url", ""),
    ({"channel2_url": f"https://x.example/{'a' * 2000}"}, "channel2_url", "At most 2000"),
    ({"channel4_id": "board", "channel4_url": URL}, "channel1_id", "the same name"),
    ({"quiet1_ends": ""}, "quiet1_begins", "from when until when"),
    ({"quiet1_days": ["funday"]}, "quiet1_begins", "from when until when"),
    ({"duties": " ".join(f"D-{n}" for n in range(21))}, "duties", "too many"),
]


POLICY = "/setup/notification/policy"
RULE = {
    "name": "at-night",
    "order": "5",
    "subjects": ["temperature"],
    "kinds": ["sample"],
    "places": "WARD-3",
    "quiet1_begins": "22:00",
    "quiet1_ends": "07:00",
    "step1_asked": ["requester"],
    "step2_after": "15",
    "step2_to": "quality-on-call, PHARMACY",
    "can_wait": "1",
}
WRONG_RULES: list[tuple[dict[str, str | list[str]], str, str]] = [
    ({"name": "At Night"}, "name", "small letters"),
    ({"name": "samples"}, "name", "already"),
    ({"order": "soon"}, "order", "not a number"),
    ({"subjects": ["weather"]}, "subjects", "offered"),
    ({"quiet1_ends": ""}, "quiet1_begins", "from when until when"),
    ({"step2_after": ""}, "step2_after", "missing"),
    ({"step2_after": "0"}, "step2_after", "later than the one before"),
    ({"step2_to": ""}, "step2_to", "who is told then"),
    ({"step1_asked": [], "step2_to": "", "step2_after": ""}, "step1_to", "who is told first"),
    ({"step2_to": " ".join(f"D-{n}" for n in range(21))}, "step2_to", "too many"),
    ({"places": 'a"b'}, "places", "A code has"),
]


async def test_a_policy_is_written_changed_and_set_back(rooms: Rooms, visitor: Visitor) -> None:
    def known() -> dict[str, Policy]:
        directory = Directory(rooms.store, rooms.settings.notification, rooms.clock.now_ms)
        return {one.name: one for one in directory.policies()}

    answer = await visitor.send(POLICY, RULE)
    assert answer.headers["location"] == "/setup/notification?saved=at-night#policies"
    (first, second) = known()["at-night"].steps
    assert (first.after_min, first.to, second.after_min) == (0, ("@requester",), 15)
    assert second.to == ("quality-on-call", "PHARMACY")
    assert "at-night your own" in words_of(await visitor.get("/setup/notification"))
    page = await visitor.get(f"{POLICY}?name=samples")
    assert value_of(page, "step2_to") == "laboratory"
    assert "As it came with the hub" not in page.text
    changed = {"known": "samples", "order": "1010", "subjects": ["temperature", "time"], "kinds": ["sample"]}
    await visitor.send(POLICY, {**changed, "step1_to": "WARD-3"})
    assert [step.to for step in known()["samples"].steps] == [("WARD-3",)]
    assert "As it came with the hub" in (await visitor.get(f"{POLICY}?name=samples")).text
    for name in ("samples", "at-night"):
        await visitor.send(f"{POLICY}/remove", {"name": name})
    assert list(known().values()) == list(DEFAULTS)
    assert [subject for _, subject, _ in visitor.acts("remove")] == ["policy samples", "policy at-night"]
    assert (await visitor.get(f"{POLICY}?name=at-night")).status_code == 404


@pytest.mark.parametrize(("wrong", "field", "said"), WRONG_RULES)
async def test_a_policy_that_is_none_says_so_at_the_field(
    visitor: Visitor, wrong: dict[str, str | list[str]], field: str, said: str
) -> None:
    answer = await visitor.send(POLICY, {**RULE, **wrong})
    assert answer.status_code == 422
    assert said in faults_of(answer)[field]
    assert value_of(answer, "step1_after") == ""


def stored(rooms: Rooms) -> dict[str, Recipient]:
    directory = Directory(rooms.store, rooms.settings.notification, rooms.clock.now_ms)
    return {one.name: one for one in directory.recipients()}


def address_of(recipient: Recipient) -> tuple[str, str]:
    (channel,) = recipient.channels
    assert channel.url is not None
    assert channel.secret is not None
    return channel.url.get_secret_value(), channel.secret.get_secret_value()


async def test_a_recipient_is_registered_and_its_address_is_shown_to_nobody(rooms: Rooms, visitor: Visitor) -> None:
    assert "alerts reach nobody" in words_of(await visitor.get("/setup/notification"))
    done = await visitor.send(EDIT, FORM)
    assert (done.status_code, done.headers["location"]) == (303, "/setup/notification?saved=PHARMACY")
    known = stored(rooms)["PHARMACY"]
    assert known.duties == ("pharmacy-on-call", "ward")
    assert (say_hours(known.quiet, ENGLISH), address_of(known)) == ("22:00–07:00 (Sat and Sun)", (URL, SECRET))
    page, form = await visitor.get("/setup/notification"), await visitor.get(f"{EDIT}?name=PHARMACY")
    assert "board (https://alerts.hospital.example/…)" in words_of(page)
    assert "Known: messages are signed." in words_of(form)
    assert value_of(form, "channel1_id") == "board"
    with rooms.store.read() as connection:
        trail = str(connection.execute(select(schema.audit)).all())
    for text in (page.text, form.text, (await visitor.get("/audit")).text, trail):
        assert "kept-apart" not in text
        assert SECRET not in text
    assert visitor.acts("register")[-1] == ("administrator", "recipient PHARMACY", "new address or secret: board")


async def test_what_is_left_empty_stays_and_a_channel_without_a_name_goes(rooms: Rooms, visitor: Visitor) -> None:
    await visitor.send(EDIT, FORM)
    kept = {**FORM, "known": "PHARMACY", "channel1_id": "board", "enabled": "", "quiet1_begins": "", "quiet1_ends": ""}
    kept = {name: value for name, value in kept.items() if not name.startswith("channel2")}
    assert (await visitor.send(EDIT, kept)).status_code == 303
    known = stored(rooms)["PHARMACY"]
    assert (address_of(known), known.enabled, known.quiet) == ((URL, SECRET), False, ())
    assert "switched off" in words_of(await visitor.get("/setup/notification"))
    assert (await visitor.send(EDIT, {**kept, "channel1_id": ""})).status_code == 303
    assert stored(rooms)["PHARMACY"].channels == ()


@sqlite_only
async def test_what_is_wrong_stands_at_its_field_and_no_secret_comes_back(rooms: Rooms, visitor: Visitor) -> None:
    await visitor.send(EDIT, {**FORM, "name": "OTHER"})
    for changed, field, said in WRONG:
        refused = await visitor.send(EDIT, {**FORM, **changed})
        assert refused.status_code == 422, changed
        assert said in faults_of(refused)[field]
        assert SECRET not in refused.text
        assert "kept-apart" not in refused.text
    assert set(stored(rooms)) == {"OTHER"}


async def test_a_test_says_what_became_of_it_and_a_recipient_goes(
    rooms: Rooms, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await visitor.send(EDIT, FORM)
    monkeypatch.setattr(notification, "send_test", lambda one, _: {"board": "answers 503", "mail": ""} | {one.name: ""})
    tried = words_of(await visitor.send("/setup/notification/test", {"name": "PHARMACY"}))
    assert "board : answers 503" in tried
    assert "mail : taken" in tried
    assert (await visitor.send("/setup/notification/test", {"name": "NOBODY"})).status_code == 404
    done = await visitor.send("/setup/notification/remove", {"name": "PHARMACY"})
    assert (done.headers["location"], stored(rooms)) == ("/setup/notification?removed=PHARMACY", {})


async def test_messages_that_wait_or_failed_say_why(
    rooms: Rooms, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notification, "MESSAGES_SHOWN", 2)
    known = {"recipient": "PHARMACY", "channel": "board", "made_at_ms": NOW_MS, "due_ms": NOW_MS, "attempts": 3}
    with rooms.store.write() as connection:
        for uid, state, failure in (("1", "failed", "refused"), ("2", "waiting", "answers 503"), ("3", "failed", "no")):
            connection.execute(insert(schema.messages).values(uid=uid, state=state, failure=failure, **known))
    page = await visitor.get("/setup/notification")
    assert "answers 503" in words_of(page)
    assert "refused" not in words_of(page)
    older: httpx.Response = await visitor.get("/setup/notification?before=2")
    assert "given up 3 – refused" in words_of(older)
    assert "?before=2#messages" in page.text


@sqlite_only
async def test_it_is_for_those_who_set_up(visitor: Visitor) -> None:
    for role in Role:
        visitor.be(role)
        for path in ("/setup/notification", EDIT):
            assert (await visitor.get(path)).status_code == (200 if role is Role.ADMINISTRATOR else 403)


def test_policies_are_said_in_words() -> None:
    samples = say_policy(DEFAULTS[0], ENGLISH)
    assert (samples.origin, samples.fits) == (
        "comes with the hub",
        ["temperature and shelf life and deadlines", "Sample"],
    )
    assert samples.steps[0] == "At once: the requester"
    assert plain(samples.steps[1]) == "After 10 min, if nobody has acknowledged it: the receiver and the laboratory"
    assert say_policy(DEFAULTS[0], NORWEGIAN).steps[0] == "Med en gang: rekvirenten"
    assert say_policy(DEFAULTS[-1], ENGLISH).fits == []
    changed = DEFAULTS[0].model_copy(update={"order": 7})
    assert say_policy(changed, ENGLISH).origin == "comes with the hub, changed here"
    stated = {"name": "mine", "places": ["WARD-3"], "steps": [{"to": ["quality"]}], "can_wait": True}
    mine = say_policy(Policy.model_validate({**stated, "hours": [{"begins": "08:00", "ends": "08:00"}]}), ENGLISH)
    assert (mine.origin, mine.fits, mine.can_wait) == ("your own", ["from, to or with WARD-3", "all day"], True)
