"""Early warning: consignments judged on the vehicle, on sealed records only, with the judge that the hub uses.

Pure but for the judge it is given. A breach that is new becomes a flag; what the hub will find again is one breach for
both, by its key. A stretch that a later reading lengthens or moves is still the one flagged already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from gateway.core.configuration import BoxState, Configuration, Consignment
from gateway.core.flags import BreachFlag
from gateway.core.judgement import ConsignmentJudge
from gateway.core.lasting import goes_on
from gateway.core.observations import Observation
from gateway.core.standby import ALERTING, counted
from gateway.core.verdicts import Breach, BreachKind, Judgement

_EVENTS = frozenset({BreachKind.SINGLE, BreachKind.FORBIDDEN})

Identity = tuple[str, str, str, str, BreachKind]


class Judge(Protocol):
    """What early warning needs of a judge."""

    def add(self, observations: Iterable[Observation]) -> None:
        """Take observations: any order, any number of times."""

    def judgements(self, now_ms: int) -> tuple[Judgement, ...]:
        """Say how things stand."""


JudgeFactory = Callable[[Consignment, Configuration], Judge]


class EarlyWarning:
    """Judges what this gateway carries under one configuration."""

    def __init__(self, configuration: Configuration, make_judge: JudgeFactory = ConsignmentJudge) -> None:
        self.judgements: dict[str, tuple[Judgement, ...]] = {}
        """The latest, by consignment."""
        self._configuration = configuration
        self._judges = {
            consignment.code: make_judge(consignment, configuration)
            for consignment in configuration.consignments
            if may_alert(consignment, configuration)
        }

    @property
    def since_ms(self) -> int | None:
        """From when on observations matter; None if nothing is carried."""
        begins = [
            carriage.begins
            for consignment in self._configuration.consignments
            if consignment.code in self._judges
            for item in consignment.items
            for carriage in consignment.carriage_of(item)
        ]
        return round(min(begins).timestamp() * 1000) if begins else None

    def add(self, observations: Sequence[Observation]) -> None:
        """Take sealed observations."""
        for judge in self._judges.values():
            judge.add(observations)

    def judge(self, now_ms: int) -> list[tuple[Judgement, Breach]]:
        """Judge everything; return each breach that is to be told, with the judgement that it belongs to.

        What only goes on after a gap was told when it began.
        """
        judged = {code: judge.judgements(now_ms) for code, judge in self._judges.items()}
        self.judgements = {code: tuple(map(counted, judgements)) for code, judgements in judged.items()}
        return [
            (judgement, breach)
            for judged in self.judgements.values()
            for judgement in judged
            for breach in judgement.breaches
            if not goes_on(breach, judgement)
        ]


class FlagBook:
    """Which breaches are flagged already, across restarts."""

    def __init__(self, flags: Iterable[BreachFlag] = ()) -> None:
        self._keys: set[str] = set()
        self._stretches: dict[Identity, list[tuple[int, int]]] = {}
        for flag in flags:
            self.enter(flag, flag.triggered_at_ms)

    def knows(self, flag: BreachFlag, ends_ms: int) -> bool:
        """Whether the breach is flagged already: by its key, or because a flagged stretch of its rule overlaps it."""
        return flag.key in self._keys or any(
            begins <= ends_ms and flag.started_at_ms <= ends
            for begins, ends in self._stretches.get(_identity(flag), ())
        )

    def enter(self, flag: BreachFlag, ends_ms: int) -> None:
        """Remember a flag and how far its stretch reaches by now."""
        self._keys.add(flag.key)
        if flag.kind in _EVENTS:
            stretches = self._stretches.setdefault(_identity(flag), [])
            if (flag.started_at_ms, ends_ms) not in stretches:
                stretches.append((flag.started_at_ms, ends_ms))


def may_alert(consignment: Consignment, configuration: Configuration) -> bool:
    """Whether it is still under way, in a box whose state lets it alert."""
    if consignment.received_at is not None:
        return False
    carried_in = {carriage.box for item in consignment.items for carriage in consignment.carriage_of(item)}
    states = {box.code: box.state for box in configuration.boxes}
    return any(states.get(box, BoxState.LOADED) in ALERTING for box in carried_in)


def _identity(flag: BreachFlag) -> Identity:
    return flag.consignment, flag.item, flag.examination, flag.rule, flag.kind
