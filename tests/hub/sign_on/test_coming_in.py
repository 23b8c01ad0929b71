"""Logging in with a provider of identities: a real one, over real HTTP, in every mood."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import async_playwright, expect

from gateway.hub.access.roles import Right, Role
from gateway.hub.web import pages
from tests.hub.sign_on.hubs import KARI, Hub, served
from tests.hub.vans import sqlite_only
from tests.servers.identity_provider import CLIENT, Provider
from tests.waiting import LIMIT_MS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@sqlite_only
async def test_the_login_page_offers_it_in_both_languages(hub: Hub) -> None:
    page = (await hub.http.get("/login?next=/bench?code=B%261")).text
    assert "Log in with Sykehuset" in page
    assert 'href="/login/sign-on?next=/bench%3Fcode%3DB%261"' in page
    norwegian = (await hub.http.get("/login", headers={"Accept-Language": "nb"})).text
    assert "Logg inn med Sykehuset" in norwegian


async def test_somebody_linked_comes_in_with_the_roles_of_today(hub: Hub, quiet: Provider) -> None:
    back = await hub.sign_in()
    assert (back.status_code, back.headers["location"]) == (303, "/bench")
    me = await hub.me()
    assert (me["name"], me["roles"], me["way"]) == ("kari", ["receiver"], "session")
    quiet.set(person=KARI | {"groups": ["quality"]})
    await hub.sign_in()
    assert (await hub.me())["roles"] == ["quality", "receiver"]
    assert hub.acts().count(("sign-on", "change_user", "user kari")) == 2
    assert "kari-1" not in (await hub.http.get("/bench")).text


async def test_whoever_has_lost_all_groups_keeps_nothing(hub: Hub, quiet: Provider) -> None:
    quiet.set(person=KARI | {"groups": ["quality"]})
    await hub.sign_in()
    _, token = hub.rooms.api_tokens.make("kari", "report", [Right.READ_BREACHES], 30, "kari")
    quiet.set(person=KARI | {"groups": ["lunch"]})
    refused = await hub.sign_in()
    assert refused.status_code == 403
    assert "None of your groups at Sykehuset has a role here" in refused.text
    assert (await hub.http.get("/api/v1/me")).status_code == 401
    answer = await hub.http.get("/api/v1/breaches", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    quiet.set(person=KARI)
    assert (await hub.sign_in()).status_code == 303


async def test_a_stranger_is_told_what_an_administrator_needs(hub: Hub, quiet: Provider) -> None:
    quiet.set(person=KARI | {"sub": "per-2", "preferred_username": "kari"})
    refused = await hub.sign_in()
    assert refused.status_code == 403
    assert "No account here is linked to you" in refused.text
    assert "per-2" in refused.text
    assert "set-cookie" not in refused.headers or "coldchain=" not in refused.headers["set-cookie"]
    hub.rooms.accounts.add("per", "Per", [Role.NURSE], "setup", password="ni rolige elger")
    hub.rooms.accounts.link("per", hub.rooms.settings.access.identity_of("per-2"), "admin", "new")
    assert (await hub.sign_in()).status_code == 303
    assert (await hub.me())["name"] == "per"
    hub.rooms.accounts.unlink("per", "admin")
    assert (await hub.http.get("/api/v1/me")).status_code == 401
    assert [act for _, act, subject in hub.acts() if subject == "user per"] == [
        *("add_user", "link_user", "change_user", "unlink_user")
    ]


@sqlite_only
async def test_a_disabled_account_is_out_at_once(hub: Hub) -> None:
    await hub.sign_in()
    hub.rooms.accounts.disable("kari", "admin", "has left")
    assert (await hub.http.get("/api/v1/me")).status_code == 401
    refused = await hub.sign_in()
    assert refused.status_code == 403
    assert "disabled" in refused.text


async def test_an_account_is_made_only_where_that_is_set(tmp_path: Path, database: str, quiet: Provider) -> None:
    async with served(tmp_path, database, quiet, creates_accounts=True) as hub:
        await hub.sign_in()
        made = hub.account("kari.n")
        assert (made.printed_name, sorted(made.roles), made.has_password) == ("Kari Nordmann", ["receiver"], False)
        assert ("sign-on", "add_user", "user kari.n") in hub.acts()
        await hub.sign_in()
        assert len(hub.rooms.accounts.accounts()) == 1
        quiet.set(person=KARI | {"sub": "another"})
        assert "of your name is here already" in (await hub.sign_in()).text
        quiet.set(person=KARI | {"sub": "third", "preferred_username": "13097248022"})
        assert "cannot be the name of an account" in (await hub.sign_in()).text
        quiet.set(person=KARI | {"sub": "fourth", "groups": []})
        assert "None of your groups" in (await hub.sign_in()).text
        assert len(hub.rooms.accounts.accounts()) == 1


@sqlite_only
async def test_logging_out_goes_on_to_the_provider(hub: Hub, quiet: Provider) -> None:
    await hub.sign_in()
    form = {"csrf": re.findall(r'name="csrf" value="([0-9a-f]+)"', (await hub.http.get("/bench")).text)[0]}
    out = await hub.http.post("/logout", data=form)
    assert (out.status_code, out.headers["location"]) == (303, "/logged-out")
    page = await hub.http.get("/logged-out")
    wait, _, url = page.headers["refresh"].partition(";url=")
    assert wait == "1"
    assert (await hub.http.get(url)).status_code == 200
    assert quiet.seen()["form"] == {
        "client_id": CLIENT,
        "post_logout_redirect_uri": hub.rooms.settings.http.public_url + "/login",
    }
    from_elsewhere = await hub.http.get("/logged-out", headers={"Sec-Fetch-Site": "cross-site"})
    assert "refresh" not in from_elsewhere.headers


@sqlite_only
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
async def test_in_a_browser(hub: Hub, quiet: Provider) -> None:
    quiet.set(mood="asks")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=LIMIT_MS)
        page = await browser.new_page(base_url=str(hub.http.base_url), locale="en-GB")
        page.set_default_timeout(LIMIT_MS)
        await page.goto("/bench")
        await page.get_by_role("link", name="Log in with Sykehuset").click()
        await page.get_by_role("button", name="It is me").click()
        await expect(page.get_by_text("Kari Nordmann")).to_be_visible(timeout=LIMIT_MS)
        assert urlsplit(page.url).path == "/bench"
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_text("Logged out of everything")).to_be_visible(timeout=LIMIT_MS)
        await browser.close()


@sqlite_only
async def test_too_many_attempts_wait(
    tmp_path: Path, database: str, quiet: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "LOGINS_AT_ONCE", 3)
    monkeypatch.setattr(pages, "LOGIN_EACH_S", 3600.0)  # however slow the machine is
    async with served(tmp_path, database, quiet) as hub:
        answers = [(await hub.http.get("/login/sign-on")).status_code for _ in range(5)]
    assert answers == [303, 303, 303, 429, 429]
