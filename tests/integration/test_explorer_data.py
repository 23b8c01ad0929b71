"""The explorer asks a real InfluxDB where one is set up, and shows the same as it does from the archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.hub.processes.app import create_app
from gateway.hub.rooms import open_rooms
from gateway.hub.settings import HubSettings, InfluxSettings
from gateway.hub.web.quality import explorer
from tests.hub.vans import START_MS, iso
from tests.integration.week import COLD, DAY, EXTREME_C, HOUR, LENGTH_S, NOW_MS, WARM, Week

NOW = iso((NOW_MS - START_MS) // 1000)
CLOCK = {"start": NOW, "stop": NOW, "rate": 1.0, "anchor_ns": 0}
MORNING_S = (DAY + 7 * HOUR, DAY + 10 * HOUR)


async def ask_page(settings: HubSettings, span_s: tuple[int, int]) -> dict[str, Any]:
    rooms = open_rooms(settings)
    asked = {"logger": [WARM, COLD], "profile": "storage-2-8"}
    asked |= {"since_ms": START_MS + span_s[0] * 1000, "until_ms": START_MS + span_s[1] * 1000}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(rooms)), base_url="http://hub") as client:
        answer = await client.get("/explore/data", params=asked)
    rooms.store.close()
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.parametrize("span_s", [(0, LENGTH_S), MORNING_S])
async def test_influx_and_the_archive_show_the_same(
    week: Week,
    week_settings: InfluxSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    span_s: tuple[int, int],
) -> None:
    with week.store.read() as connection:
        database = str(connection.engine.url)
    access = {"anonymous": ["quality"]}
    plain = HubSettings(data_dir=tmp_path, database=database, clock=CLOCK, access=access)  # type: ignore[arg-type]  pydantic reads them
    expected = await ask_page(plain, span_s)
    monkeypatch.delattr(explorer, "ArchiveHistory")  # what is asked now is InfluxDB, or nothing
    shown = await ask_page(plain.model_copy(update={"influx": week_settings}), span_s)
    assert shown == expected
    warm, cold = shown["series"]
    assert max(value for value in warm["high"] if value is not None) == EXTREME_C
    assert (None in warm["high"]) == (span_s != MORNING_S)  # an hour that nothing has filled
    assert max(cold["high"]) < EXTREME_C
