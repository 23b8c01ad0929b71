"""Profiles by their pages: read, tried on past trips without storing anything, registered, approved."""

from __future__ import annotations

import re

import pytest

from gateway import profiles as library
from gateway.hub.access.roles import Role
from gateway.hub.judgement.verdict_history import read_versions
from gateway.hub.rooms import Rooms
from gateway.language import ENGLISH, NORWEGIAN
from gateway.language.names import say_name
from gateway.language.profiles import say_profile
from tests.hub.setup.forms import PASSWORD, Visitor, faults_of, value_of, words_of
from tests.hub.vans import sqlite_only

EDIT = "/setup/profiles/edit"


@pytest.mark.parametrize("name", library.names())
def test_every_profile_of_the_library_is_said_and_written_in_both_languages(name: str) -> None:
    profile = library.load(name)
    assert library.read_profile(library.write_toml(profile), name) == profile
    assert library.read_profile(library.with_version(library.text_of(name), 12), name).version == 12
    english, norwegian = (dict(say_profile(profile, speech)) for speech in (ENGLISH, NORWEGIAN))
    assert len(english) == len(norwegian)
    rules = [*profile.bands, *profile.lives, *profile.limits, *profile.forbidden]
    for said, speech in ((english, ENGLISH), (norwegian, NORWEGIAN)):
        text = " ".join(" ".join(sentences) for sentences in said.values())
        assert all(say_name(rule.name, speech) in text for rule in rules)
        assert "{" not in text


async def test_a_draft_is_tried_on_past_trips_and_nothing_is_stored(rooms: Rooms, visitor: Visitor) -> None:
    shown = await visitor.get(f"{EDIT}?id=potassium")
    text = value_of(shown, "text")
    assert "version = 2" in text
    drafted = re.sub(r"(below_c|from_c) = [0-9.]+", r"\1 = 1", text)
    answer = await visitor.send(EDIT, {"base": "potassium", "text": drafted, "count": "5", "trips": ""})
    page = words_of(answer)
    assert answer.status_code == 200, page
    assert "1 verdict of 1 would be another. Nothing is stored." in page, page
    assert "SEND-1 · TUBE-1 · K" in page
    assert "Draft, version 2" in page
    same = words_of(await visitor.send(EDIT, {"base": "potassium", "text": text, "trips": "SEND-1", "count": ""}))
    assert "1 verdict would be the same." in same
    assert rooms.registry.profile("potassium") == library.load("potassium")
    with rooms.store.read() as connection:
        assert len(read_versions(connection, "SEND-1", "TUBE-1", "K")) == 1
    assert visitor.acts("register") == [entry for entry in visitor.acts("register") if "profile" not in entry[1]]


@sqlite_only
async def test_faults_of_a_draft_are_named_by_line_and_field(rooms: Rooms, visitor: Visitor) -> None:
    text = value_of(await visitor.get(f"{EDIT}?id=potassium"), "text")
    for wrong, said in (
        (text.replace('kind = "sample"', 'kind = "sampel"'), "kind"),
        (text.replace("version = 2", "version = 1"), "There is a version 1 already: write a higher one."),
        (
            text.replace("version = 2", 'version = 2\nstatus = "approved"', 1).replace('\nstatus = "example"', ""),
            "approv",
        ),
        (text + "\n[[", "toml"),
        ('{"id": "x"}', "title"),
        (text.replace('owner = "', 'owner = "01010750160 '), "national identity number"),
        ("", "There is nothing in it."),
    ):
        answer = await visitor.send(EDIT, {"base": "potassium", "text": wrong, "save": "1"})
        assert answer.status_code == 422, said
        assert said in words_of(answer)
    binary = await visitor.send(EDIT, {"base": "potassium", "text": ""}, file=("mine.toml", b"\xff\xfe"))
    assert "not UTF-8" in words_of(binary)
    assert rooms.registry.profile("potassium") == library.load("potassium")


async def test_a_version_is_registered_and_then_approved_by_who_answers_for_it(rooms: Rooms, visitor: Visitor) -> None:
    text = value_of(await visitor.get(f"{EDIT}?id=potassium"), "text")
    saved = await visitor.send(EDIT, {"base": "potassium", "save": "1"}, file=("mine.toml", text.encode()))
    assert (saved.status_code, saved.headers["location"]) == (303, "/setup/profiles/one?id=potassium&done=saved")
    newest = rooms.registry.profile("potassium")
    assert newest is not None
    assert (newest.version, newest.status) == (2, "example")
    form = {"id": "potassium", "version": "2", "owner": "Laboratory of the county", "password": PASSWORD}
    assert (await visitor.send("/setup/profiles/approve", form)).status_code == 403
    visitor.be(Role.PHARMACIST)
    other = await visitor.send("/setup/profiles/approve", form)
    assert "approved by somebody else" in words_of(other)
    visitor.be(Role.LABORATORY_DOCTOR)
    assert "Approve this version" in words_of(await visitor.get("/setup/profiles/one?id=potassium"))
    unproven = await visitor.send("/setup/profiles/approve", form | {"password": "guessed wrongly"})
    assert list(faults_of(unproven)) == ["password"]
    assert rooms.registry.profile("potassium") == newest
    done = await visitor.send("/setup/profiles/approve", form)
    assert done.status_code == 303, words_of(done)
    approved = rooms.registry.profile("potassium")
    assert approved is not None
    assert approved.approval is not None
    assert (approved.version, approved.status, approved.owner) == (3, "approved", "Laboratory of the county")
    assert (approved.approval.by, approved.approval.role) == ("The laboratory_doctor", "laboratory_doctor")
    assert approved.limits == newest.limits
    assert visitor.acts("approve") == [("laboratory_doctor", "profile potassium", "")]
    again = await visitor.send("/setup/profiles/approve", form)
    assert "there is another version meanwhile" in words_of(again)
    page = words_of(await visitor.get("/setup/profiles/one?id=potassium"))
    assert "approved locally" in page
    assert "Approve this version" not in page
    assert "example" in words_of(await visitor.get("/setup/profiles/one?id=potassium&version=2"))
    assert "status : example → approved" in page


@sqlite_only
async def test_the_list_is_narrowed_and_read_in_norwegian(visitor: Visitor) -> None:
    page = words_of(await visitor.get("/setup/profiles?q=potassium&status=example"))
    assert "potassium" in page
    assert "carfilzomib" not in page
    assert "Nothing matches." in words_of(await visitor.get("/setup/profiles?status=approved"))
    shown = words_of(await visitor.get("/setup/profiles/one?id=carfilzomib", **{"Accept-Language": "nb"}))
    assert "24 t ved 2 til 8 °C eller 4 t ved 8 til 25 °C" in shown
    assert (await visitor.get("/setup/profiles/one?id=none")).status_code == 404
