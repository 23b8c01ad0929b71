"""Reasons of the API in the reader's language."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from gateway.language import Language, speech_of
from gateway.language.faults import say_fault


class Choice(StrEnum):
    WARM, COLD = "warm", "cold"


class Asked(BaseModel):
    """A field for each kind of fault that an address or a form can have."""

    needed: int
    whole: int = 0
    short: Annotated[str, Field(max_length=3)] = ""
    day: date = date(2026, 1, 1)
    choice: Choice = Choice.WARM
    bounded: Annotated[int, Field(ge=1, le=9)] = 1
    some: Annotated[tuple[int, ...], Field(max_length=1)] = ()
    patterned: Annotated[str, Field(pattern="^a$")] = "a"
    ticked: bool = False


SAID = {
    "needed": "Dette mangler.",
    "whole": "Dette er ikke et tall.",
    "short": "Høyst 3 tegn.",
    "day": "Den dagen finnes ikke.",
    "choice": "Velg en av disse: 'warm', 'cold'.",
    "bounded": "Høyst 9.",
    "some": "Høyst 1.",
    "patterned": "Her er det tegn som ikke hører hjemme.",
    "ticked": "Velg et av alternativene.",
}


def test_what_pydantic_finds_is_said_in_norwegian() -> None:
    given = {"whole": "x", "short": "long", "day": "x", "choice": "x", "bounded": 10, "some": [1, 2], "patterned": "b"}
    with pytest.raises(ValidationError) as caught:
        Asked.model_validate({**given, "ticked": "perhaps"})
    speech = speech_of(Language.NB)
    assert {fault["loc"][0]: say_fault(fault["msg"], speech) for fault in caught.value.errors()} == SAID


def test_what_nobody_has_translated_is_told_apart() -> None:
    assert say_fault("names itself as its own follow-up", speech_of(Language.NB)) is None
