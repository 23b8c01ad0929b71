from __future__ import annotations

import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import insert

from gateway.hub.database import schema
from gateway.hub.database.store import Store, open_store
from tests.hub.vans import START_MS, Enrol, Van


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a hub that holds nothing yet, of each kind in turn; tests about SQLite alone say `sqlite_only`."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        return f"sqlite:///{shutil.copy(template, tmp_path / 'hub.sqlite3')}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    opened = open_store(database)
    yield opened
    opened.close()


@pytest.fixture
def enrolled(store: Store) -> Enrol:
    def enrol(van: Van) -> Van:
        with store.write() as connection:
            connection.execute(insert(schema.gateways).values(name=van.name, created_at_ms=START_MS))
            connection.execute(
                insert(schema.gateway_keys).values(
                    gateway=van.name,
                    public_key=van.key.public_bytes,
                    token_hash=sha256(van.name.encode()).digest(),
                    enrolled_at_ms=START_MS,
                )
            )
        return van

    return enrol


@pytest.fixture
def van(enrolled: Enrol) -> Van:
    return enrolled(Van())
