"""Whoever has no password signs after logging in once more."""

from __future__ import annotations

import re

import pytest

from gateway.hub.access import proofs as proofs_module
from gateway.hub.access.identities import make_identity
from gateway.hub.access.roles import Role
from tests.hub.sign_on.hubs import KARI, Hub
from tests.hub.vans import sqlite_only
from tests.servers.identity_provider import Provider

HASH = "0" * 64
AGAIN = f"/sign-in-again?for=breach:7:reviewed:{HASH}&next=/bench"


@pytest.fixture
async def signer(hub: Hub, quiet: Provider) -> Hub:
    """A browser whose owner may sign, and has no password."""
    quiet.set(person=KARI | {"groups": ["quality"]})
    await hub.sign_in()
    return hub


async def sign(hub: Hub, breach: int = 7, meaning: str = "reviewed", content: str = HASH) -> int:
    """404: whoever signs is believed, and there is no such breach; 403: not believed."""
    csrf = re.findall(r'name="csrf" value="([0-9a-f]+)"', (await hub.http.get("/bench")).text)[0]
    body = {"meaning": meaning, "hash": content}
    answer = await hub.http.post(f"/api/v1/breaches/{breach}/signatures", json=body, headers={"X-CSRF-Token": csrf})
    return answer.status_code


async def test_who_has_no_password_signs_after_logging_in_again(signer: Hub, quiet: Provider) -> None:
    assert await sign(signer) == 403
    back = await signer.sign_in(AGAIN)
    assert (back.status_code, back.headers["location"]) == (303, "/bench")
    asked = quiet.seen()["form"]
    assert (asked["prompt"], asked["max_age"]) == ("login", "0")
    assert await sign(signer, breach=8) == 403
    assert await sign(signer, meaning="approved") == 403
    assert await sign(signer, content="1" * 64) == 403
    assert await sign(signer) == 404
    assert await sign(signer) == 403


async def test_a_proof_is_of_one_session_and_a_few_minutes(signer: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    first = signer.http.cookies["coldchain"]
    await signer.sign_in(AGAIN)
    await signer.sign_in()
    assert signer.http.cookies["coldchain"] != first
    assert await sign(signer) == 403
    monkeypatch.setattr(proofs_module, "PROOF_MS", 0)
    await signer.sign_in(AGAIN)
    assert await sign(signer) == 403


async def test_only_a_new_login_of_the_same_person_is_a_proof(signer: Hub, quiet: Provider) -> None:
    per = KARI | {"sub": "per-2", "groups": ["quality"]}
    signer.rooms.accounts.add("per", "Per", [Role.QUALITY], "setup", identity=make_identity(quiet.url, "per-2"))
    for mood, person, words in (
        ("stale", KARI, "has not asked again"),
        ("no auth_time", KARI, "has not asked again"),
        ("", per, "you are not whose account this is"),
    ):
        quiet.set(mood=mood, person=person)
        refused = await signer.sign_in(AGAIN)
        assert (refused.status_code, words in refused.text) == (403, True), mood
        assert await sign(signer) == 403
        assert (await signer.me())["name"] == "kari"


@sqlite_only
async def test_what_cannot_be_signed_again(signer: Hub, quiet: Provider) -> None:
    assert (await signer.http.get("/sign-in-again?for=x y")).status_code == 422
    elsewhere = await signer.http.get(AGAIN, headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403
    signer.rooms.accounts.add("per", "Per", [Role.QUALITY], "setup", password="ni rolige elger")
    signer.http.cookies.clear()
    await signer.http.post("/login", data={"name": "per", "password": "ni rolige elger"})
    assert (await signer.http.get(AGAIN)).status_code == 403
    assert await sign(signer) == 403
