from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator

import pytest

from gateway.hub.projection.projector import Projector, project_all
from gateway.hub.projection.setup import set_up
from gateway.hub.projection.writing import InfluxWriter, open_client
from gateway.hub.settings import InfluxSettings
from tests.integration.influx_engine import Engine, Front, ask, open_engine
from tests.integration.week import NOW_MS, Week, make_week

_engines: set[str] = set()


@pytest.fixture(scope="session")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A running InfluxDB; see influx_engine."""
    try:
        engine = open_engine(tmp_path_factory.mktemp("influx"))
    except FileNotFoundError as error:
        pytest.skip(str(error))
    _engines.add(engine.name)
    yield engine
    engine.close()


@pytest.fixture
def front(influx: Engine) -> Iterator[Front]:
    """The way to it, on which things go wrong."""
    opened = Front(influx)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def new_buckets(influx: Engine) -> Iterator[Callable[[str], InfluxSettings]]:
    """Make two empty buckets; return settings that reach them by the given address. Foreign servers are cleaned up."""
    made: list[str] = []

    def make(url: str) -> InfluxSettings:
        stem = os.environ.get("COLDCHAIN_TEST_INFLUX_BUCKET", "coldchain_test")
        settings = InfluxSettings(
            url=url, token=influx.token, org=influx.org, bucket=f"{stem}_{secrets.token_hex(4)}", timeout_s=30
        )
        names = [settings.bucket, settings.long_bucket_name]
        made.extend(names)
        if influx.translates:
            for name in names:
                ask(influx.url, "", f'CREATE DATABASE "{name}"')
        else:
            list(set_up(settings))
        return settings

    yield make
    if not influx.translates:
        with open_client(InfluxSettings(url=influx.url, token=influx.token, org=influx.org)) as client:
            found = [client.buckets_api().find_bucket_by_name(name) for name in made]
            for bucket in found:
                if bucket is not None:
                    client.buckets_api().delete_bucket(bucket)


@pytest.fixture
def buckets(front: Front, new_buckets: Callable[[str], InfluxSettings]) -> InfluxSettings:
    """Two empty buckets behind the front."""
    return new_buckets(front.url)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name in sorted(_engines):
        terminalreporter.write_line(f"InfluxDB tests ran on: {name}")


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    """A simulated week in a hub's store."""
    made = make_week(tmp_path_factory.mktemp("week"))
    yield made
    made.store.close()


@pytest.fixture(scope="session")
def week_settings(week: Week, influx: Engine, new_buckets: Callable[[str], InfluxSettings]) -> Iterator[InfluxSettings]:
    """The week, projected: settings that reach it."""
    way = Front(influx)
    settings = new_buckets(way.url)
    writer = InfluxWriter(settings)
    done = project_all(Projector(week.store, week.archive, writer, settings), lambda: NOW_MS)
    writer.close()
    assert done.refused == 0
    yield settings
    way.close()
