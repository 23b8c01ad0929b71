from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.hub.store import open_store
from tests.servers.postgres import TEMPLATE, Cluster, PostgresMissingError, running_cluster


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL cluster whose template has the hub's tables."""
    try:
        with running_cluster() as cluster:
            open_store(cluster.url(TEMPLATE)).close()
            yield cluster
    except PostgresMissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def postgres_url(postgres: Cluster) -> Iterator[str]:
    """A database of one's own."""
    url = postgres.make_database()
    yield url
    postgres.drop_database(url)
