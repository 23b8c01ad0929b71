"""Boxes that are ready or loaded while nothing is registered in them: watched as if one item were.

Such a time is called a vigil. It is judged by the box's default profile, on the vehicle and at the hub alike, as a
consignment whose code no person can register. Only temperature counts: an item that may not exist does not age.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

from gateway.core.configuration import Box, BoxState, Carriage, Consignment, Examination, Item
from gateway.core.identifiers import CODE_MAX_LENGTH
from gateway.core.profiles import Profile
from gateway.core.verdicts import BreachKind, Judgement

PREFIX = "unregistered:"
ALERTING = frozenset({BoxState.READY, BoxState.LOADED})
"""The states in which a box alerts."""
_COUNTED = frozenset({BreachKind.SINGLE, BreachKind.CUMULATIVE, BreachKind.FORBIDDEN})


def is_vigil(code: str) -> bool:
    """Say whether a consignment's code is that of a box with nothing registered in it."""
    return code.startswith(PREFIX)


def vigil_code(box: str, begins_ms: int) -> str:
    """Return the code of a vigil; a box's code that is too long for it is shortened, and stays distinct."""
    room = CODE_MAX_LENGTH - len(PREFIX) - len(f":{begins_ms}")
    name = box if len(box) <= room else f"{box[: room - 9]}-{sha256(box.encode()).hexdigest()[:8]}"
    return f"{PREFIX}{name}:{begins_ms}"


def make_vigil(code: str, box: str, profile: Profile, spans: Iterable[tuple[int, int | None]]) -> Consignment:
    """Return the consignment by which a box is watched in `spans`: from, to (None while it lasts), UTC milliseconds."""
    carriage = tuple(Carriage(box=box, begins=_moment(a), ends=None if b is None else _moment(b)) for a, b in spans)
    examination = Examination(code=profile.examination or profile.id, profile=profile.id)
    item = Item(code=box, kind=profile.kind, examinations=(examination,))
    return Consignment(code=code, items=(item,), carriage=carriage)


def alerts_in(box: Box | None) -> bool:
    """Say whether a box in its state alerts; one that is not registered does."""
    return box is None or box.state in ALERTING


def counted(judgement: Judgement) -> Judgement:
    """Return a judgement without the breaches that say nothing about an empty box."""
    if not is_vigil(judgement.consignment):
        return judgement
    return replace(judgement, breaches=tuple(breach for breach in judgement.breaches if breach.kind in _COUNTED))


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
