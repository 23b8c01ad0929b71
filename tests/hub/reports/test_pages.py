"""The pages, read by others: pypdf for text, attachments and claims, PDFium for how they look."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pypdfium2
import pytest
from pypdf import PdfReader

from gateway.hub.reports.blocks import _COVERED, printable
from gateway.hub.reports.document import decode_document, encode_document, number_of
from gateway.hub.reports.gathering import gather
from gateway.hub.reports.issuing import ReportForm, issue
from gateway.hub.reports.printing import print_report
from gateway.hub.reports.seal import take_seal
from gateway.hub.rooms import Rooms
from gateway.language import Language
from tests.hub.reports.transports import LONG_CODE, sources_of
from tests.hub.vans import LOGGER

AGAIN = """
import sys
from pathlib import Path
from gateway.hub.reports.document import decode_document
from gateway.hub.reports.printing import print_report
from gateway.hub.reports.readings import read_readings
from gateway.language import Language
here = Path(sys.argv[1])
table = (here / "readings.csv").read_bytes()
document = decode_document((here / "report.json").read_bytes())
sys.stdout.buffer.write(print_report(document, read_readings(table), table, Language(sys.argv[2])))
"""
MARGIN = 0.06
"""Of the page's width, left and right: nothing is printed there."""


def make(rooms: Rooms, code: str, language: Language) -> bytes:
    return issue(sources_of(rooms), rooms.key, code, ReportForm.PDF, language, who="test").data


def text_of(data: bytes) -> str:
    text = "\n".join(page.extract_text() for page in PdfReader(BytesIO(data), strict=True).pages)
    return " ".join(text.replace("\u200b", "").split())


WORDS = {
    Language.EN: (
        "Transport report SEND-1",
        "Reject",
        "Below 8 °C for 15 min",
        "at 8 °C or below: less than 15 min in one stretch",
        "broken",
        "21 Jun 2026 02:00 +02:00",
        "21 Jun 2026 02:15 +02:00",
        "with ΔH 83.144 kJ/mol",
        "Share monitored",
        "not monitored for 24 min",
        "Gaps: not monitored",
        "A gap counts at its worst: the temperature is taken to have moved by up to",
        "Readings 151",
        "Firmware not stated by the logger",
        "Logging interval 30 s",
        "Start delay 0 min",
        "Calibration =K-17",
        "Calibration due 29 Sep 2026 02:00 +02:00",
        "−0.1 °C is added",
        "potassium, version 1",
        "example figures, not approved for clinical use",
        "Demonstration profiles: not approved for clinical use",
        "it releases nothing",
        "received at the hub",
        "Largest error of a reading’s time: 0 s",
        "Page 1 of",
        "Not acknowledged (confirmed)",
    ),
    Language.NB: (
        "Transportrapport SEND-1",
        "Avvises",
        "Under 8 °C i 15 min",
        "21. juni 2026 02:15 +02:00",
        "med ΔH 83,144 kJ/mol",
        "Andel overvåket",
        "Måleopphold: ikke overvåket",
        "Brudd på krav og gjennomgang",
        "det frigir ingenting",
        "−0,1 °C",
        "Side 1 av",
    ),
}


@pytest.mark.parametrize("language", list(Language))
def test_everything_that_a_report_holds_stands_on_its_pages(rooms: Rooms, language: Language) -> None:
    document = gather(sources_of(rooms), "SEND-1").document
    text = text_of(make(rooms, "SEND-1", language))
    always = (LOGGER, document.readings_sha256, number_of(encode_document(document)), document.log_parts[0].epoch)
    missing = [words for words in (*WORDS[language], *always) if words not in text]
    assert missing == []
    forbidden = ("Godkjent", "godkjent") if language is Language.NB else ()
    assert [word for word in forbidden if word in text] == []


@pytest.mark.parametrize("language", list(Language))
def test_it_claims_pdf_a_3a_and_pdf_ua_with_language_title_and_attachments(rooms: Rooms, language: Language) -> None:
    gathered = gather(sources_of(rooms), "SEND-1")
    reader = PdfReader(BytesIO(make(rooms, "SEND-1", language)), strict=True)
    claims = reader.metadata, reader.xmp_metadata
    assert claims[0] is not None
    assert claims[1] is not None
    packet = claims[1].stream.get_data().decode()
    for claim in ("<pdfaid:part>3</pdfaid:part>", "<pdfaid:conformance>A</", "<pdfuaid:part>1</pdfuaid:part>"):
        assert claim in packet
    assert "SEND-1" in str(claims[0].title)
    root = reader.trailer["/Root"]
    assert str(root["/Lang"]).startswith(language.value)
    assert root["/MarkInfo"]["/Marked"]
    attached = {name: bytes(files[0]) for name, files in reader.attachments.items()}
    assert attached == {"readings.csv": gathered.table, "report.json": encode_document(gathered.document)}
    assert sha256(attached["readings.csv"]).hexdigest() == gathered.document.readings_sha256
    files = [one.get_object() for one in root["/AF"]]
    assert {str(one["/AFRelationship"]) for one in files} == {"/Data"}


def test_each_picture_says_in_words_what_it_shows(rooms: Rooms) -> None:
    alternatives = [alt for alt in _alternatives(make(rooms, "SEND-1", Language.EN)) if "temperature of" in alt]
    assert len(alternatives) >= 2
    assert all("readings between" in alt and "1 gap" in alt for alt in alternatives)


def test_the_same_report_is_the_same_bytes_twice_and_elsewhere(rooms: Rooms, tmp_path: Path) -> None:
    data = make(rooms, "SEND-1", Language.NB)
    assert make(rooms, "SEND-1", Language.NB) == data
    gathered = gather(sources_of(rooms), "SEND-1")
    (tmp_path / "readings.csv").write_bytes(gathered.table)
    (tmp_path / "report.json").write_bytes(encode_document(gathered.document))
    elsewhere = {**os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8", "LANG": "C", "PYTHONHASHSEED": "7"}
    again = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-c", AGAIN, str(tmp_path), "nb"], env=elsewhere, capture_output=True, check=True
    )
    assert again.stdout == take_seal(data)[0]


@pytest.mark.parametrize("language", list(Language))
def test_thirty_items_with_the_longest_codes_stay_within_the_page(long_rooms: Rooms, language: Language) -> None:
    data = make(long_rooms, LONG_CODE, language)
    assert cut_off(data) == []
    text = quick_text_of(data)
    stop = {Language.EN: "stop 1", Language.NB: "stopp 1"}[language]
    words = ("Dr. Per Ørn Ålesund [U+1F600]", stop, "Lab-A", "The box stood open. Twice.", "[U+6F22]")
    assert [word for word in words if word not in text] == []
    signed = {Language.EN: "stands as it was signed", Language.NB: "står som da det ble signert"}[language]
    assert signed in text
    set_by = {
        Language.EN: "was set 3.0 s 0.8 s a time server (NTP)",
        Language.NB: "ble stilt 3,0 s 0,8 s en tidstjener (NTP)",
    }[language]
    assert set_by in text
    assert {Language.EN: "/ unidentified", Language.NB: "/ uidentifisert"}[language] in text


@pytest.mark.parametrize("language", list(Language))
def test_a_transport_of_which_nothing_is_known_has_a_report(rooms: Rooms, language: Language) -> None:
    data = make(rooms, "EMPTY", language)
    assert cut_off(data) == []
    assert {Language.EN: "No logger was with it.", Language.NB: "Ingen temperaturlogger var med."}[language] in text_of(
        data
    )


def test_every_letter_that_is_called_printable_can_be_printed(rooms: Rooms) -> None:
    gathered = gather(sources_of(rooms), "SEND-1")
    letters = [chr(point) for first, last in _COVERED for point in range(first, last + 1)]
    lines = ["".join(letters[begin : begin + 60]) for begin in range(0, len(letters), 60)]
    profiles = tuple({**one, "source": " ".join(lines), "title": lines[1]} for one in gathered.document.profiles)
    document = replace(gathered.document, profiles=profiles)
    printed = print_report(document, gathered.rows, gathered.table, Language.EN)  # typst refuses a missing letter
    assert "Жг" in text_of(printed).replace(" ", "") or "ЖЗ" in text_of(printed)
    assert printable("a\u0000\n漢\ud800") == "a[U+0000] [U+6F22][U+D800]"


def test_the_document_comes_back_as_it_was(long_rooms: Rooms) -> None:
    document = gather(sources_of(long_rooms), LONG_CODE).document
    assert decode_document(encode_document(document)) == document


def quick_text_of(data: bytes) -> str:
    """The same of many pages, by PDFium."""
    pdf = pypdfium2.PdfDocument(data)
    text = " ".join(page.get_textpage().get_text_bounded() for page in pdf)
    pdf.close()
    return " ".join(text.replace("\u200b", "").split())


def cut_off(data: bytes) -> list[int]:
    """The pages on which something stands in the margin."""
    pdf = pypdfium2.PdfDocument(data)
    found = []
    for place in range(len(pdf)):
        bitmap = pdf[place].render(scale=0.5, grayscale=True)
        width, stride, pixels = bitmap.width, bitmap.stride, bytes(bitmap.buffer)
        edge = round(width * MARGIN)
        rows = (pixels[y * stride : y * stride + width] for y in range(bitmap.height))
        if any(min(row[:edge] + row[-edge:]) < 200 for row in rows):
            found.append(place + 1)
    pdf.close()
    return found


def _alternatives(data: bytes) -> list[str]:
    reader = PdfReader(BytesIO(data))
    found = []
    for number in range(1, int(reader.trailer["/Size"])):
        one = reader.get_object(number)
        if isinstance(one, dict) and "/Alt" in one:
            found.append(str(one["/Alt"]))
    return found
