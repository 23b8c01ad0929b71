"""Shares: what part of the registry each gateway is given. Pure.

A box that names gateways is for them alone, any other for all. With a box go its loggers and the consignments that it
carries; with a consignment all boxes that it was in, so that what a gateway is given is whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from gateway.core.assignments import tenures_of
from gateway.core.configuration import Box, Consignment, Logger, Site
from gateway.core.profiles import Profile
from gateway.hub.database.rows import boxes_of, examinations_of


@dataclass(frozen=True, slots=True)
class Share:
    """What one gateway is given. Sites are given to all."""

    loggers: tuple[Logger, ...]
    boxes: tuple[Box, ...]
    consignments: tuple[Consignment, ...]
    profiles: tuple[Profile, ...]
    sites: tuple[Site, ...]


class Shares:
    """The registry, ready to be shared out. Everything is given in the order in which it came."""

    def __init__(
        self,
        boxes: Sequence[Box],
        loggers: Sequence[Logger],
        consignments: Sequence[Consignment],
        profiles: Sequence[Profile],
        sites: tuple[Site, ...],
        for_all: Collection[str] = (),
    ) -> None:
        """`for_all` are profiles that every gateway is given: what is registered at a vehicle may need them."""
        self._sites, self._for_all = sites, for_all
        self._boxes, self._loggers, self._consignments, self._profiles = boxes, loggers, consignments, profiles
        self._box_places = {box.code: place for place, box in enumerate(boxes)}
        self._common = {box.code for box in boxes if not box.gateways}
        self._own: defaultdict[str, set[str]] = defaultdict(set)
        for box in boxes:
            for gateway in box.gateways:
                self._own[gateway].add(box.code)
        self._carried = [boxes_of(consignment) for consignment in consignments]
        self._consignments_of = _by_box(enumerate(self._carried))
        tenures = ((place, {t.box for t in tenures_of(logger)}) for place, logger in enumerate(loggers))
        self._loggers_of = _by_box(tenures)
        self._boxless = {place for place, carried in enumerate(self._carried) if not carried}

    def of(self, gateway: str, *, all_boxes: bool = False) -> Share:
        """Return what one gateway is given; with `all_boxes` also what is for others: at a reception."""
        codes = set(self._box_places) if all_boxes else self._common | self._own[gateway]
        given = set(self._boxless).union(*(self._consignments_of[code] for code in codes))
        codes = codes.union(*(self._carried[place] for place in given))
        loggers = set[int]().union(*(self._loggers_of[code] for code in codes))
        boxes = [self._boxes[place] for place in sorted(self._box_places[c] for c in codes if c in self._box_places)]
        consignments = tuple(self._consignments[place] for place in sorted(given))
        names = {*_profile_names(boxes, consignments), *self._for_all}
        return Share(
            loggers=tuple(self._loggers[place] for place in sorted(loggers)),
            boxes=tuple(boxes),
            consignments=consignments,
            profiles=tuple(profile for profile in self._profiles if profile.id in names),
            sites=self._sites,
        )


def _by_box(placed: Iterable[tuple[int, Iterable[str]]]) -> defaultdict[str, set[int]]:
    places: defaultdict[str, set[int]] = defaultdict(set)
    for place, codes in placed:
        for code in codes:
            places[code].add(place)
    return places


def _profile_names(boxes: Iterable[Box], consignments: Iterable[Consignment]) -> Iterator[str]:
    yield from (box.default_profile for box in boxes if box.default_profile is not None)
    for consignment in consignments:
        for _, examination in examinations_of(consignment):
            yield examination.profile
            yield from (switch.profile for switch in examination.switches)
