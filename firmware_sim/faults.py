"""Faults of loggers in a scenario: what is to go wrong, and when it begins and ends.

Each is also a hook that a test can set by hand: ``Misbehaviour`` (on the air, in the log), ``Sensor`` and
``Firmware.reboot``.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Annotated, Literal, Protocol, get_args

from pydantic import AwareDatetime, Field

from firmware_sim.clock import to_ms
from firmware_sim.firmware import Firmware
from firmware_sim.misbehaviour import BadLog, Misbehaviour
from firmware_sim.tables import Interval, Table


class Reboot(Table):
    """It starts again: counter and clock at zero."""

    kind: Literal["reboot"]
    at: AwareDatetime


class Jump(Table):
    """One value is off by so much."""

    kind: Literal["jump"]
    at: AwareDatetime
    by_c: float = Field(ge=-300, le=300)


class Stuck(Interval):
    """The sensor repeats its last value, while the counter goes on."""

    kind: Literal["stuck"]


class NoValue(Interval):
    """The sensor gives none: the format's code for that, or its extreme, is broadcast."""

    kind: Literal["no_value"]


class Frozen(Interval):
    """The same advertisement is repeated, counter and all, while measuring goes on."""

    kind: Literal["frozen"]


class Foreign(Interval):
    """Something else than its format is sent under the same identifier as well."""

    kind: Literal["foreign"]


class Spoiled(Interval):
    """Downloads of its log go wrong; see ``BadLog``. ``downloads`` is how many, all of them where it is missing."""

    kind: Literal["bad_log"]
    truncates_after: int | None = Field(None, ge=0)
    corrupts_frame: int | None = Field(None, ge=0)
    loses_frame: int | None = Field(None, ge=0)
    disconnects_after: int | None = Field(None, ge=0)
    downloads: int | None = Field(None, ge=1)


Fault = Annotated[Reboot | Jump | Stuck | NoValue | Frozen | Foreign | Spoiled, Field(discriminator="kind")]
KINDS = frozenset(
    get_args(member.model_fields["kind"].annotation)[0]
    for member in (Reboot, Jump, Stuck, NoValue, Frozen, Foreign, Spoiled)
)


class Afflicted(Protocol):
    """A logger, as far as faults act on it."""

    firmware: Firmware
    misbehaviour: Misbehaviour

    def reboot(self, at_ms: float) -> None:
        """Start the firmware again."""


Act = Callable[[Afflicted, int], None]


def spans(faults: Iterable[Fault]) -> Iterator[tuple[int, Interval]]:
    """Give those that last, each with its place in the list."""
    for position, fault in enumerate(faults):
        if isinstance(fault, Interval):
            yield position, fault


class FaultSchedule:
    """The faults of one logger in the order of time; ``shift_ms`` is domain time minus the scenario's."""

    def __init__(self, faults: Iterable[Fault], shift_ms: int) -> None:
        turns = [turn for fault in faults for turn in _turns(fault)]
        self._turns = sorted(
            ((to_ms(at) + shift_ms, told, act) for at, told, act in turns), key=lambda turn: (turn[0], turn[1])
        )

    @property
    def next_at_ms(self) -> int | None:
        """Return when something changes next, None where nothing does."""
        return self._turns[0][0] if self._turns else None

    def take(self, logger: Afflicted) -> tuple[int, str]:
        """Let the next change happen; returns when, and what it is called."""
        at_ms, told, act = self._turns.pop(0)
        act(logger, at_ms)
        return at_ms, told


def _turns(fault: Fault) -> list[tuple[datetime, str, Act]]:
    match fault:
        case Reboot():
            return [(fault.at, "reboot", lambda logger, at_ms: logger.reboot(at_ms))]
        case Jump():
            by_c = fault.by_c
            return [(fault.at, "jump", lambda logger, _: setattr(logger.firmware.sensor, "jump_c", by_c))]
        case _:
            return [
                (fault.begins_at, f"{fault.kind}_begins", _switch(fault, is_on=True)),
                (fault.ends_at, f"{fault.kind}_ends", _switch(fault, is_on=False)),
            ]


def _switch(fault: Stuck | NoValue | Frozen | Foreign | Spoiled, *, is_on: bool) -> Act:
    def act(logger: Afflicted, _at_ms: int) -> None:
        match fault:
            case Stuck():
                logger.firmware.sensor.is_stuck = is_on
            case NoValue():
                logger.firmware.sensor.is_broken = is_on
            case Frozen():
                logger.misbehaviour.is_frozen = is_on
            case Foreign():
                logger.misbehaviour.is_foreign = is_on
            case Spoiled():
                logger.misbehaviour.bad_log = _bad_log(fault) if is_on else BadLog()
                logger.misbehaviour.bad_downloads = fault.downloads if is_on else None

    return act


def _bad_log(fault: Spoiled) -> BadLog:
    return BadLog(fault.truncates_after, fault.corrupts_frame, fault.loses_frame, fault.disconnects_after)
