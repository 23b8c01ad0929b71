"""Proof of a report, offline: that it is what a hub sealed, that its data is what it says, and that its pages follow.

Nothing is needed but the file and the hub's public key. Where this program prints as the hub's did, the pages are made
again from the attached data and compared byte for byte: then even the hub cannot have printed anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pypdfium2

from gateway.core.attestations import ReportManifest, Signed, is_canonical, read_statement
from gateway.core.errors import InputError
from gateway.core.segments import SIGNATURE_BYTES, Check
from gateway.core.verification import Fault, Finding
from gateway.hub.proof.verification import Report
from gateway.hub.reports.document import ReportDocument, decode_document, encode_document, number_of
from gateway.hub.reports.printing import print_report, printer
from gateway.hub.reports.readings import read_readings
from gateway.hub.reports.seal import take_seal
from gateway.hub.reports.wording import DOCUMENT, TABLE
from gateway.language import Language

FILE_BYTES_MAX = 256 * 1024 * 1024
"""Of the largest report that is made; anything larger is another file."""
PDF_BEGINS = b"%PDF-"


@dataclass(frozen=True, slots=True)
class _Content:
    document: ReportDocument
    table: bytes


def is_report(path: Path) -> bool:
    """Say whether a file is a PDF, by how it begins."""
    try:
        with path.open("rb") as file:
            return file.read(len(PDF_BEGINS)) == PDF_BEGINS
    except OSError as error:
        raise InputError("file", error.strerror or str(error), where=str(path)) from error


def verify_report(path: Path, check: Check) -> Report:
    """Verify a report with nothing but the hub's public key; what is wrong is in the findings."""
    if path.stat().st_size > FILE_BYTES_MAX:
        raise InputError("file", f"is larger than any report ({FILE_BYTES_MAX >> 20} MiB)", where=str(path))
    report = Report(scope=f"report {path.name}")
    try:
        data = path.read_bytes()
        printed, statement = take_seal(data)
        manifest = _read_manifest(statement, check, path)
    except InputError as error:
        report.add([Finding(Fault.FORGED, error.reason)])
        return report
    report.scope = f"report {manifest.number} of consignment {manifest.consignment}"
    if sha256(printed).hexdigest() != manifest.printed:
        report.add([Finding(Fault.ALTERED, "the file was changed after the hub sealed it")])
    content = _read_content(printed, manifest, report)
    if content is not None:
        _compare_pages(content, printed, manifest, report)
    report.notes += [
        f"readings stand in {part.gateway} {part.epoch} to {part.next_offset - 1}" for part in manifest.parts
    ]
    return report


def _read_manifest(statement: str, check: Check, path: Path) -> ReportManifest:
    manifest = read_statement(ReportManifest, statement, check, where=str(path))
    signature = bytes.fromhex(Signed.model_validate_json(statement).signature)
    if not is_canonical(statement) or sha256(signature[SIGNATURE_BYTES:]).hexdigest() != manifest.changes:
        raise InputError("seal", "its seal was changed around what is signed")
    return manifest


def _read_content(printed: bytes, manifest: ReportManifest, report: Report) -> _Content | None:
    """Return what is attached, if it is what the manifest says."""
    attached = _attached(printed)
    report.files = len(attached)
    for name in sorted(manifest.files.keys() | attached.keys()):
        if name not in manifest.files:
            report.add([Finding(Fault.FORGED, f"attached file {name} is not in the manifest")])
        elif name not in attached:
            report.add([Finding(Fault.MISSING, f"attached file {name}")])
        elif sha256(attached[name]).hexdigest() != manifest.files[name]:
            report.add([Finding(Fault.ALTERED, f"attached file {name} is not what the manifest says")])
    if not report.is_proven or not {TABLE, DOCUMENT} <= attached.keys():
        return None
    document = _read_document(attached[DOCUMENT], report)
    if document is None:
        return None
    if number_of(attached[DOCUMENT]) != manifest.number or document.consigned.code != manifest.consignment:
        report.add([Finding(Fault.ALTERED, "the attached data is another report's")])
    if sha256(attached[TABLE]).hexdigest() != document.readings_sha256:
        report.add([Finding(Fault.ALTERED, f"{TABLE} is not the table that {DOCUMENT} speaks of")])
    return _Content(document, attached[TABLE])


def _read_document(data: bytes, report: Report) -> ReportDocument | None:
    try:
        document = decode_document(data)
    except InputError as error:
        report.notes.append(f"made by another version of the program, pages not printed again: {error.reason}")
        return None
    if encode_document(document) != data:
        report.notes.append("made by another version of the program, pages not printed again")
        return None
    return document


def _attached(printed: bytes) -> dict[str, bytes]:
    """Return the files attached to a PDF; nothing where it cannot be read."""
    try:
        pdf = pypdfium2.PdfDocument(printed)
    except pypdfium2.PdfiumError:
        return {}
    try:
        files = (pdf.get_attachment(place) for place in range(pdf.count_attachments()))
        return {file.get_name(): bytes(file.get_data()) for file in files}
    except pypdfium2.PdfiumError:
        return {}
    finally:
        pdf.close()


def _compare_pages(content: _Content, printed: bytes, manifest: ReportManifest, report: Report) -> None:
    if manifest.printer != printer():
        report.notes.append("printed by another version of the program: its pages are the hub's word, not made again")
        return
    rows = read_readings(content.table)
    again = print_report(content.document, rows, content.table, Language(manifest.language))
    if again != printed:
        report.add([Finding(Fault.FORGED, "the pages are not what the attached data gives")])
    else:
        report.notes.append("the pages were printed again from the attached data: the same to the last byte")
