from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.configuration import Box, Logger, LoggerKind, reveal
from gateway.hub.access.tokens import HUB_SECRET_FILE, SECRET_BYTES, load_or_create_secret
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.registry import Registry

KEY = "231d39c1d7cc1ab1aee224cd096db932"
LOGGER = Logger.model_validate({"address": "A4:C1:38:00:00:01", "kind": "bthome", "box": "BOX-1", "bindkey": KEY})


def test_a_bindkey_reaches_the_vehicle_and_nobody_else(store: Store) -> None:
    registry = Registry(store, lambda: 1_767_225_600_000)
    registry.put_box(Box(code="BOX-2"), "test")
    registry.put_logger(LOGGER, "test")
    registry.put_logger(LOGGER.model_copy(update={"box": "BOX-2"}), "test")
    with store.write() as connection:
        connection.execute(schema.gateways.insert().values(name="VAN-1", created_at_ms=0))
    configurations = Configurations(store, lambda: 1_767_225_600_000)
    (configuration,) = configurations.refresh()
    assert KEY in reveal(configuration)
    (logger,) = configurations.refresh()[0].loggers
    assert configurations.refresh()[0].version == configuration.version, "nothing has changed"
    assert (logger.kind, logger.bindkey) == (LoggerKind.BTHOME, LOGGER.bindkey)
    with store.read() as connection:
        trail = str(connection.execute(schema.audit.select()).all())
    assert LOGGER.address in trail
    assert KEY not in trail
    (listed,) = registry.loggers()
    assert KEY not in listed.model_dump_json()


def test_a_secret_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def be_killed(_descriptor: int) -> None:
        raise InterruptedError

    with monkeypatch.context() as early:
        early.setattr("gateway.hub.access.tokens.os.fsync", be_killed)
        with pytest.raises(InterruptedError):
            load_or_create_secret(tmp_path)
    made = load_or_create_secret(tmp_path)
    assert len(made) == SECRET_BYTES
    assert load_or_create_secret(tmp_path) == made
    assert (tmp_path / HUB_SECRET_FILE).stat().st_mode & 0o777 == 0o600


def test_of_two_that_make_a_secret_at_once_both_have_the_first_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_late(_descriptor: int) -> None:
        (tmp_path / HUB_SECRET_FILE).write_bytes(b"another process's")

    monkeypatch.setattr("gateway.hub.access.tokens.os.fsync", be_late)
    assert load_or_create_secret(tmp_path) == b"another process's"
    assert [path.name for path in tmp_path.iterdir()] == [HUB_SECRET_FILE]
