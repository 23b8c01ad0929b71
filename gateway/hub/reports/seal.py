"""A report's seal: the hub's signed statement about the file, in the file itself.

The statement holds the SHA-256 of the file as it was printed. It stands in one comment line before the table of
objects, where readers of PDF and the rules of PDF/A see nothing but white space; only the place of that table, stated
at the end of the file, moves by the length of the line. Taking the line out gives the printed file back, byte for byte,
and putting it in again gives the sealed one: so no byte can differ without being found.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode

from gateway.core.errors import InputError

_MARK = b"%coldchain-seal "
_LINE_MAX = 256 * 1024
"""A statement names the logs of a transport: 200 bytes for each, of which there are a few."""
_END = re.compile(rb"startxref\n(\d{1,10})\n%%EOF\s?\Z")


def put_seal(printed: bytes, statement: str) -> bytes:
    """Return the sealed file; raises ValueError for a statement that is too long."""
    place, end = _find_table(printed)
    line = _MARK + b64encode(statement.encode()) + b"\n"
    if len(line) > _LINE_MAX:
        raise ValueError(f"a seal has at most {_LINE_MAX} bytes")
    tail = printed[place : end.start(1)] + b"%d" % (place + len(line)) + printed[end.end(1) :]
    return printed[:place] + line + tail


def take_seal(sealed: bytes) -> tuple[bytes, str]:
    """Return the file as it was printed, and the statement; raises InputError for a file without a seal."""
    place, end = _find_table(sealed)
    begins = sealed.rfind(b"\n" + _MARK, 0, place) + 1
    if not begins or sealed.find(b"\n", begins, place) != place - 1:
        raise InputError("file", "has no seal of a hub where one stands, or it was changed")
    line = sealed[begins:place]
    try:
        statement = b64decode(line[len(_MARK) : -1], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InputError("file", "its seal was changed") from error
    moved = b"%d" % begins
    printed = sealed[:begins] + sealed[place : end.start(1)] + moved + sealed[end.end(1) :]
    if put_seal(printed, statement) != sealed:
        raise InputError("file", "its seal was changed")
    return printed, statement


def _find_table(data: bytes) -> tuple[int, re.Match[bytes]]:
    """Return where the table of objects begins, as the end of the file states it."""
    end = _END.search(data, max(0, len(data) - 64))
    if not data.startswith(b"%PDF-") or end is None:
        raise InputError("file", "is not a report: it does not begin or end as a PDF of the hub does")
    place = int(end[1])
    if data[place : place + 5] != b"xref\n":
        raise InputError("file", "its table of objects is not where its end says: the file was changed")
    return place, end
