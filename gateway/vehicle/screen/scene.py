"""What the screen is made of: everything known at one moment, and simple questions to it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.core.configuration import Box, Configuration, Consignment, Item
from gateway.core.exposure import to_ms
from gateway.core.profiles import Forbidden, Limit
from gateway.core.standby import is_vigil
from gateway.core.verdicts import Judgement
from gateway.vehicle.state import BoxView


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment. `configuration` knows what was registered here; `here` what was scanned; `left` who left by itself.

    judgements  the latest, by consignment
    """

    gateway: str
    now_ms: int
    clock_trusted: bool
    boxes: tuple[BoxView, ...]
    configuration: Configuration | None
    judgements: Mapping[str, tuple[Judgement, ...]]
    here: Mapping[str, bool]
    left: Mapping[str, int]

    def is_here(self, code: str) -> bool:
        """Whether a box is in this vehicle: as scanned; unless it was, if it is this vehicle's alone."""
        if code in self.here:
            return self.here[code]
        box = self.box(code)
        return box is not None and box.gateways == (self.gateway,)

    def box(self, code: str) -> Box | None:
        """Return a box, None if it is unknown."""
        boxes = () if self.configuration is None else self.configuration.boxes
        return next((box for box in boxes if box.code == code), None)

    def knows(self, code: str) -> bool:
        """Whether a box, a consignment or an item under way has this code."""
        return self.box(code) is not None or self.consignment(code) is not None or self.find_item(code) is not None

    def names(self) -> dict[str, str]:
        """Return what people call each box: its label, with its code where several are of that label, else its code."""
        boxes = () if self.configuration is None else self.configuration.boxes
        alike = Counter(box.label for box in boxes)
        return {
            box.code: box.code if not box.label else f"{box.label} ({box.code})" if alike[box.label] > 1 else box.label
            for box in boxes
        }

    def name_of(self, code: str) -> str:
        """Return what people call a box."""
        return self.names().get(code, code)

    def consignment(self, code: str) -> Consignment | None:
        """Return a consignment that is not received, None if there is none of that code."""
        return next((consignment for consignment in self.under_way() if consignment.code == code), None)

    def find_item(self, code: str) -> tuple[Consignment, Item] | None:
        """Return the item of a code in what is carried; the newest consignment first."""
        found = [(c, item) for c in self.under_way() for item in c.items if item.code == code]
        return found[-1] if found else None

    def under_way(self) -> Iterator[Consignment]:
        """Yield what is registered and not received."""
        for consignment in () if self.configuration is None else self.configuration.consignments:
            if consignment.received_at is None and not is_vigil(consignment.code):
                yield consignment

    def box_of(self, consignment: Consignment, item: Item) -> str | None:
        """Return the box in which an item is now."""
        for carriage in reversed(consignment.carriage_of(item)):
            begun = to_ms(carriage.begins) <= self.now_ms
            if begun and (carriage.ends is None or to_ms(carriage.ends) > self.now_ms):
                return carriage.box
        return None

    def items_in(self, box: str) -> Iterator[tuple[Consignment, Item]]:
        """Yield what is in a box now."""
        for consignment in self.under_way():
            for item in consignment.items:
                if self.box_of(consignment, item) == box:
                    yield consignment, item

    def judgements_of(self, consignment: Consignment, item: Item) -> list[Judgement]:
        """Return the judgements on one item."""
        return [judged for judged in self.judgements.get(consignment.code, ()) if judged.item == item.code]

    def sides_of(self, box: str) -> frozenset[str]:
        """Return on which sides of their limits things in a box are at this moment: "above", "below", both or none."""
        profiles = {} if self.configuration is None else {one.id: one for one in self.configuration.profiles}
        found = set()
        for judged in self.judged_in(box):
            profile = profiles.get(judged.profile)
            rules: list[Limit | Forbidden] = [] if profile is None else [*profile.limits, *profile.forbidden]
            lasting = {one.rule for one in judged.excursions if one.ended_at_ms is None}
            found |= {"below" if rule.above_c is None else "above" for rule in rules if rule.name in lasting}
        return frozenset(found)

    def judged_in(self, box: str) -> Iterator[Judgement]:
        """Yield the judgements on all that is or was in a box; also where nothing is registered in it."""
        for consignment in () if self.configuration is None else self.configuration.consignments:
            boxes = {item.code: {one.box for one in consignment.carriage_of(item)} for item in consignment.items}
            for judged in self.judgements.get(consignment.code, ()):
                if box in boxes.get(judged.item, ()):
                    yield judged

    def deadline_ms(self, box: str) -> int | None:
        """Return when the first thing in a box is too late: at the laboratory, or by its shelf life."""
        return min((at for c, item in self.items_in(box) for at in self._deadlines(c, item)), default=None)

    def _deadlines(self, consignment: Consignment, item: Item) -> Iterator[int]:
        for stated in (consignment.planned_arrival, item.latest_arrival, item.use_before):
            if stated is not None:
                yield to_ms(stated)
        for judged in self.judgements_of(consignment, item):
            yield from (life.expires_at_ms for life in judged.lives if life.expires_at_ms is not None)
