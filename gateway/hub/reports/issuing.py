"""Issuing a report: gathered, printed, sealed by the hub, and on record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

import msgspec

from gateway.core.attestations import Part, ReportManifest, sign_statement
from gateway.core.succession import attach
from gateway.hub.audit.acts import Act, record_act
from gateway.hub.database.store import read_generation
from gateway.hub.reports.document import encode_document, number_of
from gateway.hub.reports.fhir import encode_bundle
from gateway.hub.reports.gathering import Gathered, Sources, gather
from gateway.hub.reports.printing import print_report, printer
from gateway.hub.reports.readings import write_readings
from gateway.hub.reports.seal import put_seal
from gateway.hub.reports.wording import DOCUMENT, TABLE
from gateway.hub.tabular.forms import Form
from gateway.keys import SigningKey
from gateway.language import Language


class ReportForm(StrEnum):
    """What a report leaves as; the value is how its file's name ends."""

    PDF = "pdf"
    CSV = "csv"
    EXCEL = "excel-no.csv"
    JSON = "json"
    FHIR = "fhir.json"


MEDIA_TYPES = {
    ReportForm.PDF: "application/pdf",
    ReportForm.CSV: "text/csv; charset=utf-8",
    ReportForm.EXCEL: "text/csv; charset=utf-8",
    ReportForm.JSON: "application/json",
    ReportForm.FHIR: "application/fhir+json",
}


@dataclass(frozen=True, slots=True)
class Issued:
    """A report as it leaves."""

    number: str
    form: ReportForm
    data: bytes

    @property
    def sha256(self) -> str:
        """Of the file."""
        return sha256(self.data).hexdigest()


def issue(sources: Sources, key: SigningKey, code: str, form: ReportForm, language: Language, *, who: str) -> Issued:
    """Return a consignment's report, and put on record that it left; raises as `gather` does."""
    gathered = gather(sources, code)
    number = number_of(encode_document(gathered.document))
    issued = Issued(number, form, _MAKE[form](sources, key, gathered, language))
    told = {"form": form.value, "language": language.value, "report": number, "sha256": issued.sha256}
    with sources.store.write() as connection:
        act = Act(who, "export", f"consignment {code}", new=msgspec.json.encode(told).decode())
        record_act(connection, act, sources.now_ms())
    return issued


def _make_pdf(sources: Sources, key: SigningKey, gathered: Gathered, language: Language) -> bytes:
    document = gathered.document
    data = encode_document(document)
    printed = print_report(document, gathered.rows, gathered.table, language)
    with sources.store.read() as connection:
        generation = read_generation(connection)
    manifest = ReportManifest(
        number=number_of(data),
        consignment=document.consigned.code,
        language=language.value,
        at_ms=document.as_of_ms,
        generation=generation,
        hub_public_key=key.public_bytes.hex(),
        printer=printer(),
        printed=sha256(printed).hexdigest(),
        files={TABLE: document.readings_sha256, DOCUMENT: sha256(data).hexdigest()},
        parts=tuple(
            Part(
                gateway=part.gateway,
                epoch=part.epoch,
                first_offset=part.first_offset,
                next_offset=part.last_offset + 1,
                previous=None,
                hash=part.hash,
                file="",
            )
            for part in document.log_parts
        ),
        changes=sha256(attach(b"", key.changes)).hexdigest(),
    )
    return put_seal(printed, sign_statement(manifest, key.sign))


def _make_csv(_sources: Sources, _key: SigningKey, gathered: Gathered, _language: Language) -> bytes:
    return gathered.table


def _make_excel(_sources: Sources, _key: SigningKey, gathered: Gathered, _language: Language) -> bytes:
    return write_readings(gathered.rows, Form.EXCEL)


def _make_json(_sources: Sources, _key: SigningKey, gathered: Gathered, _language: Language) -> bytes:
    return encode_document(gathered.document)


def _make_fhir(_sources: Sources, _key: SigningKey, gathered: Gathered, language: Language) -> bytes:
    return encode_bundle(gathered.document, language)


_MAKE: dict[ReportForm, Callable[[Sources, SigningKey, Gathered, Language], bytes]] = {
    ReportForm.PDF: _make_pdf,
    ReportForm.CSV: _make_csv,
    ReportForm.EXCEL: _make_excel,
    ReportForm.JSON: _make_json,
    ReportForm.FHIR: _make_fhir,
}
