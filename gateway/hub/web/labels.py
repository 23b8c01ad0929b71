"""Labels to print, for boxes and consignments, and the card that receives what was scanned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from gateway.core.errors import InputError
from gateway.core.identifiers import check_code
from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, Requirement
from gateway.hub.web.barcodes import CODE128_MAX, draw_code128, draw_qr
from gateway.hub.web.languages import Reader
from gateway.hub.web.rendering import render
from gateway.language import Speech
from gateway.language.speech import N_

LABELS_MAX = 60
"""Labels of one print: three sheets."""
TEXT_MAX = LABELS_MAX * 66
RECEIVE = "+RECEIVE"
"""What the card says; the bench's script knows it. No code begins with a plus."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True, slots=True)
class Label:
    """A label. `bars` is None where the code is too long for Code 128, or has letters that it does not know."""

    code: str
    qr: Markup
    bars: Markup | None


@router.get("/labels")
def show_labels(
    rooms: HubRooms,
    caller: Annotated[Caller, Depends(Requirement(Right.READ_BOXES))],
    reader: Reader,
    codes: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> HTMLResponse:
    """Show labels of the codes given, one on each line; without any, the card and the registered boxes to choose."""
    wanted = list(dict.fromkeys(codes.split()))[:LABELS_MAX]
    labels, refused = [], []
    for code in wanted:
        try:
            labels.append(make_label(check_code("codes", code), reader))
        except InputError:
            refused.append(reader.gettext(N_("{code} fits no label.")).format(code=code))
    return render(
        "labels.html",
        rooms,
        caller,
        reader,
        labels=labels,
        refused=refused,
        codes="\n".join(wanted or [box.code for box in rooms.registry.boxes()][:LABELS_MAX]),
        card=make_label(RECEIVE, reader),
        here="/labels",
    )


def make_label(code: str, speech: Speech) -> Label:
    """Return the label of a code."""
    qr = draw_qr(code, speech.gettext(N_("QR code of {code}")).format(code=code))
    fits = code.isascii() and len(code) <= CODE128_MAX
    title = speech.gettext(N_("Bar code of {code}")).format(code=code)
    return Label(code, qr, draw_code128(code, title) if fits else None)
