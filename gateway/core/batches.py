"""Many things to be registered with one request: all of them or none.

The bounds let a request fit 1 MiB, and let one act hold up those that wait for it for a second, not longer.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from gateway.core.configuration import Box, Code, Consignment, Logger
from gateway.core.profiles import MisplacedError, Model

BOXES_MAX = LOGGERS_MAX = GATEWAYS_MAX = 500
CONSIGNMENTS_MAX = 200
REASON_MAX = 200


class SetUp(Model):
    """What an organisation begins with, or adds: boxes, loggers, and gateways that are to get a one-time code each.

    `reason` goes into the audit trail, with each box and logger.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # there may be keys among it

    boxes: Annotated[tuple[Box, ...], Field(max_length=BOXES_MAX)] = ()
    loggers: Annotated[tuple[Logger, ...], Field(max_length=LOGGERS_MAX)] = ()
    codes_for: Annotated[tuple[Code, ...], Field(max_length=GATEWAYS_MAX)] = ()
    reason: Annotated[str, StringConstraints(max_length=REASON_MAX)] = ""

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        _refuse_twice((box.code for box in self.boxes), "boxes", "code")
        _refuse_twice((logger.address for logger in self.loggers), "loggers", "address")
        _refuse_twice(self.codes_for, "codes_for")
        return self


class Outcome(StrEnum):
    """What came of something that was to be registered, or would come of it."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"


class SetUpDone(Model):
    """What came of boxes by code and of loggers by address; the one-time codes by gateway, none in a `dry_run`."""

    dry_run: bool
    boxes: dict[str, Outcome]
    loggers: dict[str, Outcome]
    codes: dict[str, str]


class ConsignmentBatch(Model):
    """Consignments that are new, or that say what is registered of them already."""

    consignments: Annotated[tuple[Consignment, ...], Field(min_length=1, max_length=CONSIGNMENTS_MAX)]

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        _refuse_twice((one.code for one in self.consignments), "consignments", "code")
        return self


class ConsignmentsDone(Model):
    """How many consignments there were, and the codes of those that were not registered before."""

    dry_run: bool
    consignments: int
    new: tuple[str, ...]


def _refuse_twice(codes: Iterable[str], *field: str) -> None:
    seen: dict[str, int] = {}
    kind, *rest = field
    for place, code in enumerate(codes):
        first = seen.setdefault(code, place)
        if first != place:
            raise MisplacedError(f"the same as {kind}[{first}]", kind, place, *rest)
