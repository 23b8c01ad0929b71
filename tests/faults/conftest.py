from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.mosquitto import DEFAULTS, Mosquitto, MosquittoMissingError


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Mosquitto as it is when nobody has configured anything but a way in."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    try:
        mosquitto = Mosquitto(folder)
    except MosquittoMissingError as error:
        pytest.skip(str(error))
    mosquitto.start(DEFAULTS)
    yield mosquitto
    mosquitto.stop()
