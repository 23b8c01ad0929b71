"""The blocks that a report's pages are made of: plain values that the layout sets, in the order given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gateway.core.verdicts import Verdict
from gateway.language.speech import NO_BREAK

Block = dict[str, object]

WORD_MAX = 18
"""A longer word may be broken anywhere: a code of 64 characters has no place of its own to break."""
_COVERED = (
    (0x20, 0x7E),
    (0xA0, 0x17F),  # Latin
    (0x386, 0x38A),
    (0x38C, 0x38C),
    (0x38E, 0x3A1),
    (0x3A3, 0x3CE),  # Greek
    (0x400, 0x45F),  # Cyrillic
    (0x2010, 0x2015),
    (0x2018, 0x201E),
    (0x2020, 0x2022),
    (0x2026, 0x2026),
    (0x2030, 0x2030),
    (0x2032, 0x2033),
    (0x20AC, 0x20AC),
    (0x2190, 0x2193),
    (0x2212, 0x2212),
    (0x2248, 0x2248),
    (0x2260, 0x2260),
    (0x2264, 0x2265),
    (0x25B2, 0x25B2),
    (0x25BC, 0x25BC),
)
"""What the fonts of the pages certainly have; a test sets all of it. A missing letter would stop the report."""
_BREAK = "\u200b"
_CLOCK = re.compile(r"\b(\d\d:\d\d) ([+-]\d\d:\d\d)\b")
"""A time of the clock and its offset stay on one line."""
_BLANKS = re.compile(r"[^\S\u00a0]+")
"""All white space but the one that holds a number and its unit together."""


def printable(text: str) -> str:
    """Return a text in letters that the pages have; others by their number, as in [U+1F600]. Spaces are one each."""
    return "".join(
        letter if _is_covered(letter) else f"[U+{ord(letter):04X}]" for letter in _BLANKS.sub(" ", text).strip(" ")
    )


def heading(text: str, level: int = 2) -> Block:
    """Return a heading; the title has level 1."""
    return {"is": "heading", "text": _fit(text), "level": level}


def text(words: str) -> Block:
    """Return a paragraph."""
    return {"is": "text", "text": _fit(words)}


def notice(words: str) -> Block:
    """Return a paragraph that must not be missed."""
    return {"is": "notice", "text": _fit(words)}


def points(items: Iterable[str]) -> Block:
    """Return a list."""
    return {"is": "list", "items": [_fit(item) for item in items]}


def facts(rows: Iterable[tuple[str, str]], *, stays: bool = False) -> Block:
    """Return names with what they are; `stays` on the page of what follows."""
    return {"is": "facts", "stays": stays, "rows": [[_fit(name), _fit(value)] for name, value in rows]}


def table(head: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[float]) -> Block:
    """Return a table; `widths` are shares of the page's."""
    return {
        "is": "table",
        "head": [_fit(cell) for cell in head],
        "rows": [[_fit(cell) for cell in row] for row in rows],
        "widths": list(widths),
    }


def figure(svg: str, alt: str, caption: str) -> Block:
    """Return a picture with what it shows in words."""
    return {"is": "figure", "svg": svg, "alt": printable(alt), "caption": _fit(caption)}


def verdict(found: Verdict | None, word: str, title: str, meaning: str) -> Block:
    """Return a verdict with its mark."""
    kind = "waiting" if found is None else found.value
    return {"is": "verdict", "verdict": kind, "word": _fit(word), "title": _fit(title), "meaning": _fit(meaning)}


def _fit(words: str) -> str:
    held = _CLOCK.sub(rf"\1{NO_BREAK}\2", printable(words))
    return re.sub(rf"[^\s{_BREAK}]{{{WORD_MAX},}}", _breakable, held)


def _breakable(match: re.Match[str]) -> str:
    """Let a long word break behind its marks, and within a stretch that has none."""
    return re.sub(r"([._:/+-]|[^._:/+\s-]{10})(?=.)", rf"\1{_BREAK}", match[0])


def _is_covered(letter: str) -> bool:
    return any(first <= ord(letter) <= last for first, last in _COVERED)
