"""Accounts, tokens and the lists of choices, by their pages."""

from __future__ import annotations

import pytest

from gateway.hub.access.accounts import LoginRefusedError
from gateway.hub.access.roles import Right, Role
from gateway.hub.review.choices import ChoiceList
from gateway.hub.rooms import Rooms
from tests.hub.setup.forms import PASSWORD, Visitor, faults_of, value_of, words_of
from tests.hub.vans import sqlite_only

NEW = {"name": "kari", "printed_name": "Kari Nordmann", "password": " ni rolige rein ", "again": " ni rolige rein "}


async def test_an_account_is_made_changed_disabled_and_brought_back(rooms: Rooms, visitor: Visitor) -> None:
    answer = await visitor.send("/setup/people/new", {**NEW, "roles": ["receiver", "quality"]})
    assert answer.status_code == 303, faults_of(answer)
    assert rooms.accounts.check("kari", NEW["password"]).roles == {Role.RECEIVER, Role.QUALITY}
    changed = {"name": "kari", "printed_name": "Kari N.", "roles": ["receiver"], "reason": "left quality"}
    assert (await visitor.send("/setup/people/change", changed)).status_code == 303
    assert ("administrator", "user kari", "left quality") in visitor.acts("change_user")
    set_anew = {"name": "kari", "password": "syv snille sauer", "again": "syv snille sauer"}
    assert (await visitor.send("/setup/people/password", set_anew)).status_code == 303
    assert rooms.accounts.check("kari", "syv snille sauer").printed_name == "Kari N."
    unsaid = await visitor.send("/setup/people/switch", {"name": "kari", "disable": "1", "why": ""})
    assert faults_of(unsaid) == {"why": "This is missing."}
    await visitor.send("/setup/people/switch", {"name": "kari", "disable": "1", "why": "has left"})
    with pytest.raises(LoginRefusedError):
        rooms.accounts.check("kari", "syv snille sauer")
    assert "disabled" in words_of(await visitor.get("/setup/people?q=kari"))
    await visitor.send("/setup/people/switch", {"name": "kari", "why": ""})
    assert rooms.accounts.check("kari", "syv snille sauer").roles == {Role.RECEIVER}


@sqlite_only
async def test_faults_stand_at_their_fields_and_passwords_are_never_repeated(visitor: Visitor) -> None:
    wrong = {"name": "receiver", "printed_name": "01010750160", "password": "secret-kept-away", "again": "other"}
    answer = await visitor.send("/setup/people/new", wrong)
    assert answer.status_code == 422
    found = faults_of(answer)
    assert sorted(found) == ["again", "name", "printed_name", "roles"]
    assert (value_of(answer, "name"), "secret-kept-away" in answer.text) == ("receiver", False)
    weak = {**NEW, "password": "kari kari kari", "again": "kari kari kari", "roles": ["driver"]}
    assert list(faults_of(await visitor.send("/setup/people/new", weak))) == ["password"]
    short = {"name": "driver", "password": "short", "again": "short"}
    assert list(faults_of(await visitor.send("/setup/people/password", short))) == ["password"]


@sqlite_only
async def test_nobody_shuts_themselves_out(rooms: Rooms, visitor: Visitor) -> None:
    mine = {"name": "administrator", "printed_name": "The administrator", "roles": ["driver"]}
    assert list(faults_of(await visitor.send("/setup/people/change", mine))) == ["roles"]
    off = await visitor.send("/setup/people/switch", {"name": "administrator", "disable": "1", "why": "tired"})
    assert list(faults_of(off)) == ["why"]
    assert rooms.accounts.check("administrator", PASSWORD).roles == {Role.ADMINISTRATOR}


async def test_a_token_is_listed_and_revoked(rooms: Rooms, visitor: Visitor) -> None:
    token, secret = rooms.api_tokens.make("receiver", "laboratory system", [Right.LOOK_UP], 30, "test")
    assert "laboratory system look_up" in words_of(await visitor.get("/setup/people/one?name=receiver"))
    other = await visitor.send("/setup/people/token", {"name": "nurse", "token": str(token.id)})
    assert other.status_code == 404
    assert rooms.api_tokens.find(secret) is not None
    done = await visitor.send("/setup/people/token", {"name": "receiver", "token": str(token.id)})
    assert done.status_code == 303
    assert rooms.api_tokens.find(secret) is None


async def test_a_list_of_choices_is_edited(rooms: Rooms, visitor: Visitor) -> None:
    visitor.be(Role.QUALITY)
    entry = {"list": "cause", "code": "ferry", "en": "Ferry cancelled", "nb": "Fergen innstilt", "reason": "winter"}
    assert (await visitor.send("/setup/choices/edit", entry)).status_code == 303
    assert ("quality", "choice cause/ferry", "winter") in visitor.acts("edit_choice")
    again = await visitor.send("/setup/choices/edit", entry)
    assert faults_of(again) == {"code": "This list has an entry of this code already."}
    bad = await visitor.send("/setup/choices/edit", {**entry, "code": "no such", "nb": ""})
    assert sorted(faults_of(bad)) == ["code", "nb"]
    retired = {"list": "cause", "known": "ferry", "en": "Ferry cancelled", "nb": "Fergen innstilt", "retired": "1"}
    assert (await visitor.send("/setup/choices/edit", retired)).status_code == 303
    assert [one.retired for one in rooms.choices.all()[ChoiceList.CAUSE] if one.code == "ferry"] == [True]
    assert "Fergen innstilt offered no more" in words_of(await visitor.get("/setup/choices"))
    visitor.be(Role.INSPECTOR)
    assert (await visitor.get("/setup/choices")).status_code == 403
