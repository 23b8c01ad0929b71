"""`POST /breaches` under fuzz: true flags, flags with something altered, and bytes of any kind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from gateway.core.flags import breach_key
from gateway.core.verdicts import BreachKind
from gateway.hub.api import breaches as flagging
from gateway.hub.database import schema
from tests.contract.hubs import Hub, running_hub

CASES = int(os.environ.get("CONTRACT_CASES", "0")) or 60
FUZZ = settings(
    max_examples=CASES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
REFUSED = {400, 403, 413, 415, 422}
codes = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,20}", fullmatch=True).filter(lambda code: "000000" not in code)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flagging, "FLAGS_AT_ONCE", 1_000_000)  # rates are tried elsewhere
        with running_hub(tmp_path_factory.mktemp("hub")) as running:
            yield running


@pytest.fixture(scope="module")
def http(hub: Hub) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hub.url, headers=hub.headers("gateway"), timeout=60) as client:
        yield client


@st.composite
def flags(draw: st.DrawFn) -> dict[str, Any]:
    started_ms = draw(st.integers(0, 1 << 47))
    identity = {"consignment": draw(codes), "item": draw(codes), "examination": draw(codes), "rule": draw(codes)}
    kind = draw(st.sampled_from(BreachKind))
    return {
        **identity,
        "key": breach_key(**identity, kind=kind, started_at_ms=started_ms),
        "gateway": "VAN-1",
        "profile": "potassium",
        "profile_version": draw(st.integers(0, (1 << 31) - 1)),
        "config_version": draw(st.integers(0, (1 << 31) - 1)),
        "kind": kind.value,
        "started_at_ms": started_ms,
        "triggered_at_ms": started_ms + draw(st.integers(0, 1 << 40)),
        "extreme_c": draw(st.none() | st.floats(-273.15, 200)),
        "minutes": draw(st.floats(0, 1e9)),
        "epoch": draw(st.from_regex(r"[0-9a-f]{16}", fullmatch=True)),
        "offset": draw(st.integers(0, (1 << 32) - 1)),
    }


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\x00", "../x", "=1+1", "\u202e", "15076500565", 10**400, "a" * 100]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def post(http: httpx.Client, body: bytes, kind: str = "application/json") -> httpx.Response:
    return http.post("/api/v1/breaches", content=body, headers={"Content-Type": kind})


def rows(hub: Hub) -> tuple[int, ...]:
    """How much is stored of what a flag leads to."""
    tables = (schema.breaches, schema.alerts, schema.events)
    with hub.rooms.store.read() as connection:
        return tuple(connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)


@given(flag=flags())
@FUZZ
def test_a_true_flag_is_one_breach_however_often_it_comes(hub: Hub, http: httpx.Client, flag: dict[str, Any]) -> None:
    body = json.dumps(flag).encode()
    first = post(http, body)
    assert first.status_code in {200, 201}, first.text
    stored = rows(hub)
    again = post(http, body)
    assert (again.status_code, again.json()) == (200, first.json())
    assert rows(hub) == stored


@given(flag=flags(), name=st.data(), value=anything)
@FUZZ
def test_an_altered_flag_is_refused_and_leaves_nothing(
    hub: Hub, http: httpx.Client, flag: dict[str, Any], name: st.DataObject, value: object
) -> None:
    altered = name.draw(st.sampled_from([*flag, "note"]))
    stored = rows(hub)
    answer = post(http, json.dumps({**flag, altered: value}).encode())
    assert answer.status_code in {*REFUSED, 200, 201}, answer.text
    if answer.status_code in REFUSED:
        assert rows(hub) == stored
        assert answer.headers["content-type"] == "application/problem+json"
    else:  # what it says now is a flag too, and one breach at most
        assert all(now - before in {0, 1} for now, before in zip(rows(hub), stored, strict=True))


@given(
    body=st.binary(max_size=9000), kind=st.sampled_from(["application/json", "text/plain", "", "application/x+json"])
)
@FUZZ
def test_bytes_are_refused_and_leave_nothing(hub: Hub, http: httpx.Client, body: bytes, kind: str) -> None:
    stored = rows(hub)
    answer = post(http, body, kind)
    assert answer.status_code in REFUSED, (answer.status_code, answer.text)
    assert rows(hub) == stored


@given(flag=flags(), cut=st.integers(0, 700), junk=st.binary(max_size=8))
@FUZZ
def test_a_flag_with_bytes_replaced_is_no_fault_of_the_hub(
    http: httpx.Client, flag: dict[str, Any], cut: int, junk: bytes
) -> None:
    body = json.dumps(flag).encode()
    answer = post(http, body[:cut] + junk + body[cut + len(junk) :])
    assert answer.status_code in {*REFUSED, 200, 201}, answer.text
