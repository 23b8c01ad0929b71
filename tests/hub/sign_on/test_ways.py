"""A way to the provider and back: used once, by its own browser, and it gives nothing away."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import select

from gateway.hub.access import sign_on as sign_on_module
from gateway.hub.database.schema import sign_ons
from tests.hub.sign_on.hubs import Hub
from tests.hub.vans import sqlite_only
from tests.servers.identity_provider import SECRET, Provider


async def test_a_way_is_used_once_and_by_its_own_browser(hub: Hub) -> None:
    answer = await hub.leave()
    async with httpx.AsyncClient(timeout=60) as other:
        stolen = await other.get(answer.headers["location"])
        assert stolen.status_code == 400
        assert "another window" in stolen.text
    cookie = hub.http.cookies["coldchain-sign-on"]
    assert (await hub.http.get(answer.headers["location"])).status_code == 303
    hub.http.cookies.set("coldchain-sign-on", cookie, domain="127.0.0.1")
    again = await hub.http.get(answer.headers["location"])
    assert again.status_code == 400
    with hub.rooms.store.read() as connection:
        assert connection.execute(select(sign_ons)).all() == []


async def test_a_way_that_took_too_long_is_over(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = await hub.leave()
    monkeypatch.setattr(sign_on_module, "WAY_MS", 0)
    assert (await hub.http.get(answer.headers["location"])).status_code == 400


@sqlite_only
async def test_a_code_is_good_once_and_for_this_hub(hub: Hub) -> None:
    answer = await hub.leave()
    used = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    await hub.http.get(answer.headers["location"])
    other = await hub.leave()
    code = parse_qs(urlsplit(other.headers["location"]).query)["code"][0]
    replayed = await hub.http.get(other.headers["location"].replace(code, used))
    assert replayed.status_code == 503  # the provider answers 400
    injected = await hub.leave()  # a code of another way has another verifier
    mine = parse_qs(urlsplit(injected.headers["location"]).query)["code"][0]
    assert (await hub.http.get(injected.headers["location"].replace(mine, code))).status_code == 503


@sqlite_only
async def test_nothing_that_is_secret_is_stored_shown_or_logged(
    hub: Hub, quiet: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    there = await hub.http.get("/login/sign-on")
    asked = parse_qs(urlsplit(there.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    with hub.rooms.store.read() as connection:
        stored = repr(connection.execute(select(sign_ons)).all())
    assert len(stored) > 50
    browser = hub.http.cookies["coldchain-sign-on"]
    for secret in (asked["state"][0], asked["nonce"][0], browser):
        assert secret not in stored
    assert browser not in there.headers["location"]
    quiet.set(mood="wrong aud")
    refused = await hub.sign_in()
    said = caplog.text + refused.text + repr(hub.rooms.settings) + there.headers["location"]
    assert "TokenError" in caplog.text
    assert SECRET not in said
    assert "kari-1" not in caplog.text


@sqlite_only
@pytest.mark.parametrize("way", ["https://evil.example/", "//evil.example", "/\\evil.example"])
async def test_the_way_back_stays_here(hub: Hub, way: str) -> None:
    there = await hub.http.get("/login/sign-on", params={"next": way})
    answer = await hub.http.get(there.headers["location"])
    assert (await hub.http.get(answer.headers["location"])).headers["location"] == "/"
