"""New, old or begun anew: what a measurement's number says beside the one before. Pure.

A logger that reboots counts from zero again; somebody who plays old packets back shows old numbers. Neither can be
proved from broadcasts, which are not signed; what is impossible can be told from what is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.core.configuration import LoggerKind
from gateway.vehicle.loggers.reference import NUMBER_BITS


class Order(Enum):
    """What a number says."""

    NEXT = "next"
    REPEATED = "repeated"
    REBOOTED = "rebooted"
    OLD = "old"


@dataclass(frozen=True, slots=True)
class WrappingNumbers:
    """Numbers that wrap and say nothing of a boot.

    modulus    after modulus − 1 comes 0
    fastest_s  no measurement follows the one before more quickly
    """

    modulus: int
    fastest_s: float

    def order(self, before: int, now: int, passed_ms: int) -> Order:
        """Say how `now` lies to `before`, heard `passed_ms` earlier.

        A packet may have waited on its way, so SLACK numbers more than the time allows are still believed; a packet
        of the SLACK first numbers after a boot, played back, looks like that boot.
        """
        possible = passed_ms / 1000 / self.fastest_s + SLACK
        if now == before:
            return Order.REPEATED
        if (now - before) % self.modulus <= possible:
            return Order.NEXT
        return Order.REBOOTED if now <= possible else Order.OLD


@dataclass(frozen=True, slots=True)
class BootedNumbers:
    """The reference logger's: eight bits of boot above the number; docs/reference-logger.md, section 1."""

    def order(self, before: int, now: int, passed_ms: int) -> Order:
        """Say how `now` lies to `before`; time does not matter."""
        del passed_ms
        boots = ((now >> NUMBER_BITS) - (before >> NUMBER_BITS)) % _BOOTS
        if boots:
            return Order.REBOOTED if boots < _BOOTS // 2 else Order.OLD
        if now == before:
            return Order.REPEATED
        return Order.NEXT if (now - before) % _NUMBERS < _NUMBERS // 2 else Order.OLD


Numbers = WrappingNumbers | BootedNumbers

SLACK = 1000
"""Twenty minutes of a RuuviTag: longer than any packet waits, far less than its wrap of 23 h."""
_BOOTS = 256
_NUMBERS = 1 << NUMBER_BITS

NUMBERS: dict[LoggerKind, Numbers] = {
    LoggerKind.RUUVITAG: WrappingNumbers(modulus=65_535, fastest_s=0.5),
    LoggerKind.REFERENCE: BootedNumbers(),
}
"""Kinds that number their measurements. (A RuuviTag measures every 1.285 s, some firmware twice as often.)"""
