"""Which supported loggers are within reach, enrolled or not. Pure: time comes in with each call."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.configuration import Logger, LoggerKind
from gateway.vehicle.loggers.families import FAMILIES, Ear
from gateway.vehicle.loggers.measurement import AdvertisementError, Measurement, Packet

SIGHTINGS_MAX = 1000
"""Loggers remembered; a street has fewer, and whoever invents addresses costs no more memory than this."""
_ENCRYPTED = 1
"""The bit of BTHome's first byte."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A logger as it was heard last: rssi in dBm, `heard_s` of the clock passed in; `note` says what is odd."""

    address: str
    kind: LoggerKind
    maker: str
    rssi: int
    heard_s: float
    measurement: Measurement | None = None
    note: str = ""


class Discovery:
    """Listens to everybody. Foreign devices leave no trace."""

    def __init__(self) -> None:
        self._ears: dict[str, Ear] = {}
        self._sightings: dict[str, Sighting] = {}

    def sightings(self) -> list[Sighting]:
        """All loggers heard, by address."""
        return [self._sightings[address] for address in sorted(self._sightings)]

    def hear(self, packet: Packet, now_s: float) -> Sighting | None:
        """Take one advertisement; return what it told if that is new, None for foreign and repeated ones."""
        kind = _kind_of(packet)
        if kind is None:
            return None
        ear = self._ear_of(packet.address, kind)
        payload = None if ear is None else ear.recognise(packet)
        if ear is None or payload is None:
            return None
        before = self._sightings.get(packet.address)
        measurement, note = None if before is None else before.measurement, "" if before is None else before.note
        is_new = before is None
        try:
            heard = ear.hear(packet, payload)
        except AdvertisementError as error:
            note, is_new = _explain(kind, payload, error), True
        else:
            if heard is not None:
                measurement, note, is_new = heard, "", True
        sighting = Sighting(packet.address, kind, ear.family.maker, packet.rssi, now_s, measurement, note)
        self._sightings[packet.address] = sighting
        return sighting if is_new else None

    def _ear_of(self, address: str, kind: LoggerKind) -> Ear | None:
        ear = self._ears.get(address)
        if ear is None and len(self._ears) < SIGHTINGS_MAX:
            ear = self._ears[address] = Ear(Logger(address=address, kind=kind, box="scan"))
        return ear


def _kind_of(packet: Packet) -> LoggerKind | None:
    return next((kind for kind, family in FAMILIES.items() if family.payload_of(packet) is not None), None)


def _explain(kind: LoggerKind, payload: tuple[bytes, ...], error: AdvertisementError) -> str:
    if kind is LoggerKind.BTHOME and payload[0][:1] and payload[0][0] & _ENCRYPTED:
        return "encrypted: enrol it with its bindkey"
    return error.reason
