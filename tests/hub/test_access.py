"""Who gets in, and what each role may do: every route for every role."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import ValidationError

from gateway.core.errors import InputError
from gateway.hub.access import passwords
from gateway.hub.access.roles import Right, Role, rights_of
from gateway.hub.api.access import Requirement, caller_of, gateway_of
from gateway.hub.api.rates import Rates
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.hub.web import pages
from gateway.hub.web.paths import to_own_path
from gateway.settings import load_settings

PASSWORD = "ni rolige elger"
OPEN = {
    *{("POST", "/api/v1/enrolments"), ("GET", "/login"), ("POST", "/login"), ("POST", "/language")},
    *{("GET", "/login/sign-on"), ("GET", "/login/sign-on/back"), ("GET", "/logged-out")},
    *{("GET", "/hand-in"), ("POST", "/hand-in"), ("POST", "/hand-in/open"), ("POST", "/hand-in/undo")},
}
"""What nobody needs to be known for: each has its own secret, is the way to one, or concerns the reader alone."""
ANYBODY = {("GET", "/"), ("GET", "/api/docs"), ("POST", "/logout"), ("GET", "/api/v1/me")}
"""What everybody may do who is known."""
GATEWAYS = {("POST", "/api/v1/breaches")}


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=1, memory_cost=64))


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    opened = open_rooms(HubSettings(data_dir=tmp_path))
    for role in Role:
        opened.accounts.add(role.value, f"The {role}", [role], "setup", password=PASSWORD)
    yield opened
    opened.store.close()


@pytest.fixture
async def http(rooms: Rooms) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(rooms), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        yield client


async def log_in(http: httpx.AsyncClient, name: str, password: str = PASSWORD, **form: str) -> httpx.Response:
    return await http.post("/login", data={"name": name, "password": password, **form})


def routes(rooms: Rooms) -> Iterator[tuple[str, str, frozenset[Right], bool]]:
    """Method, path, the rights that are asked for, and whether a caller must be known at all."""
    for context in iter_route_contexts(create_app(rooms).routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            found = [*_calls(route.dependant)]
            rights = frozenset(call.right for call in found if isinstance(call, Requirement))
            known = caller_of in found or gateway_of in found
            for method in route.methods:
                yield method, context.path or "", rights, known


def _calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for part in dependant.dependencies:
        yield from _calls(part)


async def test_every_route_states_who_may_use_it(rooms: Rooms) -> None:
    seen = list(routes(rooms))
    assert len(seen) > 20
    for method, path, rights, known in seen:
        if (method, path) in OPEN:
            assert not known, path
        elif (method, path) in ANYBODY | GATEWAYS:
            assert known, path
            assert not rights, path
        else:
            assert rights, f"{method} {path} asks for no right"


async def test_every_route_for_every_role(rooms: Rooms, http: httpx.AsyncClient) -> None:
    for role in Role:
        session = rooms.sessions.open(rooms.accounts.check(role.value, PASSWORD))
        http.cookies.set("coldchain", session.secret)
        headers = {"X-CSRF-Token": session.caller.csrf, "X-Fragment": "1"}
        for method, path, rights, _ in routes(rooms):
            if not rights or path.endswith("/events"):
                continue
            filled = re.sub(r"\{[^}]*\}", "1", path)
            answer = await http.request(method, filled, headers=headers)
            is_refused = answer.status_code == 403 and "this is for" in answer.text
            assert is_refused == (not rights <= rights_of([role])), (role, method, path, answer.text)
            assert answer.status_code != 401


async def test_nobody_gets_nothing(rooms: Rooms, http: httpx.AsyncClient) -> None:
    for method, path, _, known in routes(rooms):
        if known:
            answer = await http.request(method, re.sub(r"\{[^}]*\}", "1", path), headers={"X-Fragment": "1"})
            assert answer.status_code == 401, (method, path)
            assert "www-authenticate" in answer.headers


async def test_a_page_leads_to_the_login_and_back(http: httpx.AsyncClient) -> None:
    away = await http.get("/bench?code=BOX-1&x=/y")
    assert (away.status_code, away.headers["location"]) == (303, "/login?next=%2Fbench%3Fcode%3DBOX-1%26x%3D%2Fy")
    form = await http.get(away.headers["location"])
    assert 'value="/bench?code=BOX-1&amp;x=/y"' in form.text
    back = await log_in(http, "receiver", next="/bench?code=BOX-1&x=/y")
    assert (back.status_code, back.headers["location"]) == (303, "/bench?code=BOX-1&x=/y")
    cookie = back.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    page = await http.get("/bench?code=BOX-1")
    assert page.status_code == 200
    assert "The receiver" in page.text
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
    assert token is not None
    assert (await http.post("/logout", data={"csrf": token[1]})).headers["location"] == "/login"
    assert (await http.get("/bench")).status_code == 303


async def test_a_wrong_password_says_no_more_than_that(http: httpx.AsyncClient) -> None:
    wrong, unknown = await log_in(http, "receiver", "x" * 12), await log_in(http, "nobody", "x" * 12)
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("receiver", "") == unknown.text.replace("nobody", "")
    assert "x" * 12 not in wrong.text
    assert "set-cookie" not in wrong.headers


async def test_whoever_guesses_waits(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LOGINS_AT_ONCE", 3)
    monkeypatch.setattr(pages, "LOGIN_EACH_S", 3600.0)  # however slow the machine is at hashing
    transport = httpx.ASGITransport(create_app(rooms))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as http:
        answers = [await log_in(http, f"n{number}") for number in range(5)]
    *others, late, _ = answers
    assert 429 not in {answer.status_code for answer in others}
    assert late.status_code == 429
    assert int(late.headers["retry-after"]) > 0


async def test_behind_tls_the_cookie_is_bound_to_the_host(tmp_path: Path) -> None:
    rooms = open_rooms(HubSettings(data_dir=tmp_path, http={"public_url": "https://hub.example"}))  # type: ignore[arg-type]
    rooms.accounts.add("kari", "Kari", [Role.RECEIVER], "setup", password=PASSWORD)
    transport = httpx.ASGITransport(create_app(rooms))
    async with httpx.AsyncClient(transport=transport, base_url="https://hub") as client:
        cookie = (await log_in(client, "kari")).headers["set-cookie"]
        assert cookie.startswith("__Host-coldchain=")
        assert "Secure" in cookie
        assert (await client.get("/bench")).status_code == 200
    rooms.store.close()


async def test_a_write_needs_a_form_of_this_session(rooms: Rooms, http: httpx.AsyncClient) -> None:
    mine = rooms.sessions.open(rooms.accounts.check("administrator", PASSWORD))
    other = rooms.sessions.open(rooms.accounts.check("receiver", PASSWORD))
    http.cookies.set("coldchain", mine.secret)

    async def put(**headers: str) -> int:
        return (await http.put("/api/v1/boxes/B", json={"code": "B"}, headers=headers)).status_code

    assert await put() == 403
    assert await put(**{"X-CSRF-Token": other.caller.csrf}) == 403
    assert await put(**{"X-CSRF-Token": mine.caller.csrf, "Sec-Fetch-Site": "cross-site"}) == 403
    assert await put(**{"X-CSRF-Token": mine.caller.csrf, "Sec-Fetch-Site": "same-origin"}) == 200
    assert rooms.registry.boxes()[0].code == "B"


async def test_another_site_cannot_log_anyone_in(http: httpx.AsyncClient) -> None:
    data = {"name": "receiver", "password": PASSWORD}
    answer = await http.post("/login", data=data, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_a_program_has_the_rights_of_its_token(rooms: Rooms, http: httpx.AsyncClient) -> None:
    _, text = rooms.api_tokens.make("quality", "report", [Right.READ_BREACHES], 30, "quality")
    headers = {"Authorization": f"Bearer {text}"}
    assert (await http.get("/api/v1/breaches", headers=headers)).status_code == 200
    assert (await http.get("/api/v1/boxes", headers=headers)).status_code == 403
    assert (await http.get("/api/v1/breaches", headers={"Authorization": "Bearer ccp_x"})).status_code == 401


async def test_the_audit_trail_names_the_account(rooms: Rooms, http: httpx.AsyncClient) -> None:
    session = rooms.sessions.open(rooms.accounts.check("administrator", PASSWORD))
    http.cookies.set("coldchain", session.secret)
    await http.put("/api/v1/boxes/B", json={"code": "B"}, headers={"X-CSRF-Token": session.caller.csrf})
    with rooms.store.read() as connection:
        who = connection.exec_driver_sql("SELECT who FROM audit ORDER BY id DESC LIMIT 1").scalar_one()
    assert who == "administrator"


@pytest.mark.parametrize(
    "given", ["https://evil.example/", "//evil.example", "/\\evil.example", "\\/evil", "x", "/a\n", ""]
)
def test_the_way_back_stays_here(given: str) -> None:
    assert to_own_path(given) == "/"


@pytest.mark.parametrize("http", [{"host": "0.0.0.0"}, {"host": "hub.local"}, {"public_url": "https://hub.example"}])  # noqa: S104
def test_only_a_hub_of_this_machine_lets_anybody_in(tmp_path: Path, http: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="anonymous"):
        HubSettings(data_dir=tmp_path, http=http, access={"anonymous": ["receiver"]})  # type: ignore[arg-type]
    file = tmp_path / "hub.toml"
    file.write_text(f'data_dir = "{tmp_path}"\n[http]\nhost = "0.0.0.0"\n[access]\nanonymous = ["receiver"]\n')
    with pytest.raises(InputError, match="anonymous"):
        load_settings(HubSettings, file)


async def test_who_comes_by_a_proxy_is_not_of_this_machine(tmp_path: Path) -> None:
    rooms = open_rooms(HubSettings(data_dir=tmp_path, access={"anonymous": ["receiver"]}))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(rooms)), base_url="http://hub") as client:
        assert (await client.get("/api/v1/consignments")).status_code == 200
        assert (await client.get("/api/v1/consignments", headers={"X-Forwarded-For": "10.1.2.3"})).status_code == 401
    rooms.store.close()


def test_a_rate_lets_a_burst_pass_and_then_one_at_a_time() -> None:
    now_s = [0.0]
    rates = Rates(3, 10.0, lambda: now_s[0])
    assert [rates.take("a") for _ in range(5)] == [0, 0, 0, 10, 10]
    assert rates.take("b") == 0
    now_s[0] = 10.0
    assert [rates.take("a") for _ in range(2)] == [0, 10]
    now_s[0] = 100.0
    assert [rates.take("a") for _ in range(4)] == [0, 0, 0, 10]
