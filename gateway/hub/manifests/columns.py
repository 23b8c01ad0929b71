"""The columns of a manifest, and the files that show them: an empty template and a sample."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from gateway.hub.times import to_oslo
from gateway.language.speech import N_


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in the first line, what stands in it, and whether it must be filled in."""

    name: str
    about: str
    is_needed: bool = False


COLUMNS = (
    Column("consignment", N_("code of what is carried together"), is_needed=True),
    Column("box", N_("code of its box, registered before"), is_needed=True),
    Column("in_box_since", N_("when it was laid into the box"), is_needed=True),
    Column(
        "item", N_("code of a tube, syringe or bag; two lines of one code are two examinations of it"), is_needed=True
    ),
    Column("profile", N_("name of the profile that judges it"), is_needed=True),
    Column("examination", N_("code of the examination; empty: the name of the profile")),
    Column("collected_at", N_("when a sample was taken")),
    Column("prepared_at", N_("when a medicine was prepared")),
    Column("first_use_at", N_("when it was first opened")),
    Column("use_before", N_("what the label says")),
    Column("latest_arrival", N_("after this it is urgent")),
    Column("requester", N_("who asked for it: a function or a department, never a patient")),
    Column("receiver", N_("who awaits it")),
    Column("planned_arrival", N_("when it should arrive")),
)
NAMES = tuple(column.name for column in COLUMNS)
NEEDED = tuple(column.name for column in COLUMNS if column.is_needed)
OF_CONSIGNMENT = ("requester", "receiver", "planned_arrival")
"""What holds for the whole consignment: it may stand in one of its lines, or in all alike."""
OF_ITEM = ("box", "in_box_since", "collected_at", "prepared_at", "first_use_at", "use_before", "latest_arrival")
MOMENTS = frozenset({*OF_ITEM, "planned_arrival"} - {"box"})


def write_template() -> str:
    """Return a file with the first line only."""
    return _write([])


def write_sample(now_ms: int) -> str:
    """Return a file of three lines around a moment: two tubes of one consignment, one of them for two examinations."""
    now = to_oslo(now_ms).replace(second=0, microsecond=0)
    packed, collected = now.isoformat(), (now - timedelta(minutes=20)).isoformat()
    planned = (now + timedelta(hours=3)).isoformat()
    common = {"consignment": "C-1001", "box": "BOX-1", "in_box_since": packed, "collected_at": collected}
    tubes = (("T-1", "potassium", "K"), ("T-1", "blood-count-edta", "CBC"), ("T-2", "potassium", "K"))
    return _write(
        [
            common
            | {"item": item, "profile": profile, "examination": examination}
            | {"requester": "WARD-3", "planned_arrival": planned}
            for item, profile, examination in tubes
        ]
    )


def _write(lines: Sequence[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, NAMES, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
