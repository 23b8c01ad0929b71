from __future__ import annotations

import re

import pytest

from gateway.core.errors import InputError
from gateway.hub.web.barcodes import draw_code128, draw_qr, encode_code128
from gateway.hub.web.labels import LABELS_MAX, make_label
from gateway.language import Language, speech_of


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("BOX-1", [104, 34, 47, 56, 13, 17, 22, 106]),
        ("00376130321109103420", [105, 0, 37, 61, 30, 32, 11, 9, 10, 34, 20, 18, 106]),
        ("A12345", [104, 33, 99, 12, 34, 100, 21, 0, 106]),
    ],
)
def test_digits_go_in_pairs_and_the_check_symbol_follows(text: str, symbols: list[int]) -> None:
    assert encode_code128(text) == symbols


@pytest.mark.parametrize("text", ["", "BØX-1", "x" * 41, "a\tb"])
def test_what_no_bar_code_holds_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="code"):
        encode_code128(text)


def test_bars_and_spaces_are_as_wide_as_the_standard_says() -> None:
    svg = draw_code128("BOX-1", "a <b>")
    widths = [int(width) for width in re.findall(r"0h(\d)v", svg)]
    assert widths[:3] == [2, 1, 1]  # start B: 211214, bars only
    assert widths[-4:] == [2, 3, 1, 2]  # stop: 2331112
    assert 'viewBox="0 0 110 60"' in svg  # 8 symbols of 11, the stop's 2 more, and 20 of quiet zone
    assert "<b>" not in svg


def test_a_label_has_both_codes_where_both_fit() -> None:
    speech = speech_of(Language.EN)
    assert make_label("BOX-1", speech).bars is not None
    assert make_label("BØX-1", speech).bars is None
    assert "QR code of BØX-1" in make_label("BØX-1", speech).qr
    assert draw_qr("BOX-1", "t").startswith('<svg class="qr" viewBox="0 0 29 29"')
    assert LABELS_MAX == 60
