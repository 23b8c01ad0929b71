"""A report's pages: PDF/A-3a and PDF/UA-1 by typst, from the document alone. The same document gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from threading import Lock

import msgspec
import typst

from gateway.hub.reports.document import ReportDocument, encode_document, number_of
from gateway.hub.reports.wording import DOCUMENT, TABLE, word_report
from gateway.hub.tabular.selection import Row
from gateway.language import Language, speech_of

STANDARDS: list[typst.PDFStandard] = ["a-3a", "ua-1"]
_SOURCES = (
    ("gateway.hub.reports", (".py", ".typ")),
    ("gateway.hub.traces", (".py",)),
    ("gateway.language", (".py", ".po")),
)
"""What decides how pages look, besides typst and Babel."""
_one_at_a_time = Lock()
"""A compiler holds its fonts and caches once; two reports at a time would not be faster on a small machine."""


def print_report(document: ReportDocument, rows: Sequence[Row], table: bytes, language: Language) -> bytes:
    """Return the PDF with its two attachments, not signed yet."""
    data = encode_document(document)
    words = word_report(document, rows, number_of(data), speech_of(language))
    inputs = {
        "report": msgspec.json.encode(words).decode(),
        DOCUMENT: data.decode(),
        TABLE: table.decode(),
    }
    with _one_at_a_time:
        printed = _compiler().compile(
            _layout(),
            format="pdf",
            sys_inputs=inputs,
            pdf_standards=STANDARDS,
            timestamp=document.as_of_ms // 1000,
        )
    if not isinstance(printed, bytes):
        raise TypeError(f"typst returned {type(printed).__name__} for a PDF")
    return printed


@cache
def printer() -> str:
    """Return what tells apart all versions of the program that print differently, as a hash."""
    digest = sha256(f"typst {version('typst')}, babel {version('babel')}".encode())
    for package, ends in _SOURCES:
        for path in sorted(_files_of(package, ends)):
            digest.update(files(package).joinpath(path).read_bytes())
    return digest.hexdigest()


def _files_of(package: str, ends: tuple[str, ...]) -> list[str]:
    here = files(package)
    found = [one.name for one in here.iterdir() if one.name.endswith(ends)]
    if package == __package__:
        found += [f"layout/{one.name}" for one in here.joinpath("layout").iterdir() if one.name.endswith(ends)]
    return found


@cache
def _compiler() -> typst.Compiler:
    """Return a compiler that knows its own fonts and no others: pages are the same on every machine."""
    return typst.Compiler(font_paths=typst.Fonts(include_system_fonts=False))


@cache
def _layout() -> bytes:
    return files(__package__).joinpath("layout/report.typ").read_bytes()
