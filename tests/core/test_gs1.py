from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InputError
from gateway.core.gs1 import Mark, Scheme, aliases_of, read_bare, read_mark
from gateway.core.identifiers import check_code
from gateway.core.scans import codes_of

SSCC = "376130321109103420"  # the example of GS1 Switzerland
GRAI = "07038010068980"
WIDE = "17038010068987"


def check_digit(digits: str) -> str:
    """The sum of the General Specifications, by hand: from the right times 3, 1, 3, 1 …"""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


@pytest.mark.parametrize(
    "scanned",
    [
        f"00{SSCC}",
        f"]C100{SSCC}",
        f"(00){SSCC}",
        f"(00) {SSCC}".replace(" ", ""),
        f"]d2400ORDER-9\x1d00{SSCC}",
        f"https://id.gs1.org/00/{SSCC}",
        f"  00{SSCC} ",
        f"\x1d00{SSCC}",
        f"~00{SSCC}",
    ],
)
def test_a_logistic_unit_is_named_by_its_sscc(scanned: str) -> None:
    assert read_mark(scanned) == Mark(Scheme.SSCC, (f"00{SSCC}", SSCC))


@pytest.mark.parametrize("separator", ["\x1d", "~", "|", "^", "\u241d"])
def test_a_box_is_named_by_its_grai_whatever_the_scanner_sends_for_fnc1(separator: str) -> None:
    mark = read_mark(f"]C18003{GRAI}BOX-17{separator}10LOT")
    assert mark == Mark(Scheme.GRAI, (f"8003{GRAI}BOX-17", f"{GRAI}BOX-17"))


def test_an_item_is_named_by_gtin_and_serial_in_any_order() -> None:
    wanted = Mark(Scheme.SGTIN, ("010703801006898021X-9",))
    assert read_mark("]d201070380100689801727010121X-9") == wanted
    assert read_mark("]d221X-9\x1d0107038010068980") == wanted
    assert read_mark("(01)07038010068980(21)X-9(17)270101") == wanted
    assert read_mark("https://example.org/01/07038010068980/21/X-9?17=270101") == wanted


def test_an_asset_is_named_by_its_giai() -> None:
    assert read_mark("(8004)7038010BOX1") == Mark(Scheme.GIAI, ("80047038010BOX1", "7038010BOX1"))


@pytest.mark.parametrize(
    "scanned", ["BOX-1", "", "C-1001", "7038010068980", "0107038010068980", f"8003{GRAI}", "(", "]C1"]
)
def test_what_names_no_single_thing_is_no_mark(scanned: str) -> None:
    assert read_mark(scanned) is None


@pytest.mark.parametrize(
    ("scanned", "scheme"),
    [("00376130321109103421", "SSCC"), ("800307038010068981X", "GRAI"), ("010703801006898121X", "SGTIN")],
)
def test_a_wrong_check_digit_is_said(scanned: str, scheme: str) -> None:
    with pytest.raises(InputError, match=scheme):
        read_mark(scanned)


@given(st.text(alphabet="0123456789", min_size=17, max_size=17))
def test_exactly_one_check_digit_is_right(digits: str) -> None:
    right = check_digit(digits)
    for last in "0123456789":
        if last == right:
            mark = read_mark(f"00{digits}{last}")
            assert mark is not None
            assert all(check_code("code", code) for code in mark.codes)
        else:
            with pytest.raises(InputError):
                read_mark(f"00{digits}{last}")


@given(st.text(max_size=140))
def test_nothing_that_can_be_scanned_breaks_it(scanned: str) -> None:
    with suppress(InputError):
        mark = read_mark(scanned)
        assert mark is None or mark.codes


@pytest.mark.parametrize(
    ("typed", "scanned"),
    [
        (SSCC, f"00{SSCC}"),
        (f"{GRAI}BOX-17", f"8003{GRAI}BOX-17"),
        (f"{GRAI[1:]}BOX-17", f"8003{GRAI}BOX-17"),
        (f"{GRAI}X-9", f"01{GRAI}21X-9"),
        (f"{GRAI[1:]} X-9", f"01{GRAI}21X-9"),
        (f"{WIDE}\x1dX-9", f"01{WIDE}21X-9"),
        ("7038010BOX1", "80047038010BOX1"),
    ],
)
def test_a_key_without_its_identifiers_is_found_whichever_way_it_is_registered(typed: str, scanned: str) -> None:
    mark = read_mark(scanned)
    assert mark is not None
    assert mark in read_bare(typed)
    for code in (*mark.codes, *aliases_of(mark)):
        assert code in codes_of(typed)
        assert code in codes_of(scanned)


@pytest.mark.parametrize("typed", [SSCC[:-1] + "1", "27038010068981BOX-17", "T-4711", "", "BOX-1", "123"])
def test_what_has_no_right_check_digit_is_no_bare_key(typed: str) -> None:
    assert [mark for mark in read_bare(typed) if mark.scheme is not Scheme.GIAI] == []


@pytest.mark.parametrize(
    "link",
    [
        f"https://id.gs1.org/00/{SSCC}",
        f"https://id.gs1.org/8003/{GRAI}17",
        "https://id.gs1.org/8004/7038010BOX1",
        "https://id.gs1.org/01/07038010068980/21/X-9",
    ],
)
def test_a_mark_written_as_a_web_address_is_the_same_mark(link: str) -> None:
    mark = read_mark(link)
    assert mark is not None
    assert link in aliases_of(mark)
    assert all(check_code("code", code) for code in aliases_of(mark))


@given(st.text(max_size=140))
def test_nothing_that_can_be_typed_breaks_the_bare_reading(scanned: str) -> None:
    assert all(aliases_of(mark) for mark in read_bare(scanned))
