"""What a scan may stand for: the codes under which things are registered. Pure."""

from __future__ import annotations

from gateway.core.errors import InputError
from gateway.core.gs1 import Mark, aliases_of, read_bare, read_mark


def codes_of(scanned: str) -> tuple[str, ...]:
    """Return the codes that a scan may be registered under: as it is, then what it names as a GS1 mark, bare or not."""
    mark = _mark_of(scanned)
    marks = read_bare(scanned) if mark is None else (mark,)
    return tuple(dict.fromkeys((scanned, *(code for one in marks for code in (*one.codes, *aliases_of(one))))))


def own_code_of(scanned: str) -> str:
    """Return the code under which to register what a scan names."""
    mark = _mark_of(scanned)
    return scanned if mark is None else mark.codes[0]


def is_misread(scanned: str) -> bool:
    """Say whether a scan has the shape of a GS1 mark and a wrong check digit."""
    try:
        read_mark(scanned)
    except InputError:
        return True
    return False


def _mark_of(scanned: str) -> Mark | None:
    return None if is_misread(scanned) else read_mark(scanned)
