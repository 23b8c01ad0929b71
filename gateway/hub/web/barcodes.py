"""Bar codes as SVG for labels: QR, and Code 128 (ISO/IEC 15417). Pure.

Code 128 is drawn from the table of the standard: six widths per symbol, bar and space in turn.
"""

from __future__ import annotations

import segno
from markupsafe import Markup, escape

from gateway.core.errors import InputError

CODE128_MAX = 40
"""Characters: at 0.33 mm a module such a bar code is 16 cm wide; more fits no label."""
QUIET = 10
"""Modules left white on either side, as the standard asks for."""
HEIGHT = 60
_START_B, _START_C, _CODE_B, _CODE_C, _STOP = 104, 105, 100, 99, 106
_CHECK = 103
_FIRST_B, _LAST_B = " ", "\x7f"
_RUN_C = 4
"""Digits in a row from which on two in one symbol are shorter."""

_TABLE = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222"
    " 123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321"
    " 232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121"
    " 313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224"
    " 111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111"
    " 111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113"
    " 114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 2331112"
)
_WIDTHS = _TABLE.split()


def encode_code128(text: str) -> list[int]:
    """Return the symbols from start to stop, digits in pairs where that is shorter.

    Raises InputError for what Code 128 cannot hold on a label: letters beyond ASCII, or more than CODE128_MAX.
    """
    if not text or len(text) > CODE128_MAX or not all(_FIRST_B <= one < _LAST_B for one in text):
        raise InputError("code", f"a bar code holds 1 to {CODE128_MAX} ASCII characters: use the QR code")
    symbols: list[int] = []
    place, in_pairs = 0, False
    while place < len(text):
        digits = _count_digits(text, place)
        if digits >= (2 if in_pairs else _RUN_C):
            if not in_pairs:
                symbols.append(_CODE_C if symbols else _START_C)
            in_pairs = True
            symbols.append(int(text[place : place + 2]))
            place += 2
        else:
            if in_pairs or not symbols:
                symbols.append(_CODE_B if symbols else _START_B)
            in_pairs = False
            symbols.append(ord(text[place]) - ord(_FIRST_B))
            place += 1
    check = (symbols[0] + sum(at * symbol for at, symbol in enumerate(symbols))) % _CHECK
    return [*symbols, check, _STOP]


def draw_code128(text: str, title: str) -> Markup:
    """Return a Code 128 as an SVG, one module a unit wide. Raises InputError; see `encode_code128`."""
    bars, at = [], QUIET
    for symbol in encode_code128(text):
        for place, width in enumerate(map(int, _WIDTHS[symbol])):
            if place % 2 == 0:
                bars.append(f"M{at} 0h{width}v{HEIGHT}h-{width}z")
            at += width
    return Markup(  # noqa: S704  numbers of our own, and an escaped title
        f'<svg class="code128" viewBox="0 0 {at + QUIET} {HEIGHT}" role="img" preserveAspectRatio="none">'
        f'<title>{escape(title)}</title><rect width="100%" height="100%" fill="#fff"></rect>'
        f'<path fill="#000" d="{"".join(bars)}"></path></svg>'
    )


def draw_qr(text: str, title: str) -> Markup:
    """Return a QR code (error correction M) as an SVG, one module a unit wide, with its quiet zone of four."""
    matrix = [list(row) for row in segno.make_qr(text, error="m").matrix_iter(border=4)]
    dark = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(matrix) for x, bit in enumerate(row) if bit)
    size = len(matrix)
    return Markup(  # noqa: S704  numbers of our own, and an escaped title
        f'<svg class="qr" viewBox="0 0 {size} {size}" role="img" shape-rendering="crispEdges">'
        f'<title>{escape(title)}</title><rect width="{size}" height="{size}" fill="#fff"></rect>'
        f'<path fill="#000" d="{dark}"></path></svg>'
    )


def _count_digits(text: str, place: int) -> int:
    end = place
    while end < len(text) and "0" <= text[end] <= "9":
        end += 1
    return end - place
