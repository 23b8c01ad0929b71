"""What strangers try: forged and ended tokens, others' objects, bodies of many meanings, tricks in codes, scripts."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.hub.access import passwords
from gateway.hub.api.limits import BODY_BYTES_MAX
from gateway.hub.api.strictness import DEPTH_MAX
from gateway.hub.audit.acts import Act, record_act
from tests.contract.hubs import PASSWORD, Hub, running_hub

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=1, memory_cost=64))
        with running_hub(tmp_path_factory.mktemp("hub")) as running:
            yield running


@pytest.fixture
def http(hub: Hub) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{hub.url}/api/v1", timeout=60) as client:
        yield client


def put_box(http: httpx.Client, hub: Hub, body: bytes, kind: str = "application/json") -> httpx.Response:
    return http.put("/boxes/B-1", content=body, headers={**hub.headers(), "Content-Type": kind})


def test_altered_tokens_open_nothing(hub: Hub, http: httpx.Client) -> None:
    for who, token in hub.tokens.items():
        for forged in (token[:-1], token + "A", token[:-1] + ("A" if token[-1] != "A" else "B"), token.swapcase()):
            answer = http.get("/me", headers={"Authorization": f"Bearer {forged}"})
            assert answer.status_code == 401, who
            assert forged not in answer.text


def test_a_gateways_token_is_nobodys_elsewhere(hub: Hub, http: httpx.Client) -> None:
    for path in ("/me", "/boxes", "/breaches", "/audit", "/events"):
        assert http.get(path, headers=hub.headers("gateway")).status_code == 401
    for who in ("admin", "quality"):
        assert http.post("/breaches", json={}, headers=hub.headers(who)).status_code == 401


def test_tokens_end_with_their_account_their_time_and_when_taken_back(
    hub: Hub, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = hub.rooms
    made = [rooms.api_tokens.make("nurse", f"t{number}", ["look_up"], 1, "setup") for number in range(3)]
    headers = [{"Authorization": f"Bearer {text}"} for _, text in made]
    assert all(http.get("/me", headers=one).status_code == 200 for one in headers)
    http.delete(f"/tokens/{made[0][0].id}", headers=hub.headers()).raise_for_status()
    assert [http.get("/me", headers=one).status_code for one in headers] == [401, 200, 200]
    with monkeypatch.context() as later:
        real_ms = rooms.api_tokens._real_ms
        later.setattr(rooms.api_tokens, "_real_ms", lambda: real_ms() + 86_400_001)
        assert http.get("/me", headers=headers[1]).status_code == 401
    off = http.patch("/accounts/nurse", json={"is_disabled": True, "reason": "left"}, headers=hub.headers())
    assert off.status_code == 200
    assert http.get("/me", headers=headers[2]).status_code == 401
    http.patch("/accounts/nurse", json={"is_disabled": False, "reason": "back"}, headers=hub.headers())


def test_nobody_acts_on_what_is_not_theirs(hub: Hub, http: httpx.Client) -> None:
    """A gateway flags for itself alone; a sample's breach is not a pharmacist's, a medicine not a doctor's."""
    assert http.post("/breaches/2/assign", json={"to": "kari"}, headers=hub.headers("driver")).status_code == 403
    assert http.post("/tokens", json={}, headers=hub.headers("quality")).status_code == 403
    for who in ("nurse", "driver", "receiver", "inspector"):
        assert http.get("/accounts", headers=hub.headers(who)).status_code == 403
        assert http.put("/boxes/BOX-1", json={"code": "BOX-1"}, headers=hub.headers(who)).status_code == 403
    asked = {"account": "kari", "label": "mine", "rights": ["manage_users"]}
    answer = http.post("/tokens", json=asked, headers=hub.headers())
    assert (answer.status_code, answer.json()["field"]) == (422, "rights")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"code": "B-1", "code": "B-2"}', "stands twice"),
        (b'{"code": "B-1", "label": NaN}', "no number"),
        (b'{"code": "B-1", "label": -Infinity}', "no number"),
        (b'{"code": "B-1", "label": 1e999}', "too large"),
        (b'{"code": "B-1", "label": ' + b"9" * 5000 + b"}", "whole number"),
        (b'{"code": "B-1", "label": ' + b"[" * 100_000, "nested deeper"),
        (b'{"code": "B-1", "label": ' + b'{"a":' * (DEPTH_MAX + 1) + b"1" + b"}" * (DEPTH_MAX + 2), "nested deeper"),
        (b'{"code": "B-1", "label": "\\u0000"}', "U+0000"),
        (b'{"code": "B-1", "label": "\\u202eslp"}', "U+202E"),
        (b'{"code": "B-1", "label": "\\ud800"}', "U+D800"),
        (b'{"code": "B-1", "label": "\xff"}', "not UTF-8"),
        (b'{"code": "B-1"', "not JSON"),
        (b'{"code": "B-1", "label": "15076500565"}', "identity number"),
    ],
)
def test_a_body_of_many_meanings_has_none(hub: Hub, http: httpx.Client, body: bytes, reason: str) -> None:
    answer = put_box(http, hub, body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert reason in answer.json()["detail"]
    assert "15076500565" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]
)
def test_what_is_no_json_is_not_read_as_any(hub: Hub, http: httpx.Client, kind: str) -> None:
    answer = put_box(http, hub, b'{"code": "B-1"}', kind)
    assert (answer.status_code, answer.headers["content-type"]) == (415, PROBLEM)


def test_large_bodies_end_early(hub: Hub, http: httpx.Client) -> None:
    assert put_box(http, hub, b" " * (BODY_BYTES_MAX + 1)).status_code == 413
    where = urlsplit(hub.url)
    with socket.create_connection((where.hostname, where.port), timeout=60) as raw:
        raw.sendall(f"PUT /api/v1/boxes/B HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 40}\r\n\r\n".encode())
        assert b" 413 " in raw.recv(200)  # refused by what it announces: nothing was sent yet


def test_huge_headers_are_refused(hub: Hub, http: httpx.Client) -> None:
    where = urlsplit(hub.url)
    with socket.create_connection((where.hostname, where.port), timeout=60) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000)
        assert raw.recv(200).startswith(b"HTTP/1.1 4")
    assert http.get("/me", headers=hub.headers()).status_code == 200


@pytest.mark.parametrize(
    "code",
    [
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f",
        "%00",
        "C-1%00",
        "a" * 5000,
        "%0d%0aSet-Cookie:x=1",
        "%e2%80%ae",
        "%ff",
        "'--",
    ],
)
@pytest.mark.parametrize(
    "path", ["/consignments/{}", "/consignments/{}/readings", "/consignments/{}/report.csv", "/boxes/{}"]
)
def test_tricks_in_codes_find_nothing(hub: Hub, http: httpx.Client, path: str, code: str) -> None:
    method = "PUT" if path.startswith("/boxes") else "GET"
    answer = http.request(method, path.format(code), headers=hub.headers(), json={"code": "B-1"})
    if answer.is_redirect:  # an address that ends in a slash is led to the one that does not, here
        assert urlsplit(answer.headers["location"]).netloc == urlsplit(hub.url).netloc
        return
    assert answer.status_code in {404, 405, 422}, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("code", ["../x", "a b", "a\nb", "=1+1", "-x", "+x", "@x", "<b>", "a" * 65, "", "\u202ea"])
def test_such_codes_are_not_registered_either(hub: Hub, http: httpx.Client, code: str) -> None:
    answer = http.post(
        "/consignments", json={"code": code, "items": [], "carriage": []}, headers=hub.headers("laboratory_doctor")
    )
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0"])
def test_no_cell_of_an_export_is_a_formula(hub: Hub, http: httpx.Client, formula: str) -> None:
    with hub.rooms.store.write() as connection:
        record_act(connection, Act("quality", "comment", "breach 1", new=formula, reason=formula), 1_792_000_000_000)
    answer = http.get("/audit/export", params={"shape": "csv"}, headers=hub.headers("quality"))
    assert answer.status_code == 200
    cells = [cell.strip('"') for line in answer.text.splitlines() for cell in line.split(",")]
    assert not [cell for cell in cells if cell.startswith(("=", "@", "\t", "\r"))]
    assert f"'{formula}" in answer.text.replace('""', '"')


def test_a_stored_script_is_shown_and_does_not_run(hub: Hub, http: httpx.Client) -> None:
    script = "<script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"
    asked = http.post("/breaches/2/comments", json={"text": script}, headers=hub.headers("quality"))
    assert asked.status_code == 201, asked.text
    label = json.dumps({"code": "BOX-2", "label": script[:80]})
    stored = http.put("/boxes/BOX-2", content=label, headers={**hub.headers(), "Content-Type": "application/json"})
    assert stored.status_code == 200
    session = hub.rooms.sessions.open(hub.rooms.accounts.check("quality", PASSWORD))
    seen = 0
    for page in ("/review/2", "/review", "/bench?code=BOX-2"):
        shown = http.get(f"{hub.url}{page}", headers={"Cookie": f"coldchain={session.secret}"})
        seen += "&lt;script&gt;" in shown.text
        assert "<script>alert" not in shown.text, page
        assert "onerror=alert(2)>" not in shown.text, page
        policy = shown.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    assert seen, "no page showed the comment: name the one that does"


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "9" * 30, "null"])
def test_events_resume_from_numbers_only(hub: Hub, http: httpx.Client, given: str) -> None:
    answer = http.get("/events", headers={**hub.headers(), "Last-Event-ID": given})
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)


def test_the_way_back_sets_no_headers(hub: Hub, http: httpx.Client) -> None:
    form: dict[str, Any] = {"name": "quality", "password": PASSWORD, "next": "/bench\r\nSet-Cookie: x=1"}
    answer = http.post(f"{hub.url}/login", data=form)
    assert answer.headers.get("location", "/") == "/"
    assert "x=1" not in answer.headers.get("set-cookie", "")
