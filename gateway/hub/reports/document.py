"""What a report says, in values and codes: the same document in every language, and all that its pages are made of.

Its JSON is exact: the same facts give the same bytes, and their hash is the report's number.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import msgspec

from gateway.core.configuration import Calibration, Consignment
from gateway.core.errors import InputError
from gateway.core.profiles import Profile
from gateway.core.verdicts import Judgement
from gateway.hub.breaches.keeping import StoredBreach
from gateway.hub.breaches.records import Record
from gateway.hub.review.decisions import Decision
from gateway.hub.review.signing import Signature
from gateway.hub.views.stops import StopSeen

NUMBER_DIGITS = 16
"""Hexadecimal digits of the hash that people read out: 64 bits tell apart all reports that a hub ever makes."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement in force, with its place in the history."""

    version: int
    judged_at_ms: int
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Ride:
    """A logger in a box during [from_ms, to_ms) under one certificate, and what came of it.

    intervals_s  logging intervals that its readings state
    certificate  the calibration that was applied, None if there was none
    """

    logger: str
    kind: str
    model: str
    serial: str
    memory_interval_s: int | None
    box: str
    from_ms: int
    to_ms: int
    certificate: dict[str, Any] | None
    intervals_s: tuple[int, ...]
    readings: int
    backfilled: int
    untrusted: int
    time_error_ms: int
    repeated: int
    conflicts: int

    @property
    def calibration(self) -> Calibration | None:
        """The certificate as a value."""
        return None if self.certificate is None else Calibration.model_validate(self.certificate)


@dataclass(frozen=True, slots=True)
class Handling:
    """Something that a person did with a box or an item at a vehicle, or that the registry noted.

    who    a badge, an account or a gateway; never a person's name
    place  a site's name, "" if none was told
    """

    at_ms: int
    act: str
    box: str
    item: str
    who: str
    place: str
    trusted: bool


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """Something happened to a vehicle's clock: by how much it was off where that is known, and how good it is since."""

    gateway: str
    at_ms: int
    source: str
    offset_ms: int | None
    error_ms: int
    reference: str
    trusted: bool


@dataclass(frozen=True, slots=True)
class LogPart:
    """The contiguous part of one log that holds readings of this transport, with the hash that ends it."""

    gateway: str
    epoch: str
    first_offset: int
    last_offset: int
    hash: str
    config_versions: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A breach, and all that people did with it. `words` are those of the chosen codes: (code, English, bokmål)."""

    breach: StoredBreach
    state: str
    records: tuple[Record, ...]
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """A report on one consignment.

    as_of_ms           the newest moment among its facts; never the moment at which it was asked for
    delivered_ms       up to when data had arrived, where some was still on its way; None where none is
    profiles           each in the version that judged
    readings_sha256    of the table of readings that belongs to it
    clock_unread       segments that were too many to look through for what happened to clocks
    choices            words of the codes that reviewers chose from: code → (English, bokmål)
    """

    kind: Literal["transport report"]
    format: Literal[1]
    as_of_ms: int
    demonstration: bool
    delivered_ms: int | None
    consignment_version: int
    consignment: dict[str, Any]
    judgements: tuple[Judged, ...]
    profiles: tuple[dict[str, Any], ...]
    rides: tuple[Ride, ...]
    readings: int
    readings_sha256: str
    handlings: tuple[Handling, ...]
    stops: tuple[StopSeen, ...]
    clock: tuple[ClockEvent, ...]
    clock_unread: int
    breaches: tuple[Reviewed, ...]
    decisions: tuple[Decision, ...]
    choices: dict[str, tuple[str, str]]
    log_parts: tuple[LogPart, ...]

    @property
    def consigned(self) -> Consignment:
        """The consignment as a value."""
        return Consignment.model_validate(self.consignment)

    def profile_of(self, judgement: Judgement) -> Profile | None:
        """Return the profile that judged, None if it is not known here."""
        for stated in self.profiles:
            if (stated["id"], stated["version"]) == (judgement.profile, judgement.profile_version):
                return Profile.model_validate(stated)
        return None


_decode = msgspec.json.Decoder(ReportDocument).decode


def encode_document(document: ReportDocument) -> bytes:
    """Return the JSON, indented for people; the same facts give the same bytes."""
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=1) + b"\n"


def decode_document(data: bytes) -> ReportDocument:
    """Return the document; raises InputError naming the field at fault."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError("report.json", str(error)) from error


def number_of(data: bytes) -> str:
    """Return a report's number from its JSON: the beginning of its SHA-256, in groups of four."""
    digits = sha256(data).hexdigest()[:NUMBER_DIGITS]
    return "-".join(digits[place : place + 4] for place in range(0, NUMBER_DIGITS, 4))
