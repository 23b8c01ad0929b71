from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gateway.hub.database.store import open_store
from tests.servers.postgres import TEMPLATE, Cluster, PostgresMissingError, running_cluster

LONGEST = ("simulation/test_seeds", "faults/test_killed_trip", "workers/test_workers", "demo/test_demo", "faults/")
"""Begun first: whoever runs tests side by side would wait for one of these at the end."""

# No example has a time limit: a busy machine would break it. The same examples on each run, unless more are asked for.
settings.register_profile(
    "suite",
    deadline=None,
    derandomize="COLDCHAIN_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the longest files before the others; within each, as written."""
    items.sort(key=lambda item: next((at for at, name in enumerate(LONGEST) if name in item.nodeid), len(LONGEST)))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL cluster whose template has the hub's tables."""
    try:
        with running_cluster() as cluster:
            open_store(cluster.url(TEMPLATE)).close()
            yield cluster
    except PostgresMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database that has the hub's tables, to be copied: making them takes longer than most tests."""
    made = tmp_path_factory.mktemp("template", numbered=True) / "hub.sqlite3"
    open_store(f"sqlite:///{made}").close()
    return made


@pytest.fixture
def postgres_url(postgres: Cluster) -> Iterator[str]:
    """A database of one's own."""
    url = postgres.make_database()
    yield url
    postgres.drop_database(url)
