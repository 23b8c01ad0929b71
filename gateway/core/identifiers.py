"""Codes of boxes, items and consignments, and the refusal of identities of persons.

No patient identity enters the system: text that looks like a Norwegian national identity number
(fødselsnummer, D-number, H-number, synthetic test numbers), check digits included, is refused.
"""

from __future__ import annotations

import re

from gateway.core.errors import InputError

CODE_MAX_LENGTH = 64
_CODE = re.compile(r"[A-Za-z0-9ÆØÅæøå][A-Za-z0-9ÆØÅæøå._:/+-]*")
_ELEVEN_DIGITS = re.compile(r"(?<!\d)(\d{6})[ .-]?(\d{5})(?!\d)")
_FIRST_WEIGHTS = (3, 7, 6, 1, 8, 9, 4, 5, 2)
_SECOND_WEIGHTS = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_D_NUMBER_DAY = 40
_ADDED_TO_MONTH = (40, 65, 80)
"""H-numbers add 40 to the month; the test populations of the authorities add 65 or 80."""
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def check_code(field: str, text: str) -> str:
    """Return `text` if it can be a code: 1–64 letters, digits and ``._:/+-``, and no identity number.

    Raises InputError naming `field`.
    """
    if not text or len(text) > CODE_MAX_LENGTH:
        raise InputError(field, f"a code has 1 to {CODE_MAX_LENGTH} characters")
    if not _CODE.fullmatch(text):
        raise InputError(field, "a code has letters, digits and . _ : / + - and begins with a letter or digit")
    return refuse_identity_number(field, text)


def refuse_identity_number(field: str, text: str) -> str:
    """Return `text` unless it holds what looks like a national identity number.

    Raises InputError naming `field`; the number itself is never repeated in the error.
    """
    for match in _ELEVEN_DIGITS.finditer(text):
        if looks_like_identity_number(match[1] + match[2]):
            raise InputError(
                field,
                "this looks like a national identity number; identities of patients do not belong here,"
                " use the code of the item or consignment",
            )
    return text


def looks_like_identity_number(digits: str) -> bool:
    """Say whether eleven digits form a valid fødselsnummer, D-number, H-number or test number."""
    if len(digits) != len("ddmmyynnncc") or not digits.isdecimal():
        return False
    numbers = [int(digit) for digit in digits]
    day, month = int(digits[0:2]), int(digits[2:4])
    day -= _D_NUMBER_DAY if day > _D_NUMBER_DAY else 0
    month -= max((added for added in _ADDED_TO_MONTH if month > added), default=0)
    if not (1 <= month <= len(_DAYS_IN_MONTH) and 1 <= day <= _DAYS_IN_MONTH[month - 1]):
        return False
    first = _check_digit(numbers, _FIRST_WEIGHTS)
    second = _check_digit(numbers, _SECOND_WEIGHTS)
    return numbers[9] == first and numbers[10] == second


def _check_digit(numbers: list[int], weights: tuple[int, ...]) -> int:
    """Modulus-11 check digit; 10 never matches a digit, as intended."""
    remainder = sum(w * n for w, n in zip(weights, numbers, strict=False)) % 11
    return (11 - remainder) % 11
