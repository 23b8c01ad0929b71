"""Who hands in, in words: a role and a code, never a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.hub.hand_in.codes import HandIn
from gateway.hub.hand_in.statements import Handler
from gateway.language import Speech
from gateway.language.speech import N_

HANDLERS: Final[Mapping[Handler, str]] = {
    Handler.MUNICIPAL_NURSE: N_("Municipal nurse"),
    Handler.GP_SURGERY: N_("GP surgery"),
    Handler.TAXI: N_("Taxi"),
    Handler.SELF_SAMPLER: N_("I took the sample myself"),
    Handler.OTHER: N_("Somebody else"),
}


def say_handler(hand_in: HandIn, speech: Speech) -> str:
    """Return who has handed in, in words; "" where nobody has."""
    statement = hand_in.statement
    if statement is None:
        return ""
    words = speech.gettext(HANDLERS[statement.handler])
    return words if statement.handler_code is None else f"{words} {statement.handler_code}"
