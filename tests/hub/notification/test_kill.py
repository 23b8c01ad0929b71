"""SIGKILL between any two steps of a real process: no alert is lost, and what comes twice has one id."""

from __future__ import annotations

import signal
from pathlib import Path
from shutil import copytree

from sqlalchemy import select

from gateway.hub.database.schema import alerts, messages
from gateway.hub.database.store import open_existing_store, open_store
from gateway.hub.settings import HubSettings
from tests.hub.notification.killed import run_worker
from tests.hub.notification.scene import (
    SECRET,
    MailSink,
    WebSink,
    break_limit,
    mail_sink,
    register,
    register_consignment,
    settings_of,
    web_sink,
)
from tests.servers.workers import _context
from tests.waiting import LIMIT_S

ALERTS = 2
STEPS_MAX = 60


def _start(settings: HubSettings, killed_at: int) -> int | None:
    process = _context.Process(target=run_worker, args=(settings, killed_at), daemon=True)
    process.start()
    process.join(LIMIT_S)
    if process.is_alive():
        process.kill()
        process.join()
        raise TimeoutError
    return process.exitcode


def test_a_worker_killed_between_any_two_steps_loses_nothing(tmp_path: Path) -> None:
    repeated = 0
    with web_sink() as web, mail_sink() as mail:
        prepared = settings_of(tmp_path / "prepared", mail)
        _prepare(prepared, web)
        for killed_at in range(1, STEPS_MAX):
            settings = settings_of(tmp_path / str(killed_at), mail)
            copytree(prepared.data_dir, settings.data_dir)
            web.moods[:] = ["fail"] if killed_at % 6 == 0 else [("twice", "drop")[killed_at % 2]]
            web.posted.clear()
            mail.mails.clear()
            ended = _start(settings, killed_at)
            assert ended in {0, -signal.SIGKILL}
            if ended:
                assert _start(settings, 0) == 0
            repeated += _check(settings, web, mail)
            if not ended:
                break
    assert 8 < killed_at < STEPS_MAX - 1  # it was killed at every step, and then there was none left
    assert repeated > 0  # killed after sending and before noting it: sent again, under the same id


def _prepare(settings: HubSettings, web: WebSink) -> None:
    store = open_store(settings.database_url)
    try:
        channels = [{"id": "web", "url": web.url, "secret": SECRET}, {"id": "mail", "url": "mailto:ward@lab.example"}]
        register(store, settings, {"name": "WARD-3", "channels": channels})
        register_consignment(store)
        for number in range(ALERTS):
            break_limit(store, number)
    finally:
        store.close()


def _check(settings: HubSettings, web: WebSink, mail: MailSink) -> int:
    """Each alert has come to each channel; return how many messages came more than once."""
    store = open_existing_store(settings.database_url)
    try:
        with store.read() as connection:
            wanted = set(connection.execute(select(alerts.c.id)).scalars())
            sent = {row.uid: row.channel for row in connection.execute(select(messages.c.uid, messages.c.channel))}
    finally:
        store.close()
    assert len(wanted) == ALERTS
    assert {one for told in web.alerts.values() for one in told} == wanted
    assert set(web.alerts) == {uid for uid, channel in sent.items() if channel == "web"}
    ids = [str(each["Message-ID"]).strip("<>").partition("@")[0] for each in mail.mails]
    assert set(ids) == {uid for uid, channel in sent.items() if channel == "mail"}
    assert len(sent) == 2 * ALERTS  # no alert has two ids on one channel
    return len(web.posted) - len(web.alerts) + len(ids) - len(set(ids))
