"""What the record costs, as far as it depends on no machine; the rest is measured by benchmarks/record.py."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from benchmarks.fleet.tags import START_MS, hear_contents, make_tags
from gateway.core.contents import Content
from gateway.keys import SigningKey
from gateway.vehicle.settings import OutboxSettings, RecordingSettings
from gateway.vehicle.storage import DATABASE, Storage
from tests.vehicle.samples import BOOT, NOW, VAN

LOGGERS, HOURS_A_DAY, DAYS_A_YEAR = 50, 24, 365
INTERVAL_S = RecordingSettings().interval_s
EVERYTHING = 1 << 40


def seal(folder: Path, key: SigningKey, contents: list[Content]) -> list[bytes]:
    storage = Storage.open(folder, VAN, key, max_bytes=EVERYTHING, boot=BOOT)
    storage.database.execute("PRAGMA synchronous = OFF")
    for place, content in enumerate(contents):
        storage.outbox.seal(content, sealed_at_ms=START_MS + place * INTERVAL_S * 1000, config_version=1)
    messages = [row.data for row in storage.outbox.pending(EVERYTHING, -1, NOW)]
    storage.close()
    return messages


@pytest.fixture(scope="module")
def hour() -> list[Content]:
    return list(hear_contents(make_tags(LOGGERS), INTERVAL_S, 3600))


def test_fifty_loggers_publish_at_most_two_megabytes_a_day(
    tmp_path: Path, key: SigningKey, hour: list[Content]
) -> None:
    overhead = len(f"coldchain/v1/{VAN}/log") + 8
    assert sum(len(message) + overhead for message in seal(tmp_path, key, hour)) * HOURS_A_DAY <= 2_000_000


def test_a_reading_takes_at_most_eight_bytes_at_sixty_of_one_logger(tmp_path: Path, key: SigningKey) -> None:
    contents = list(hear_contents(make_tags(1), INTERVAL_S, 60 * INTERVAL_S * 20, each=60, health=False))
    messages = seal(tmp_path, key, contents)
    assert sum(map(len, messages)) / (60 * len(messages)) <= 8


def test_a_year_offline_fits_the_card(tmp_path: Path, key: SigningKey, hour: list[Content]) -> None:
    seal(tmp_path, key, hour)
    year_bytes = (tmp_path / DATABASE).stat().st_size * HOURS_A_DAY * DAYS_A_YEAR
    assert year_bytes <= OutboxSettings().max_bytes
    with sqlite3.connect(tmp_path / DATABASE) as database:
        assert database.execute("SELECT COUNT(*) FROM segments").fetchone() == (3600 // INTERVAL_S,)
    database.close()
