"""Logging in with a provider of identities: a real one, over real HTTP, in every mood."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from click.testing import CliRunner
from playwright.async_api import async_playwright, expect
from pydantic import ValidationError
from sqlalchemy import select

from gateway.cli import main
from gateway.core.errors import InputError
from gateway.hub.access import proofs as proofs_module
from gateway.hub.access import provider as provider_module
from gateway.hub.access import sign_on as sign_on_module
from gateway.hub.access.accounts import Account, Accounts
from gateway.hub.access.identities import Identity, make_identity
from gateway.hub.access.provider import AT_ONCE
from gateway.hub.access.roles import Right, Role
from gateway.hub.app import create_app
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.schema import audit, sign_ons
from gateway.hub.settings import HubSettings
from gateway.hub.store import Store
from tests.hub.vans import sqlite_only
from tests.servers.identity_provider import CLIENT, SECRET, Provider, running_provider
from tests.servers.ports import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SLOW_MS = 60_000
KARI = {"sub": "kari-1", "name": "Kari Nordmann", "preferred_username": "kari.n", "groups": ["lab", "lunch"]}
ROLES = {"lab": ["receiver"], "quality": ["quality", "receiver"]}


@pytest.fixture(scope="module")
def idp() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def quiet(idp: Provider) -> Provider:
    """In no mood, and Kari stands before it."""
    idp.set(mood="", person=KARI, kind="RSA")
    return idp


class Hub:
    """A hub that is served, and one browser."""

    def __init__(self, rooms: Rooms, http: httpx.AsyncClient) -> None:
        self.rooms = rooms
        self.http = http

    async def leave(self, path: str = "/login/sign-on?next=/bench") -> httpx.Response:
        """Go to the provider; return what it answers."""
        there = await self.http.get(path)
        assert there.status_code == 303, there.text
        return await self.http.get(there.headers["location"])

    async def sign_in(self, path: str = "/login/sign-on?next=/bench") -> httpx.Response:
        """Go there and back."""
        answer = await self.leave(path)
        assert answer.status_code == 302, answer.text
        return await self.http.get(answer.headers["location"])

    async def me(self) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.http.get("/api/v1/me")).json()
        return answer

    def account(self, name: str = "kari") -> Account:
        found = self.rooms.accounts.account(name)
        assert found is not None
        return found

    def acts(self) -> list[tuple[str, str, str]]:
        with self.rooms.store.read() as connection:
            return [(row.who, row.act, row.subject) for row in connection.execute(select(audit).order_by(audit.c.id))]


@asynccontextmanager
async def served(folder: Path, database: str, idp: Provider, **oidc: object) -> AsyncIterator[Hub]:
    port = free_port()
    secret = folder / "oidc.secret"
    secret.write_text(SECRET + "\n")
    wanted = {
        "name": "Sykehuset",
        "issuer": idp.url,
        "client_id": CLIENT,
        "client_secret_file": secret,
        "groups_claim": "groups",
        "roles": ROLES,
    } | oidc
    url = f"http://127.0.0.1:{port}"
    settings = HubSettings(
        data_dir=folder,
        database=database,
        language="en",
        http={"public_url": url, "port": port},
        access={"oidc": wanted},
    )
    rooms = open_rooms(settings)
    server = uvicorn.Server(uvicorn.Config(create_app(rooms), port=port, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.02)
    async with httpx.AsyncClient(base_url=url, timeout=60, headers={"Accept-Language": "en"}) as http:
        yield Hub(rooms, http)
    rooms.closing.set()
    server.should_exit = True
    await serving
    rooms.store.close()


@pytest.fixture
async def hub(tmp_path: Path, database: str, quiet: Provider) -> AsyncIterator[Hub]:
    async with served(tmp_path, database, quiet) as opened:
        opened.rooms.accounts.add(
            "kari", "Kari Nordmann", [Role.NURSE], "setup", identity=make_identity(quiet.url, "kari-1")
        )
        yield opened


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


@sqlite_only
async def test_an_identity_number_is_no_identity(hub: Hub, quiet: Provider, caplog: pytest.LogCaptureFixture) -> None:
    quiet.set(person=KARI | {"sub": "13097248022"})
    refused = await hub.sign_in()
    assert refused.status_code == 403
    assert "13097248022" not in refused.text + caplog.text
    with pytest.raises(InputError, match="subject"):
        make_identity(quiet.url, "no:13097248022")


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


@sqlite_only
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
async def test_in_a_browser(hub: Hub, quiet: Provider) -> None:
    quiet.set(mood="asks")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(base_url=str(hub.http.base_url), locale="en-GB")
        page.set_default_timeout(SLOW_MS)
        await page.goto("/bench")
        await page.get_by_role("link", name="Log in with Sykehuset").click()
        await page.get_by_role("button", name="It is me").click()
        await expect(page.get_by_text("Kari Nordmann")).to_be_visible(timeout=SLOW_MS)
        assert urlsplit(page.url).path == "/bench"
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_text("Logged out of everything")).to_be_visible(timeout=SLOW_MS)
        await browser.close()


@sqlite_only
async def test_too_many_attempts_wait(hub: Hub) -> None:
    answers = [(await hub.http.get("/login/sign-on")).status_code for _ in range(25)]
    assert set(answers) == {303, 429}


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("issuer", {"issuer": "http://login.hospital.example"}),
        ("issuer", {"issuer": "https://login.hospital.example/?x=1"}),
        ("account_claim", {"account_claim": "pid"}),
        ("groups_claim and roles", {"groups_claim": "groups"}),
        ("creates_accounts", {"creates_accounts": True}),
        ("client_secret", {"client_secret": "x", "client_secret_file": "/y"}),
        ("roles", {"groups_claim": "groups", "roles": {"a": ["king"]}}),
    ],
)
def test_what_cannot_be_set_is_refused(tmp_path: Path, field: str, changes: dict[str, object]) -> None:
    oidc = {"name": "X", "issuer": "https://login.hospital.example", "client_id": "c", **changes}
    http = {"public_url": "https://hub.example"}
    with pytest.raises(ValidationError, match=field):
        HubSettings(data_dir=tmp_path, http=http, access={"oidc": oidc})


def test_the_hub_must_know_its_own_address(tmp_path: Path) -> None:
    oidc = {"name": "X", "issuer": "https://login.hospital.example", "client_id": "c"}
    for url in ("", "http://hub.example"):
        with pytest.raises(ValidationError, match="public_url"):
            HubSettings(data_dir=tmp_path, http={"public_url": url}, access={"oidc": oidc})
    assert HubSettings(
        data_dir=tmp_path,
        http={"public_url": "https://hub.example"},
        access={"oidc": oidc},
    ).access.identity_of("a b") == Identity("https://login.hospital.example", "a b")


def test_the_command_links_and_shows_an_identity(tmp_path: Path) -> None:
    settings = tmp_path / "hub.toml"
    text = f'data_dir = "{tmp_path / "hub"}"\n'
    settings.write_text(text)

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["hub", "users", *arguments, "-s", str(settings)], input="ni rolige elger\n")
        return done.exit_code, done.output

    assert run("add", "per", "--role", "nurse", "--printed-name", "Per", "--password-stdin")[0] == 0
    status, output = run("link", "per", "--subject", "per-2")
    assert (status, "access.oidc is not set" in output) == (2, True)
    provider = '[access.oidc]\nname = "X"\nissuer = "https://login.example"\nclient_id = "c"\n'
    settings.write_text(text + '[http]\npublic_url = "https://hub.example"\n' + provider)
    assert run("link", "per", "--subject", "per-2") == (0, "per = https://login.example per-2\n")
    assert "Per = https://login.example per-2" in run("list")[1]
    assert run("add", "kari", "--role", "nurse", "--printed-name", "Kari", "--subject", "per-2")[0] == 2
    assert run("add", "kari", "--role", "nurse", "--printed-name", "Kari", "--subject", "kari-1")[0] == 0
    assert run("unlink", "kari")[1] == "kari is linked no more, and has no password\n"


@sqlite_only
async def test_an_administrator_links_over_the_api(hub: Hub) -> None:
    token = (hub.rooms.settings.data_dir / "admin.token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}

    async def change(**changes: object) -> httpx.Response:
        return await hub.http.patch("/api/v1/accounts/kari", json=changes, headers=headers)

    assert (await change(subject="kari-2")).status_code == 422
    assert (await change(subject="")).json()["identity"] is None
    linked = (await change(subject="kari-2", reason="new number")).json()["identity"]
    assert linked["subject"] == "kari-2"
    assert hub.acts()[-2:] == [("admin", "unlink_user", "user kari"), ("admin", "link_user", "user kari")]


def test_a_subject_is_stored_with_its_issuer(store: Store) -> None:
    accounts = Accounts(store, lambda: 5, lambda: 7)
    one, other = Identity("https://a.example", "1"), Identity("https://b.example", "1")
    accounts.add("one", "One", [Role.NURSE], "setup", identity=one)
    accounts.add("other", "Other", [Role.NURSE], "setup", identity=other)
    with pytest.raises(InputError, match="another account"):
        accounts.add("third", "Third", [Role.NURSE], "setup", identity=one)
    with pytest.raises(InputError, match="linked already"):
        accounts.link("one", Identity("https://a.example", "2"), "setup")
    assert [account.identity for account in accounts.accounts()] == [one, other]
