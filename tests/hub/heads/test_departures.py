"""Heads leave the hub: to a folder, a web address, a mailbox, with a timestamp; or they wait, and it is told."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from gateway.cli import main
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.notification.facts import read_story
from gateway.hub.notification.wording import say_alert
from gateway.hub.replication.ingest import Ingest
from gateway.hub.review.alerts import StoredAlert, read_alerts
from gateway.hub.settings import MailSettings
from gateway.hub.signals.alerts import AlertKind
from gateway.hub.times import real_ms
from gateway.hub.upkeep import departures as module
from gateway.hub.upkeep.departures import UNDELIVERED_MS, Departures
from gateway.keys import SigningKey
from gateway.language import Language, speech_of
from tests.hub.heads.leaving import DAY_MS, Page, Sink, settings, states
from tests.hub.vans import START_MS, Van, observe, sqlite_only
from tests.servers.tsa import Authority
from tests.waiting import LIMIT_S


def test_heads_that_do_not_arrive_are_told_of_once_until_they_do(
    store: Store, filled: Van, key: SigningKey, tmp_path: Path, mail: tuple[Sink, MailSettings]
) -> None:
    sink, mailbox = mail
    sink.refuses = True
    departures = Departures(store, key, settings(tmp_path, mail=mailbox))
    departures.write(START_MS)
    departures.deliver(START_MS)
    departures.tell_undelivered(START_MS + UNDELIVERED_MS - 1)
    assert _alerts(store) == []
    departures.write(START_MS + UNDELIVERED_MS)
    departures.deliver(START_MS + UNDELIVERED_MS)
    for late_ms in (0, DAY_MS):
        departures.tell_undelivered(START_MS + UNDELIVERED_MS + late_ms)
    (told,) = _alerts(store)
    assert (told.kind, told.about["destination"], told.about["heads"]) == (AlertKind.HEADS_UNDELIVERED, "mail", 1)
    assert "come back later" in told.about["reason"]
    with store.read() as connection:
        said = say_alert(read_story(connection, told.id), speech_of(Language.EN, ZoneInfo("UTC")))
    assert said.title == "The signed heads do not leave the hub"
    assert "mail" in said.text
    sink.refuses = False
    departures.deliver(START_MS + 2 * DAY_MS)
    departures.tell_undelivered(START_MS + 2 * DAY_MS)
    (over,) = _alerts(store)
    assert (over.resolution, over.resolved_at_ms) == ("delivered", START_MS + 2 * DAY_MS)


def _alerts(store: Store) -> list[StoredAlert]:
    with store.read() as connection:
        return read_alerts(connection, waiting=False)


def test_everywhere_arrives_the_same_document_and_then_its_timestamp(
    store: Store,
    filled: Van,
    key: SigningKey,
    tmp_path: Path,
    mail: tuple[Sink, MailSettings],
    page: Page,
    authority: Authority,
) -> None:
    sink, mailbox = mail
    url = f"http://127.0.0.1:{page.server_port}/heads"
    there = settings(
        tmp_path, folder=tmp_path / "share", webhook=url, webhook_token="t", mail=mailbox, timestamp_url=authority.url
    )
    departures = Departures(store, key, there)
    written = departures.write(START_MS)
    departures.deliver(START_MS)
    assert all(states(departures).values())
    assert len(states(departures)) == 7
    names = sorted(path.name for path in (tmp_path / "share").iterdir())
    assert names == [f"{written.name}.json", f"{written.name}.tsr"]
    document = (tmp_path / "share" / names[0]).read_bytes()
    assert document == written.document.encode()
    assert [body for _, body in page.posted] == [document, (tmp_path / "share" / names[1]).read_bytes()]
    assert page.posted[0][0]["Authorization"] == "Bearer t"
    assert names[0] in page.posted[0][0]["Content-Disposition"]
    attached = [
        part.get_payload(decode=True) for message in sink.messages for part in message.walk() if part.get_filename()
    ]
    assert attached == [body for _, body in page.posted]
    judged = subprocess.run(  # noqa: S603  the machine's openssl, a foreign judge of what we keep
        ["openssl", "ts", "-verify", "-in", names[1], "-data", names[0], "-CAfile", str(authority.ca)],  # noqa: S607  the same
        cwd=tmp_path / "share",
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stderr


def test_what_is_not_delivered_waits_is_shown_and_comes_in_order(
    store: Store, filled: Van, key: SigningKey, tmp_path: Path, mail: tuple[Sink, MailSettings], page: Page
) -> None:
    sink, mailbox = mail
    sink.refuses, page.status = True, 503
    url = f"http://127.0.0.1:{page.server_port}/heads"
    departures = Departures(store, key, settings(tmp_path, webhook=url, mail=mailbox))
    departures.write(START_MS)
    departures.deliver(START_MS)
    departures.write(START_MS + DAY_MS)
    departures.deliver(START_MS)
    assert {key for key, done in states(departures).items() if not done} == {
        (number, "document", destination) for number in (1, 2) for destination in ("mail", "webhook")
    }
    failures = {one.destination: one.failure for one in departures.recent(9) if one.number == 1}
    assert failures["webhook"] == "answers 503"
    assert "come back later" in failures["mail"]
    assert departures._due("mail", real_ms()) is None, "nothing is tried before its pause is over"
    sink.refuses, page.status = False, 200
    departures.deliver(START_MS)
    assert all(states(departures).values())
    numbers = [json.loads(json.loads(body)["statement"])["number"] for _, body in page.posted]
    assert numbers == [1, 2]


@sqlite_only
async def test_a_destination_that_hangs_holds_up_no_other(
    store: Store, filled: Van, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    hangs = threading.Event()
    departures = Departures(store, key, settings(tmp_path))
    departures._carriers = {"mail": lambda _: hangs.wait() and None, **departures._carriers}  # type: ignore[assignment]  one that hangs
    running = asyncio.create_task(departures.run(lambda: START_MS))
    try:
        async with asyncio.timeout(LIMIT_S):
            while not list((tmp_path / "hub" / "heads").glob("heads-*.json")):  # noqa: ASYNC110  a file has no event
                await asyncio.sleep(0.05)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        hangs.set()
    assert states(departures)[1, "document", "mail"] is False


async def test_one_is_made_each_day_and_not_before_there_is_anything(
    store: Store, van: Van, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    departures = Departures(store, key, settings(tmp_path))
    assert not departures.write_if_due(START_MS)
    van.seal(observe(0, 5.0))
    Ingest(store, lambda: START_MS).take(van.deliveries())
    assert departures.write_if_due(START_MS)
    assert not departures.write_if_due(START_MS + 1)
    assert not departures.write_if_due(START_MS - DAY_MS)
    assert departures.write_if_due(START_MS + DAY_MS)
    with store.read() as connection:
        acts = connection.execute(select(schema.audit.c.act)).scalars()
        assert list(acts).count("write_heads") == 2


@sqlite_only
def test_a_file_of_that_name_is_never_replaced(store: Store, filled: Van, key: SigningKey, tmp_path: Path) -> None:
    departures = Departures(store, key, settings(tmp_path))
    written = departures.write(START_MS)
    target = tmp_path / "hub" / module.FOLDER / f"{written.name}.json"
    target.parent.mkdir(parents=True)
    target.write_text("something else")
    departures.deliver(START_MS)
    assert departures.recent(1)[0].failure.endswith("is something else")
    assert target.read_text() == "something else"


@sqlite_only
@pytest.mark.parametrize("answer", [b"no timestamp", b"", b"0\x03\x02\x01\x00"])
def test_an_authority_that_answers_nonsense_is_a_failure(
    store: Store, filled: Van, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    import httpx  # noqa: PLC0415  only here

    def post(url: str, **_: object) -> httpx.Response:
        return httpx.Response(200, content=answer, request=httpx.Request("POST", url))

    monkeypatch.setattr("gateway.hub.proof.timestamps.httpx.post", post)
    departures = Departures(store, key, settings(tmp_path, timestamp_url="http://tsa.example"))
    departures.write(START_MS)
    departures.deliver(START_MS)
    assert not states(departures)[1, "document", "authority"]


@sqlite_only
def test_the_command_makes_delivers_and_lists(database: str, filled: Van, tmp_path: Path, page: Page) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(
        f'data_dir = "{tmp_path / "hub"}"\ndatabase = "{database}"\n'
        f'[heads]\nfolder = "{tmp_path / "away"}"\nwebhook = "http://127.0.0.1:{page.server_port}/"\n'
    )
    page.status = 500
    arguments = ["hub", "heads", "--settings", str(file)]
    listed = CliRunner().invoke(main, arguments)
    assert (listed.exit_code, listed.stdout) == (0, "no heads were made yet\n")
    made = CliRunner().invoke(main, [*arguments, "--now"])
    assert made.exit_code == 1
    assert "folder: there; webhook: waits after 1 attempts: answers 500" in made.stdout
    assert len(list((tmp_path / "away").glob("heads-000001-*.json"))) == 1
