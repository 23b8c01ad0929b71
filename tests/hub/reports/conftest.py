from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.hub.rooms import Rooms
from tests.hub.reports.transports import add_empty, add_long, add_ordinary, open_hub


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    with open_hub(tmp_path_factory.mktemp("hub")) as opened:
        add_ordinary(opened)
        add_empty(opened)
        yield opened


@pytest.fixture(scope="module")
def long_rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    with open_hub(tmp_path_factory.mktemp("hub"), hours=25) as opened:
        add_long(opened)
        yield opened
