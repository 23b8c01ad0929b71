from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from gateway.hub.database.store import Store
from gateway.hub.replication.ingest import Ingest
from gateway.hub.settings import MailSettings
from gateway.keys import SigningKey, load_or_create_key
from tests.hub.heads.leaving import Page, Sink
from tests.hub.vans import START_MS, Van, observe
from tests.servers.ports import free_port
from tests.servers.tsa import Authority, running_authority
from tests.waiting import LIMIT_S


@pytest.fixture
def mail() -> Iterator[tuple[Sink, MailSettings]]:
    sink = Sink()
    port = free_port()
    controller = Controller(sink, hostname="127.0.0.1", port=port, ready_timeout=LIMIT_S)
    controller.start()
    try:
        yield (
            sink,
            MailSettings(
                host="127.0.0.1", port=port, security="none", sender="hub@lab.example", to=("qa@lab.example",)
            ),
        )
    finally:
        controller.stop()


@pytest.fixture
def page() -> Iterator[Page]:
    with Page() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with running_authority(tmp_path_factory.mktemp("authority") / "tsa") as running:
        yield running


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return load_or_create_key(tmp_path / "hub" / "hub.key")


@pytest.fixture
def filled(store: Store, van: Van) -> Van:
    for place in range(4):
        van.seal(observe(place * 30, 5.0, counter=place))
    Ingest(store, lambda: START_MS).take(van.deliveries())
    return van
