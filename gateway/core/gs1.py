"""GS1 marks: which box, consignment or item a scanned GS1 bar code names. Pure.

Read are the keys that name one single thing: SSCC (00) of a consignment, GRAI (8003) and GIAI (8004) of a box, GTIN
with serial number (01 + 21) of an item. They come as a scanner sends them (with or without AIM symbology identifier,
FNC1 as the character 29 or as what scanners are set to send instead), as printed in brackets, or as a GS1 Digital
Link. Source: GS1 General Specifications, sections 3 (application identifiers) and 7.9 (check digits).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from biip import ParseConfig, ParseError, parse
from biip.checksums import gs1_standard_check_digit

from gateway.core.errors import InputError

SCAN_MAX = 128
"""Characters of a scan. A GS1 symbol holds at most 48 of a key with its serial; a Digital Link adds its address."""

_SEPARATORS = ("\x1d", "\u241d", "~", "|", "^")
"""FNC1 as it arrives; none of the others can occur in a value (GS1 General Specifications, figure 7.11-1)."""
_CONFIG = ParseConfig(separator_chars=_SEPARATORS, gs1_element_strings_verify_date=False)
_BRACKETS = re.compile(r"\((\d{2,4})\)")
_SSCC, _GTIN, _SERIAL, _GRAI, _GIAI = "00", "01", "21", "8003", "8004"
_GRAI_KEY = 14
"""A leading zero and thirteen digits, the last of them the check digit; what follows is the serial number."""

_BARE_SSCC = re.compile(r"[0-9]{18}")
_BARE_KEYS = tuple(
    re.compile(rf"(?P<key>[0-9]{{{digits}}})[\x1d\u241d~|^ ]?(?P<serial>[A-Za-z0-9._:/+-]{{1,20}})")
    for digits in (14, 13)
)
"""A GRAI or a GTIN with its serial number; the widest first. A separator may be left where the identifier was."""
_GRAI_SERIAL_MAX = 16
_BARE_GIAI = re.compile(r"[0-9]{4}[A-Za-z0-9._:/+-]{1,26}")
"""A company prefix of four digits or more and the company's own reference, at most 30 characters in all."""
_LINK = "https://id.gs1.org/"


class Scheme(StrEnum):
    """What a mark names."""

    SSCC = "SSCC"
    GRAI = "GRAI"
    GIAI = "GIAI"
    SGTIN = "SGTIN"


@dataclass(frozen=True, slots=True)
class Mark:
    """A GS1 key that names one thing. `codes` are the codes under which that may be registered, the best first."""

    scheme: Scheme
    codes: tuple[str, ...]


def read_mark(scanned: str) -> Mark | None:
    """Return what a scan names, None if it is no GS1 key of a single thing. Raises InputError for a wrong check digit.

    The codes are the element string without brackets ("00376130321109103420"), and the bare key where that alone is
    distinct (SSCC, GRAI, GIAI).
    """
    values = _split(scanned.strip().lstrip("".join(_SEPARATORS)))  # an FNC1 may come before everything
    if _SSCC in values:
        key = _checked(Scheme.SSCC, values[_SSCC], values[_SSCC])
        return Mark(Scheme.SSCC, (_SSCC + key, key))
    if _GRAI in values and len(values[_GRAI]) > _GRAI_KEY:
        asset = _checked(Scheme.GRAI, values[_GRAI][:_GRAI_KEY], values[_GRAI])
        return Mark(Scheme.GRAI, (_GRAI + asset, asset))
    if _GIAI in values:
        return Mark(Scheme.GIAI, (_GIAI + values[_GIAI], values[_GIAI]))
    if _GTIN in values and _SERIAL in values:
        trade = _checked(Scheme.SGTIN, values[_GTIN], values[_GTIN])
        return Mark(Scheme.SGTIN, (_GTIN + trade + _SERIAL + values[_SERIAL],))
    return None


def aliases_of(mark: Mark) -> tuple[str, ...]:
    """Return under which other codes it may be registered: as a web address, without identifiers or the zero before."""
    whole = mark.codes[0]
    match mark.scheme:
        case Scheme.SSCC | Scheme.GRAI | Scheme.GIAI:
            key = mark.codes[-1]
            link = f"{_LINK}{whole.removesuffix(key)}/{key}"
            return (link, key[1:]) if mark.scheme is Scheme.GRAI else (link,)
        case Scheme.SGTIN:
            trade, serial = whole[2 : 2 + _GRAI_KEY], whole[4 + _GRAI_KEY :]
            bare = (trade + serial, trade[1:] + serial) if trade.startswith("0") else (trade + serial,)
            return (f"{_LINK}{_GTIN}/{trade}/{_SERIAL}/{serial}", *bare)


def read_bare(scanned: str) -> tuple[Mark, ...]:
    """Return what a key may name that was scanned or typed without its application identifiers, the likeliest first.

    An SSCC has 18 digits; a GRAI and a GTIN have thirteen or, filled up with a zero, fourteen before their serial; a
    GIAI begins with the digits of a company. Check digits tell them from other codes, of a GIAI nothing does: this is
    for finding what is registered, never for registering.
    """
    text = scanned.strip()
    marks = [Mark(Scheme.SSCC, (_SSCC + text, text))] if _BARE_SSCC.fullmatch(text) and _is_right(text) else []
    for pattern in _BARE_KEYS:
        found = pattern.fullmatch(text)
        if found is None or not _is_right(found["key"].zfill(_GRAI_KEY)):
            continue
        key, serial = found["key"].zfill(_GRAI_KEY), found["serial"]
        if key.startswith("0") and len(serial) <= _GRAI_SERIAL_MAX:
            marks.append(Mark(Scheme.GRAI, (_GRAI + key + serial, key + serial)))
        marks.append(Mark(Scheme.SGTIN, (_GTIN + key + _SERIAL + serial,)))
    if _BARE_GIAI.fullmatch(text):
        marks.append(Mark(Scheme.GIAI, (_GIAI + text, text)))
    return tuple(marks)


def _split(scanned: str) -> Mapping[str, str]:
    """Return the values by application identifier, nothing for what is no GS1 message."""
    if scanned.startswith("("):
        scanned = _BRACKETS.sub("\x1d\\1", scanned).removeprefix("\x1d")
    if not scanned or (not scanned.isprintable() and "\x1d" not in scanned):
        return {}
    try:
        parsed = parse(scanned, config=_CONFIG)
    except ParseError:
        return {}
    found = parsed.gs1_digital_link_uri or parsed.gs1_message
    return {} if found is None else {element.ai.ai: element.value for element in found.element_strings}


def _checked(scheme: Scheme, key: str, value: str) -> str:
    """Return `value` if the last digit of `key` is its check digit."""
    if not _is_right(key):
        raise InputError("code", f"the check digit of this {scheme.value} is wrong: scan it again")
    return value


def _is_right(key: str) -> bool:
    return key.isascii() and key.isdecimal() and gs1_standard_check_digit(key[:-1]) == int(key[-1])
