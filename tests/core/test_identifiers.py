"""Codes, and the refusal of identities of persons."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.core.errors import InputError
from gateway.core.identifiers import (
    CODE_MAX_LENGTH,
    check_code,
    looks_like_identity_number,
    refuse_identity_number,
)
from tests.core.specimens import examples

FIRST, SECOND = (3, 7, 6, 1, 8, 9, 4, 5, 2), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)


def with_check_digits(nine: str) -> str | None:
    """Complete a number by the published rule, modulus 11; None where it gives 10: such numbers are not issued."""
    digits = [int(digit) for digit in nine]
    for weights in (FIRST, SECOND):
        digit = -sum(weight * number for weight, number in zip(weights, digits, strict=True)) % 11
        if digit == 10:
            return None
        digits.append(digit)
    return "".join(map(str, digits))


def number_of(day: int, month: int, year: int, start: int = 0) -> str:
    """The first number that exists for a date, from an individual number on."""
    for individual in range(start, 1000):
        number = with_check_digits(f"{day:02}{month:02}{year:02}{individual:03}")
        if number is not None:
            return number
    raise AssertionError("no number for this date")


KINDS = {
    "fødselsnummer": number_of(15, 7, 65),
    "D-number": number_of(15 + 40, 7, 65),
    "H-number": number_of(15, 7 + 40, 65),
    "synthetic (month + 80)": number_of(15, 7 + 80, 65),
    "synthetic (month + 65)": number_of(15, 7 + 65, 65),
    "synthetic D-number": number_of(15 + 40, 7 + 80, 65),
    "29 February": number_of(29, 2, 4),
    "31 December": number_of(31, 12, 99),
    "1 January": number_of(1, 1, 0),
}


@pytest.mark.parametrize("number", KINDS.values(), ids=KINDS.keys())
def test_identity_numbers_are_refused_and_never_repeated(number: str) -> None:
    assert looks_like_identity_number(number)
    for text in (number, f"{number[:6]} {number[6:]}", f"{number[:6]}-{number[6:]}", f"sample:{number}/1"):
        with pytest.raises(InputError, match="national identity number") as caught:
            refuse_identity_number("items[0].code", text)
        assert caught.value.field == "items[0].code"
        assert number[:6] not in str(caught.value)
        assert number[6:] not in str(caught.value)


@examples
@given(
    st.integers(1, 28),
    st.integers(1, 12),
    st.integers(0, 99),
    st.integers(0, 999),
    st.sampled_from([0, 40]),
    st.sampled_from([0, 40, 65, 80]),
)
def test_every_number_of_every_kind_is_known(
    day: int, month: int, year: int, individual: int, to_day: int, to_month: int
) -> None:
    number = with_check_digits(f"{day + to_day:02}{month + to_month:02}{year:02}{individual:03}")
    assume(number is not None)
    assert number is not None
    assert looks_like_identity_number(number)


@pytest.mark.parametrize("number", KINDS.values(), ids=KINDS.keys())
def test_a_wrong_check_digit_makes_it_a_mere_code(number: str) -> None:
    for place in (9, 10):
        wrong = f"{number[:place]}{(int(number[place]) + 1) % 10}{number[place + 1 :]}"
        assert not looks_like_identity_number(wrong)
        assert check_code("code", wrong) == wrong


@pytest.mark.parametrize(
    ("day", "month"), [(0, 7), (32, 7), (30, 2), (31, 4), (15, 0), (15, 13), (72, 7), (15, 53), (15, 93)]
)
def test_what_is_no_date_is_a_mere_code(day: int, month: int) -> None:
    assert not looks_like_identity_number(number_of(day, month, 65))


@pytest.mark.parametrize("text", ["12345678901", "99999999999", "00000000000", "1234567890", "123456789012"])
def test_eleven_digits_alone_are_no_identity(text: str) -> None:
    assert check_code("code", text) == text


def test_a_longer_run_of_digits_is_no_identity() -> None:
    number = KINDS["fødselsnummer"]
    assert check_code("code", f"7{number}") == f"7{number}"
    assert check_code("code", f"{number}7") == f"{number}7"


@pytest.mark.parametrize("digits", ["", "1507650056", "150765005655", "1507650056x"])
def test_what_has_not_eleven_digits_is_not_looked_at(digits: str) -> None:
    assert not looks_like_identity_number(digits)


@pytest.mark.parametrize("code", ["A", "7", "BOX-1", "C0:FF:EE:00:00:01", "K+", "a/b.c_d", "Ærøskøbing", "x" * 64])
def test_codes(code: str) -> None:
    assert check_code("code", code) == code


@pytest.mark.parametrize(
    "text", ["", " ", "a b", "-a", "+a", ".a", "a\n", "a\x00", "a;b", "<b>", "é", "x" * (CODE_MAX_LENGTH + 1)]
)
def test_what_is_no_code_is_an_error_that_names_the_field(text: str) -> None:
    with pytest.raises(InputError) as caught:
        check_code("boxes[2].code", text)
    assert caught.value.field == "boxes[2].code"
    assert caught.value.reason


@examples
@given(st.text(max_size=70))
def test_any_text_is_a_code_or_an_error(text: str) -> None:
    try:
        accepted = check_code("code", text)
    except InputError:
        return
    assert accepted == text
