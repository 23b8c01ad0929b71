"""What explains a breach that belongs to nothing registered: a consignment that was in its box when it began."""

from __future__ import annotations

import pytest

from gateway.core.configuration import Consignment
from gateway.core.errors import InputError
from gateway.hub.breaches.inbox import Entry, check_covers
from tests.hub.vans import START_MS, iso

BEGAN = Entry(1, 1, "BOX/1", "BOX-1", "warm", START_MS + 60_000, START_MS, None, None)


def carried(box: str = "BOX-1", begins_s: float = 0, ends_s: float | None = None, **more: object) -> Consignment:
    carriage = {"box": box, "begins": iso(begins_s)} | ({} if ends_s is None else {"ends": iso(ends_s)})
    item = {"code": "T-1", "kind": "sample", "examinations": [{"code": "K", "profile": "potassium"}]}
    return Consignment.model_validate({"code": "C-1", "items": [item], "carriage": [carriage], **more})


@pytest.mark.parametrize(
    "consignment", [carried(), carried(begins_s=60), carried(ends_s=61), carried(received_at=iso(61))]
)
def test_what_was_in_the_box_when_it_began_explains_it(consignment: Consignment) -> None:
    check_covers(BEGAN, consignment)


@pytest.mark.parametrize(
    "consignment",
    [carried("BOX-2"), carried(begins_s=61), carried(ends_s=60), carried(received_at=iso(60))],
)
def test_what_was_elsewhere_or_at_another_time_does_not(consignment: Consignment) -> None:
    with pytest.raises(InputError, match="nothing of it was in BOX-1"):
        check_covers(BEGAN, consignment)
