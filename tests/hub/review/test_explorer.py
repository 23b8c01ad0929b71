"""The lines of the explorer: no extreme lost, gaps and nothing else broken, Norway's clock across its changes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from gateway import profiles
from gateway.core.configuration import Box, Calibration, Logger
from gateway.hub.processes.app import create_app
from gateway.hub.projection.history import Interval
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.hub.web.quality import explorer
from gateway.hub.web.quality.limits import say_limits
from gateway.hub.web.quality.lines import Lines, draw_lines, label_ticks, make_line, offsets_in, to_document
from gateway.language import Language, speech_of
from gateway.language.speech import plain
from tests.hub.vans import LOGGER, START_MS, Van, iso, observe

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
AUTUMN_MS = round(datetime(2026, 10, 25, 0, 0, tzinfo=UTC).timestamp() * 1000)  # 02:00 +02:00; an hour later again
ENGLISH = speech_of(Language.EN)
CLOCK = {"start": iso(0), "stop": iso(7200), "rate": 1e5, "anchor_ns": 0}


def interval(minute: int, low: float, high: float) -> Interval:
    return Interval(START_MS + minute * MINUTE_MS, 2, low, high, (low + high) / 2)


def lines(*intervals: Interval, step_ms: int = MINUTE_MS) -> Lines:
    line = make_line(Logger(address=LOGGER, box="BOX-1"), intervals, step_ms)
    return Lines([line], START_MS, START_MS + HOUR_MS, step_ms)


def test_only_a_gap_breaks_a_line() -> None:
    slow = lines(interval(0, 5, 5), interval(5, 5, 5), interval(10, 5, 6), interval(30, 5, 5))
    assert [len(run) for run in slow.lines[0].runs] == [3, 1]
    (series,) = to_document(slow, ENGLISH)["series"]  # type: ignore[misc]  it is a list
    assert series["low"] == [5, 5, 5, None, 5]
    assert series["high"] == [5, 5, 6, None, 5]
    assert series["at"][3] == START_MS + 11 * MINUTE_MS
    drawn = draw_lines(slow, ENGLISH)
    assert drawn.count('class="run run-0"') == 2


def test_extremes_of_an_interval_are_both_drawn() -> None:
    picture = draw_lines(lines(interval(0, 5, 5), interval(1, -3.5, 14), interval(2, 5, 5)), ENGLISH)
    (path,) = re.findall(r'class="run run-0" d="M([^"]*)Z"', picture)
    heights = [float(point.split()[1]) for point in path.split("L")]
    assert len(heights) == 6
    assert min(heights) == heights[1]
    assert max(heights) == heights[4]
    assert "nan" not in draw_lines(lines(), ENGLISH)


def test_limits_stand_where_they_belong_and_what_is_far_away_is_only_said() -> None:
    potassium = profiles.load("potassium")  # 15 to 25 °C, and never below 8 °C
    warm = replace(lines(interval(0, 19, 19), interval(1, 22, 26)), profile=potassium)
    document = to_document(warm, ENGLISH)["limits"]
    assert document == {
        "lines": [
            {"at": 8.0, "kind": "low", "label": "8\u00a0°C"},
            {"at": 15.0, "kind": "band", "label": "15\u00a0°C"},
            {"at": 25.0, "kind": "band", "label": "25\u00a0°C"},
        ],
        "bands": [(15.0, 25.0)],
    }
    picture = draw_lines(warm, ENGLISH)
    (band,) = re.findall(r'class="band" x="[^"]*" y="([^"]*)" width="[^"]*" height="([^"]*)"', picture)
    drawn = re.findall(r'class="limit" d="M[^ ]* ([^"H]*)H', picture)
    low, cold_end, warm_end = (float(y) for y in drawn)
    assert (float(band[0]), float(band[0]) + float(band[1])) == pytest.approx((warm_end, cold_end), abs=0.2)
    # 7 °C to 27 °C is what is shown, a degree beyond what is in it: the lines divide it as the figures do.
    assert (low - cold_end) / (cold_end - warm_end) == pytest.approx(7 / 10, abs=0.01)
    frozen = replace(lines(interval(0, -80, -70)), profile=potassium)
    assert to_document(frozen, ENGLISH)["limits"] == {"lines": [], "bands": [(15.0, 25.0)]}
    assert 'class="limit"' not in draw_lines(frozen, ENGLISH)
    assert plain(say_limits(potassium, ENGLISH)).endswith(
        f"version {potassium.version}: 15 °C to 25 °C, not below 8 °C"
    )
    assert plain(say_limits(profiles.load("insulin-glargine-in-use"), ENGLISH)).endswith(": 0 °C to 30 °C")
    assert 'class="band"' not in draw_lines(lines(interval(0, 5, 5)), ENGLISH)


def test_the_hour_that_comes_twice_reads_twice() -> None:
    ticks = label_ticks(AUTUMN_MS, AUTUMN_MS + 2 * HOUR_MS, ENGLISH)
    assert [label for _, label in ticks if label.startswith("02:00")] == ["02:00\n25 Oct 2026 +02:00", "02:00\n+01:00"]
    assert all(before < after for (before, _), (after, _) in pairwise(ticks))
    assert offsets_in(AUTUMN_MS, AUTUMN_MS + 2 * HOUR_MS) == [(AUTUMN_MS, 120), (AUTUMN_MS + HOUR_MS, 60)]


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    access = {"anonymous": ["quality"]}
    opened = open_rooms(HubSettings(data_dir=tmp_path, clock=CLOCK, language="en", access=access))  # type: ignore[arg-type]  pydantic reads them
    calibration = Calibration(certificate="K", calibrated_at=iso(-86400), due_at=iso(86400), offset_c=0.5)
    opened.registry.put_box(Box(code="BOX-1"), "test")
    opened.registry.put_logger(Logger(address=LOGGER, box="BOX-1", calibration=calibration), "test")
    van = Van()
    for i in range(60):
        van.seal(observe(30 * i, 14.0 if i == 31 else 5.0, counter=i))
    opened.enrolment.enrol(van.name, opened.enrolment.issue_code(van.name, "test"), van.key.public_bytes)
    opened.ingest.take(van.deliveries())
    yield opened
    opened.store.close()


async def get(rooms: Rooms, path: str, **asked: object) -> httpx.Response:
    transport = httpx.ASGITransport(create_app(rooms))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        return await client.get(path, params=asked)  # type: ignore[arg-type]  lists and texts


async def test_days_are_decimated_and_keep_the_one_reading_that_matters(rooms: Rooms) -> None:
    span = {"since_ms": START_MS - 20 * 24 * HOUR_MS, "until_ms": START_MS + 5 * 24 * HOUR_MS}
    answer = (await get(rooms, "/explore/data", logger=LOGGER, **span)).json()
    (series,) = answer["series"]
    assert answer["step"] == HOUR_MS
    assert (len(series["at"]), series["low"], series["high"]) == (1, [5.5], [14.5])


async def test_what_cannot_be_shown_is_said(rooms: Rooms) -> None:
    span = {"since_ms": START_MS, "until_ms": START_MS + HOUR_MS}
    unknown = await get(rooms, "/explore/data", logger="nobody", **span)
    assert (unknown.status_code, unknown.json()["field"]) == (422, "logger")
    long = await get(rooms, "/explore/data", logger=LOGGER, since_ms=0, until_ms=START_MS)
    assert (long.status_code, long.json()["field"]) == (422, "until")
    refusals = [({"since": "yesterday"}, "no moment"), ({"logger": "nobody"}, "not enrolled")]
    refusals += [({"logger": LOGGER, "profile": "nothing"}, "There is no profile of this name.")]
    for asked, said in refusals:
        page = await get(rooms, "/explore", **asked)
        assert page.status_code == 422
        assert said in page.text


async def test_the_limits_are_those_of_the_version_asked_for(rooms: Rooms) -> None:
    old = profiles.load("storage-2-8")
    band = old.bands[0].model_copy(update={"to_c": 10.0})
    rooms.registry.put_profile(old.model_copy(update={"version": old.version + 1, "bands": (band,)}), "test")
    said = {}
    for asked in ("storage-2-8", f"storage-2-8@{old.version}"):
        page = await get(rooms, "/explore", logger=LOGGER, since=iso(0), until=iso(3600), profile=asked)
        said[asked] = re.findall(r": (2 °C to \d+ °C)", plain(page.text))[0]
        assert f'<option value="{asked}" selected>' in page.text
    assert list(said.values()) == ["2 °C to 10 °C", "2 °C to 8 °C"]
    lost = await get(rooms, "/explore", logger=LOGGER, profile="storage-2-8@99")
    assert lost.status_code == 422


async def test_without_the_library_the_server_draws_and_links_zoom(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(explorer, "VENDOR", tmp_path)
    page = await get(rooms, "/explore", logger=LOGGER, since=iso(0), until=iso(3600), profile="storage-2-8")
    assert page.status_code == 200
    assert page.text.count('class="limit" d=') == 2
    assert '<option value="storage-2-8" selected>' in page.text
    assert ": 2 °C to 8 °C</span>" in plain(page.text)
    assert "uPlot" not in page.text
    assert page.text.count('class="run run-0" d=') == 1 + 1  # the line, and its sample in the legend
    assert "14.5 °C" in plain(page.text)
    ways = re.findall(r'<a href="(/explore\?[^"]*)">(?:[^<]*)</a>', page.text.replace("&amp;", "&"))
    assert len(ways) == 4
    assert all("profile=storage-2-8" in way for way in ways)
    for way in ways:
        assert (await get(rooms, way)).status_code == 200
