"""The worker against real sinks, on both databases: what is planned, sent, tried again, gathered, given up."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, select, update

from gateway.cli import main
from gateway.hub.access.roles import Role
from gateway.hub.breaches.keeping import BreachState
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.notification import worker
from gateway.hub.notification.ledger import (
    Message,
    MessageState,
    make_messages,
    note_failure,
    notice_alerts,
    read_due,
    read_messages,
)
from gateway.hub.notification.signing import is_authentic
from gateway.hub.notification.worker import Notifier
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import open_rooms
from gateway.hub.settings import AccessSettings, HubSettings
from gateway.hub.signals.alerts import AlertKind, raise_alert
from gateway.hub.signals.events import Bell
from tests.hub.notification.scene import (
    NOW_MS,
    SECRET,
    WebSink,
    acknowledge,
    break_limit,
    mail_sink,
    register,
    register_consignment,
    settings_of,
    wait_until,
    web_sink,
)
from tests.hub.vans import sqlite_only
from tests.waiting import until_found

MINUTE_MS = 60_000


class Time:
    """Domain time that a test moves."""

    rate = 1.0

    def __init__(self) -> None:
        self.at_ms = NOW_MS

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_ms(self) -> int:
        return self.at_ms

    def trusted(self) -> bool:
        return True

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@asynccontextmanager
async def running(store: Store, settings: HubSettings, clock: Time | None = None, **more: Any) -> AsyncIterator[Bell]:  # noqa: ANN401  of the worker
    bell = Bell()
    rng = random.Random(1)  # noqa: S311  jitter
    async with asyncio.TaskGroup() as tasks:  # what goes wrong in the worker ends the test
        task = tasks.create_task(Notifier(store, settings, clock or Time(), rng=rng, **more).run(bell))
        yield bell
        task.cancel()


def web(sink: WebSink, name: str = "WARD-3", **more: object) -> dict[str, Any]:
    return {"name": name, "language": "en", "channels": [{"id": "web", "url": sink.url, "secret": SECRET}], **more}


def texts(sink: WebSink) -> list[str]:
    return [json.loads(body)["title"] for _, body in sink.posted]


async def test_the_requester_hears_of_it_signed_and_in_words(store: Store, tmp_path: Path) -> None:
    with web_sink("redirect", "twice") as sink, mail_sink() as mail:
        settings = settings_of(tmp_path, mail)
        mail.refuses = 1
        lab = {"name": "LAB", "channels": [{"id": "m", "url": "mailto:lab@lab.example"}]}
        register(store, settings, web(sink), lab)
        register_consignment(store)
        clock = Time()
        async with running(store, settings, clock) as bell:
            await asyncio.to_thread(break_limit, store)
            bell.ring()
            await until_found(lambda: sink.posted)
            headers, body = sink.posted[0]
            assert is_authentic(SECRET, headers, body, int(headers["webhook-timestamp"]))
            assert headers["webhook-id"] == headers["idempotency-key"] == json.loads(body)["id"]
            assert not mail.mails  # the laboratory's turn comes after ten minutes
            clock.at_ms += 10 * MINUTE_MS
            await until_found(lambda: mail.mails and not _messages(store))
        found = json.loads(body)
        assert found["title"] == "Temperature requirement broken: T-1 in C-1"
        assert "Told by the vehicle; its readings are still on their way." in found["text"]
        assert found["alerts"][0]["subject"] == "temperature"
        assert str(make_header(decode_header(mail.mails[0]["Subject"]))) == "Brudd på temperaturkrav: T-1 i C-1"
        assert re.fullmatch(r"<coldchain-[0-9a-f]{32}@lab\.example>", mail.mails[0]["Message-ID"])
        with store.read() as connection:
            assert read_messages(connection, None, 10) == []
            sent = read_messages(connection, MessageState.SENT, 10)
        assert [(one.recipient, one.attempts) for one in sent] == [("LAB", 2), ("WARD-3", 2)]


async def test_a_channel_that_hangs_holds_up_itself_alone(store: Store, tmp_path: Path) -> None:
    with web_sink("hang") as slow, web_sink() as quick:
        settings = settings_of(tmp_path)
        register(store, settings, web(slow, duties=["laboratory"]), web(quick, "QA", duties=["laboratory"]))
        async with running(store, settings, send_s=0.3) as bell:
            for number in range(3):
                await asyncio.to_thread(break_limit, store, number, "C-2")  # nobody knows whose it is: the laboratory
            bell.ring()
            await until_found(
                lambda: {one.recipient for one in _messages(store)} == {"WARD-3"} and len(quick.alerts) == 3
            )
            assert not slow.posted
            await until_found(lambda: any("no answer" in one.failure for one in _messages(store)))
            slow.released.set()
            await until_found(lambda: len(slow.alerts) == 3)


@sqlite_only
async def test_what_fails_while_the_list_is_read_is_not_sent_again_at_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_sink("hang") as sink:
        settings = settings_of(tmp_path)
        register(store, settings, web(sink))
        register_consignment(store)

        def read_slowly(connection: Connection, at_ms: int) -> list[Message]:
            due = read_due(connection, at_ms)
            if due and not sink.moods and not sink.released.is_set():
                sink.released.set()
                wait_until(lambda: _messages(store)[0].attempts)
                time.sleep(0.3)  # the task behind it ends
            return due

        monkeypatch.setattr(worker, "read_due", read_slowly)
        async with running(store, settings) as bell:
            await asyncio.to_thread(break_limit, store)
            bell.ring()
            await until_found(lambda: sink.posted and not _messages(store))
        with store.read() as connection:
            assert [one.attempts for one in read_messages(connection, MessageState.SENT, 10)] == [2]


def _messages(store: Store) -> list[Message]:
    with store.read() as connection:
        return read_messages(connection, None, 100)


async def test_what_is_acknowledged_goes_no_further_and_what_is_withdrawn_is_called_back(
    store: Store, tmp_path: Path
) -> None:
    with web_sink() as ward, web_sink() as lab:
        settings = settings_of(tmp_path)
        register(store, settings, web(ward), web(lab, "LAB"))
        register_consignment(store)
        clock = Time()
        async with running(store, settings, clock) as bell:
            first, second = [await asyncio.to_thread(break_limit, store, number) for number in range(2)]
            bell.ring()
            await until_found(lambda: len(ward.posted) == 2)
            await asyncio.to_thread(acknowledge, store, [first])
            clock.at_ms += 10 * MINUTE_MS
            await until_found(lambda: lab.posted)
            await asyncio.to_thread(_withdraw, store, second)
            await until_found(lambda: len(ward.posted) == 3 and len(lab.posted) == 2)
    assert [told["alerts"][0]["breach"] for told in map(json.loads, (body for _, body in lab.posted))] == [second] * 2
    assert texts(ward)[2] == texts(lab)[1] == "Alert withdrawn: T-1 in C-1"


def _withdraw(store: Store, breach_id: int) -> None:
    with store.write() as connection:
        table = schema.breaches
        values = {"state": BreachState.NOT_CONFIRMED}
        connection.execute(update(table).where(table.c.id == breach_id).values(values))
        about = {"consignment": "C-1", "item": "T-1", "kind": "forbidden", "rule": "x"}
        raise_alert(connection, AlertKind.RETRACTION, about, NOW_MS, breach_id=breach_id)


async def test_a_flood_becomes_a_digest(store: Store, tmp_path: Path) -> None:
    with web_sink() as sink:
        settings = settings_of(tmp_path)
        register(store, settings, web(sink, messages=3, window_min=10))
        register_consignment(store)
        for number in range(12):
            await asyncio.to_thread(break_limit, store, number)
        async with running(store, settings) as bell:
            bell.ring()
            await until_found(lambda: len(sink.posted) == 3)
    kinds = [json.loads(body)["type"] for _, body in sink.posted]
    assert kinds == ["alert", "alert", "digest"]
    assert texts(sink)[2] == "Coldchain: 10 alerts"
    assert sum(len(json.loads(body)["alerts"]) for _, body in sink.posted) == 12


@sqlite_only
async def test_whoever_cannot_be_reached_does_not_hold_up_the_next(store: Store, tmp_path: Path) -> None:
    with web_sink(*["fail"] * 3) as ward, web_sink() as lab:
        settings = settings_of(tmp_path)
        register(store, settings, web(ward), web(lab, "LAB"))
        register_consignment(store)
        await asyncio.to_thread(break_limit, store)
        async with running(store, settings) as bell:
            bell.ring()
            await until_found(lambda: lab.posted)  # the laboratory hears of it before its ten minutes are over


@sqlite_only
async def test_what_never_arrives_is_given_up_and_said(store: Store, tmp_path: Path) -> None:
    real_ms = [NOW_MS]
    with web_sink(*["fail"] * 99) as sink:
        settings = settings_of(tmp_path)
        register(store, settings, web(sink))
        register_consignment(store)
        await asyncio.to_thread(break_limit, store)
        async with running(store, settings, now_real_ms=lambda: real_ms[0]) as bell:
            bell.ring()
            await until_found(lambda: [one for one in _messages(store) if one.attempts == 1])
            real_ms[0] += 24 * 60 * MINUTE_MS
            bell.ring()
            await until_found(lambda: [one for one in _messages(store) if one.state is MessageState.FAILED])
    (message,) = _messages(store)
    assert (message.failure, message.recipient) == ("answers 503", "WARD-3")
    assert SECRET not in repr(message)


async def test_the_interface_shows_no_address_and_the_trail_holds_none(tmp_path: Path) -> None:
    with web_sink() as sink:
        settings = settings_of(tmp_path)
        access = AccessSettings(anonymous=frozenset({Role.ADMINISTRATOR}))
        rooms = open_rooms(settings.model_copy(update={"access": access}))
        transport = httpx.ASGITransport(create_app(rooms))
        async with httpx.AsyncClient(transport=transport, base_url="http://hub/api/v1/notification") as http:
            path = "/recipients/WARD-3"
            assert (await http.put(path, json=web(sink))).status_code == 200
            again = web(sink) | {"channels": [{"id": "web"}], "language": "nb"}
            assert (await http.put(path, json=again)).json()["channels"] == [
                {"id": "web", "url": "http://127.0.0.1/…", "signed": True}
            ]
            assert (await http.post(f"{path}/test")).json() == [{"channel": "web", "failure": ""}]
            assert texts(sink) == ["Coldchain: prøve av varsling"]
            for url, reason in [
                ("http://10.1.2.3/x", "unencrypted"),
                ("https://169.254.169.254/latest", "private address"),
                ("json://10.1.2.3/", "unencrypted"),
                ("jsons://10.1.2.3/", "private address"),
                ("file:///etc/passwd", "none of"),
                ("dbus://", "none of"),
                ("slack://a/b/c?template=/etc/passwd", "not let through"),
                ("jsons://example.org/?verify=no", "not let through"),
                ("twilio://x", "missing or wrong"),
                ("mailto:a@b.c", "mail server"),
                ("https://example.org/\r\nX: y", "control characters"),
            ]:
                body = {"name": "WARD-3", "channels": [{"id": "bad", "url": url}]}
                answer = await http.put(path, json=body)
                assert answer.status_code == 422, url
                assert answer.json()["field"] == "channels[0].url"
                assert reason in answer.json()["detail"], (url, answer.text)
                assert url not in answer.text
            own = {"name": "own", "order": 1, "steps": [{"to": ["WARD-3"]}]}
            assert (await http.put("/policies/own", json=own)).status_code == 200
            assert (await http.get("/policies")).json()[0]["name"] == "own"
            assert (await http.delete("/policies/own")).status_code == 204
            assert (await http.delete("/policies/own")).status_code == 404
            listed = await http.get("/recipients")
            assert (await http.get("/messages")).json() == {"messages": [], "for_nobody": 0}
            assert (await http.delete(path)).status_code == 204
            assert (await http.post(f"{path}/test")).status_code == 404
        with rooms.store.read() as connection:
            trail = connection.execute(select(schema.audit).order_by(schema.audit.c.id)).all()
        rooms.store.close()
    kept = repr(trail) + listed.text
    assert [row.act for row in trail] == ["register", "register", "register", "remove", "remove"]
    assert SECRET not in kept
    assert sink.url not in kept
    assert "new address or secret: web" in kept


@sqlite_only
def test_the_command_tries_a_recipient_and_lists_what_waits(database: str, store: Store, tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    with web_sink() as sink:
        file.write_text(
            f'data_dir = "{tmp_path}"\ndatabase = "{database}"\n[notification]\nprivate = ["127.0.0.1"]\n', "utf-8"
        )
        settings = settings_of(tmp_path)
        register(store, settings, web(sink))
        runner = CliRunner()

        def run(*arguments: str) -> tuple[int, str]:
            result = runner.invoke(main, ["hub", "notify", "--settings", str(file), *arguments])
            return result.exit_code, result.output

        assert run("--test", "WARD-3") == (0, "WARD-3 web: taken\n")
        sink.moods.append("fail")
        assert run("--test", "WARD-3") == (1, "WARD-3 web: answers 503\n")
        status, output = run("--test", "WARD-9")
        assert (status, "no recipient WARD-9 (there are: WARD-3)" in output) == (2, True)
        assert run("--list") == (0, "everything was delivered\n")
        register_consignment(store)
        break_limit(store)
        with store.write() as connection:
            notice_alerts(connection, NOW_MS, ZoneInfo("Europe/Oslo"))
            make_messages(connection, NOW_MS, NOW_MS, lambda: "coldchain-7")
            (message,) = read_due(connection, NOW_MS)
            note_failure(connection, message, "answers 503", NOW_MS, NOW_MS, random.Random(1))  # noqa: S311  jitter
        status, output = run()
        assert status == 1
        assert "WARD-3 web: waiting after 1 attempts: answers 503" in output
