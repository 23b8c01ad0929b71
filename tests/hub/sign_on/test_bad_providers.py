"""Providers that sign what nobody should believe, do not answer as they must, or are away."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.hub.access import provider as provider_module
from gateway.hub.access.provider import AT_ONCE
from gateway.hub.access.roles import Role
from tests.hub.sign_on.hubs import Hub, served
from tests.hub.vans import sqlite_only
from tests.servers.identity_provider import Provider
from tests.servers.ports import free_port

BAD = [
    *("wrong nonce", "no nonce", "wrong aud", "several aud", "wrong azp", "wrong iss", "expired", "no exp"),
    *("issued before", "from the future", "none", "HS256", "unpublished key", "unknown key", "no token"),
]
DOWN = [
    *("token fails", "token redirects", "token is huge", "token drips", "token hangs", "garbage", "mixed up", "no iss"),
]


@sqlite_only
@pytest.mark.parametrize("kind", ["RSA", "EC"])
async def test_no_bad_token_lets_anybody_in(hub: Hub, quiet: Provider, kind: str) -> None:
    for mood in BAD:
        quiet.set(mood=mood, kind=kind)
        refused = await hub.sign_in()
        assert refused.status_code == 403, mood
        assert "cannot be used here" in refused.text, mood
        assert (await hub.http.get("/api/v1/me")).status_code == 401, mood
        hub.http.cookies.clear()
    for mood in ("just expired", "right azp", "no kid"):
        quiet.set(mood=mood, kind=kind)
        assert (await hub.sign_in()).status_code == 303, mood


@sqlite_only
async def test_a_provider_that_does_not_answer_as_it_must(
    hub: Hub, quiet: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hub.sign_in()  # it is known, and no start is slow
    hub.http.cookies.clear()
    for mood in DOWN:
        quiet.set(mood=mood)
        answer = await hub.leave()
        with monkeypatch.context() as impatient:
            if mood in {"token drips", "token hangs"}:
                impatient.setattr(provider_module, "TIMEOUT_S", 0.3)
                impatient.setattr(provider_module, "WHOLE_S", 0.3)
            refused = await hub.http.get(answer.headers["location"])
        assert refused.status_code == 503, mood
        assert "Passwords work as before" in refused.text
    assert quiet.seen()["counts"].get("elsewhere") is None
    quiet.set(mood="refuses")
    assert "has not confirmed" in (await hub.sign_in()).text


@sqlite_only
@pytest.mark.parametrize(
    "mood",
    ["discovery fails", "discovery redirects", "discovery is huge", "another issuer", "in clear"],
)
async def test_without_discovery_passwords_still_work(hub: Hub, quiet: Provider, mood: str) -> None:
    hub.rooms.accounts.add("per", "Per", [Role.NURSE], "setup", password="ni rolige elger")
    quiet.set(mood=mood)
    down = await hub.http.get("/login/sign-on")
    assert down.status_code == 503
    assert "Sykehuset cannot be reached" in down.text
    back = await hub.http.post("/login", data={"name": "per", "password": "ni rolige elger"})
    assert back.status_code == 303
    assert (await hub.me())["name"] == "per"


@sqlite_only
async def test_a_provider_that_is_not_there(tmp_path: Path, database: str) -> None:
    gone = Provider(f"http://127.0.0.1:{free_port()}")
    async with served(tmp_path, database, gone) as hub:
        assert (await hub.http.get("/login")).status_code == 200
        assert (await hub.http.get("/login/sign-on")).status_code == 503


@sqlite_only
async def test_whoever_waits_for_the_provider_keeps_nobody_else_waiting(hub: Hub) -> None:
    assert hub.rooms.sign_on is not None
    provider = hub.rooms.sign_on.provider
    taken = [provider._places.acquire(blocking=False) for _ in range(AT_ONCE)]
    assert all(taken)
    assert (await hub.http.get("/login/sign-on")).status_code == 503
    provider._places.release()
    assert (await hub.http.get("/login/sign-on")).status_code == 303


@sqlite_only
async def test_keys_are_read_again_when_they_have_changed(
    hub: Hub, quiet: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_module, "AGAIN_S", 3600.0)
    await hub.sign_in()
    quiet.set(rotate=True)
    refused = await hub.sign_in()  # soon after the last reading nobody reads again
    assert refused.status_code == 403
    monkeypatch.setattr(provider_module, "AGAIN_S", 0.0)
    quiet.set(kind="EC")
    assert (await hub.sign_in()).status_code == 303
    await hub.sign_in()
    assert quiet.seen()["counts"] == {"token": 2, "keys": 1}
