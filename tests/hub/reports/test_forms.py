"""CSV, JSON and FHIR, read by those for whom they are."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gateway.core.errors import InputError
from gateway.core.readings import Reading, Source
from gateway.hub.reports.fhir import make_bundle
from gateway.hub.reports.gathering import gather
from gateway.hub.reports.issuing import ReportForm, issue
from gateway.hub.reports.readings import read_readings, write_readings
from gateway.hub.rooms import Rooms
from gateway.hub.tabular.selection import Row
from gateway.language import Language, speech_of
from gateway.language.speech import NO_BREAK
from tests.hub.reports.transports import LONG_CODE, sources_of
from tests.hub.vans import START_MS

R4 = jsonschema.Draft6Validator(json.loads(Path(__file__).with_name("fhir-r4.schema.json").read_text()))


def make(rooms: Rooms, code: str, form: ReportForm, language: Language = Language.EN) -> bytes:
    return issue(sources_of(rooms), rooms.key, code, form, language, who="test").data


def test_csv_has_every_reading_with_its_offset_and_points(rooms: Rooms) -> None:
    rows = list(csv.DictReader(io.StringIO(make(rooms, "SEND-1", ReportForm.CSV).decode())))
    assert len(rows) == 151
    assert rows[0]["time"] == "2026-06-21T02:00:00.000+02:00"
    assert datetime.fromisoformat(rows[0]["time"]).timestamp() * 1000 == START_MS
    assert rows[0]["temperature_c"] == "4.900"


def test_the_norwegian_variant_is_for_excel(rooms: Rooms) -> None:
    data = make(rooms, "SEND-1", ReportForm.EXCEL)
    assert data.startswith("\ufefftime;logger;box;temperature_c".encode())
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig")), delimiter=";"))
    assert rows[0]["temperature_c"] == "4,900"
    assert len(rows) == 151


def test_a_cell_is_no_formula_and_the_table_reads_back_exactly() -> None:
    reading = Reading(START_MS + 7, -12.345, 30, Source.MEMORY, False, None, 12, 0.125, 60_000)
    plain = Reading(START_MS + 30_000, 5.0, 30, Source.LIVE, True, 65_535)
    rows = [Row("=cmd|'/c calc'!A1", "+BOX", reading), Row("@L", "'B", plain)]
    table = write_readings(rows)
    cells = [cell for line in csv.reader(io.StringIO(table.decode())) for cell in line[1:3]]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert read_readings(table) == rows


def test_the_hour_that_comes_twice_is_told_apart_by_its_offset() -> None:
    begins_ms = 1_792_888_200_000  # 2026-10-25 02:30 in summer time
    plain = [Reading(begins_ms + hour * 3_600_000, 5.0, 30, Source.LIVE, True) for hour in (0, 1)]
    rows = [Row("L", "B", reading) for reading in plain]
    table = write_readings(rows)
    times = [line[0] for line in csv.reader(io.StringIO(table.decode()))][1:]
    assert times == ["2026-10-25T02:30:00.000+02:00", "2026-10-25T02:30:00.000+01:00"]
    assert read_readings(table) == rows


@pytest.mark.parametrize("table", [b"", b"a,b\r\n", b"\xff", b"time,logger\r\n1,2\r\n"])
def test_another_table_is_refused_with_its_name(table: bytes) -> None:
    with pytest.raises(InputError, match=r"readings\.csv"):
        read_readings(table)


def test_a_row_that_is_none_is_refused(rooms: Rooms) -> None:
    table = make(rooms, "SEND-1", ReportForm.CSV)
    for old, new in ((b"live", b"lively"), (b"true", b"maybe"), (b"4.900", b"cold")):
        with pytest.raises(InputError, match=r"readings\.csv"):
            read_readings(table.replace(old, new, 1))


def test_json_is_what_is_attached_and_has_no_secret(rooms: Rooms) -> None:
    document = json.loads(make(rooms, "SEND-1", ReportForm.JSON))
    assert document["readings"] == 151
    assert {one["judgement"]["item"] for one in document["judgements"]} == {"TUBE-1", "DOSE-1"}
    assert "bindkey" not in json.dumps(document)
    assert "latitude" not in json.dumps(document)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("code", ["SEND-1", "EMPTY"])
def test_the_bundle_is_valid_fhir_r4(rooms: Rooms, code: str, language: Language) -> None:
    bundle = json.loads(make(rooms, code, ReportForm.FHIR, language))
    R4.validate(bundle)
    assert NO_BREAK not in json.dumps(bundle, ensure_ascii=False)  # FHIR's strings know ordinary white space only


def test_the_long_bundle_is_valid_fhir_r4(long_rooms: Rooms) -> None:
    bundle = json.loads(make(long_rooms, LONG_CODE, ReportForm.FHIR))
    R4.validate(bundle)
    assert len({entry["fullUrl"] for entry in bundle["entry"]}) == len(bundle["entry"])
    assert _dangling(bundle) == []


def test_the_schema_refuses_what_is_no_fhir(rooms: Rooms) -> None:
    bundle = json.loads(make(rooms, "SEND-1", ReportForm.FHIR))
    for change in ({"receivedTime": "yesterday"}, {"invented": 1}):
        spoilt = json.loads(json.dumps(bundle))
        next(one["resource"] for one in spoilt["entry"] if one["resource"]["resourceType"] == "Specimen").update(change)
        assert list(R4.iter_errors(spoilt))


def test_the_bundle_says_what_the_report_says(rooms: Rooms) -> None:
    bundle = json.loads(make(rooms, "SEND-1", ReportForm.FHIR))
    assert bundle["type"] == "collection"
    by_type: dict[str, list[dict[str, Any]]] = {}
    for entry in bundle["entry"]:
        by_type.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    assert set(by_type) == {"Device", "Specimen", "Observation"}
    specimen = by_type["Specimen"][0]
    assert [one["identifier"][0]["value"] for one in by_type["Specimen"]] == ["TUBE-1"]
    assert specimen["receivedTime"] == "2026-06-21T03:40:00.000+02:00"
    assert "subject" not in json.dumps(bundle)
    summaries = [one for one in by_type["Observation"] if one["code"]["coding"][0]["code"] == "transport-temperature"]
    assert {one["valueCodeableConcept"]["coding"][0]["code"] for one in summaries} == {"reject", "insufficient_data"}
    excursions = [one for one in by_type["Observation"] if one["code"]["coding"][0]["code"] == "temperature-excursion"]
    assert excursions[0]["valueQuantity"] == {
        "value": 4.9,
        "unit": "°C",
        "system": "http://unitsofmeasure.org",
        "code": "Cel",
    }
    assert _dangling(bundle) == []


def test_what_is_under_way_is_preliminary(rooms: Rooms) -> None:
    document = gather(sources_of(rooms), "SEND-1").document
    for changed, status in ((replace(document, delivered_ms=None), "final"), (replace(document, delivered_ms=1), None)):
        bundle = make_bundle(changed, speech_of(Language.EN))
        found = {one["resource"].get("status") for one in bundle["entry"]} - {None}
        assert found == {status or "preliminary"}


def _dangling(bundle: dict[str, Any]) -> list[str]:
    known = {entry["fullUrl"] for entry in bundle["entry"]}

    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [value["reference"]] if isinstance(value.get("reference"), str) else []
            return own + [found for one in value.values() for found in references(one)]
        return [found for one in value for found in references(one)] if isinstance(value, list) else []

    return [one for one in references(bundle) if one not in known]
