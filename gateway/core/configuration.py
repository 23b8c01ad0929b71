"""The configuration that a hub signs and a gateway obeys: loggers, boxes, consignments, profiles.

It is also the vocabulary in which consignments are registered over HTTP. All moments carry an offset.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    SecretStr,
    SerializationInfo,
    StringConstraints,
    field_serializer,
    field_validator,
    model_validator,
)

from gateway.core.errors import InputError
from gateway.core.identifiers import check_code
from gateway.core.profiles import Celsius, Event, Identifier, Kind, Model, Phase, Profile


def _code(text: str) -> str:
    try:
        return check_code("code", text)
    except InputError as error:
        raise ValueError(error.reason) from error


Code = Annotated[str, AfterValidator(_code)]
"""The code of a box, item, consignment or gateway: never an identity."""


class Calibration(Model):
    """A calibration certificate. `offset_c` is added to what the logger says."""

    certificate: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    calibrated_at: AwareDatetime
    due_at: AwareDatetime
    offset_c: Annotated[float, Field(ge=-5, le=5)] = 0.0
    uncertainty_c: Annotated[float, Field(ge=0, le=5)] = 0.2

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.due_at <= self.calibrated_at:
            raise ValueError("due_at is not after calibrated_at")
        return self


class LoggerKind(StrEnum):
    """What can be enrolled: a maker's format of broadcasts. OTHER: any further one that vehicles have a parser of."""

    RUUVITAG = "ruuvitag"
    REFERENCE = "reference"
    BTHOME = "bthome"
    BLUEMAESTRO = "bluemaestro"
    SENSORPUSH = "sensorpush"
    SENSIRION = "sensirion"
    THERMOBEACON = "thermobeacon"
    QINGPING = "qingping"
    OTHER = "other"


_BINDKEY_BYTES = 16
_REVEAL = "reveal_secrets"


class Assignment(Model):
    """A time that is over: the logger rode in `box` from `begins` to `ends`, under `calibration`.

    `begins` None: from the beginning.
    """

    box: Code
    begins: AwareDatetime | None = None
    ends: AwareDatetime
    calibration: Calibration | None = None

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.begins is not None and self.ends <= self.begins:
            raise ValueError("ends is not after begins")
        return self


Name = Annotated[str, StringConstraints(max_length=80)]


class Logger(Model):
    """An enrolled logger and the box it rides in. `memory_interval_s` is None for a logger without a memory.

    `box` is None while it rides nowhere. `since` says from when on box and calibration are what they are, None: from
    the beginning. `former` is where it was before, oldest first; the hub keeps it and takes it from nobody.

    `bindkey` opens the broadcasts of a BTHome sensor that encrypts them: 32 hexadecimal digits. It is written out only
    by `reveal`; anywhere else it is asterisks, and asterisks are read as None.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    address: Code
    kind: LoggerKind = LoggerKind.RUUVITAG
    box: Code | None = None
    memory_interval_s: Annotated[int, Field(gt=0)] | None = 300
    calibration: Calibration | None = None
    bindkey: SecretStr | None = None
    since: AwareDatetime | None = None
    former: Annotated[tuple[Assignment, ...], Field(max_length=1000)] = ()
    model: Name = ""
    serial: Name = ""

    @field_validator("bindkey")
    @classmethod
    def _is_a_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is None:
            return None
        if key.get_secret_value() == str(key):
            return None  # the asterisks that were written for it: whoever read them does not know it
        try:
            size = len(bytes.fromhex(key.get_secret_value()))
        except ValueError:
            size = 0
        if size != _BINDKEY_BYTES:
            raise ValueError("not 32 hexadecimal digits")  # what it is instead is nobody's business
        return key

    @model_validator(mode="after")
    def _has_a_key_to_something(self) -> Self:
        if self.bindkey is not None and self.kind is not LoggerKind.BTHOME:
            raise ValueError(f"bindkey: a logger of kind {self.kind.value} does not encrypt")
        return self

    @field_serializer("bindkey", when_used="json-unless-none")
    def _write_key(self, key: SecretStr, info: SerializationInfo) -> str:
        return key.get_secret_value() if info.context == _REVEAL else str(key)


class BoxState(StrEnum):
    """Only ready and loaded boxes alert."""

    EMPTY = "empty"
    CONDITIONING = "conditioning"
    READY = "ready"
    LOADED = "loaded"
    RECEIVED = "received"


class Instruction(Model):
    """What whoever drives does at a breach, in the organisation's own words, approved for this box's type.

    Nobody at the wheel judges: it says who may open the box or change its cooling elements, and whom to call.
    """

    do: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    call: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    approved_by: Code
    approved_at: AwareDatetime


class Box(Model):
    """A transport box. `default_profile` judges it while nothing is registered in it; `instruction` is for breaches.

    `gateways` are those that carry it: no other is told of it. Without any, all gateways are.
    """

    code: Code
    label: Annotated[str, StringConstraints(max_length=80)] = ""
    state: BoxState = BoxState.READY
    default_profile: Identifier | None = None
    gateways: Annotated[tuple[Code, ...], Field(max_length=50)] = ()
    instruction: Instruction | None = None


class Site(Model):
    """A place of the organisation, a laboratory or a ward, never a home: a vehicle there is told by `name`.

    `latitude` and `longitude` in degrees (WGS 84); whatever stands within `radius_m` is there.
    """

    name: Code
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    radius_m: Annotated[float, Field(ge=20, le=2000)] = 150


class Declared(Model):
    """A stretch that nobody measured but a named sender vouches for. It consumes life and is no gap."""

    begins: AwareDatetime
    ends: AwareDatetime
    low_c: Celsius
    high_c: Celsius
    by: Code

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.ends <= self.begins:
            raise ValueError("ends is not after begins")
        if self.high_c < self.low_c:
            raise ValueError("high_c is below low_c")
        return self


class Carriage(Model):
    """A stretch in a box with a logger. `ends` is None while it lasts; profiles can mute limits in a phase."""

    box: Code
    begins: AwareDatetime
    ends: AwareDatetime | None = None
    phase: Phase = "in_transit"

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.ends is not None and self.ends <= self.begins:
            raise ValueError("ends is not after begins")
        return self


class Switch(Model):
    """From `at` another profile judges, because of a custody event (centrifuged, for example)."""

    at: AwareDatetime
    event: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    profile: Identifier


class Examination(Model):
    """What will be examined (or, for a medicine, given), and the profile that judges it."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    profile: Identifier
    switches: Annotated[tuple[Switch, ...], Field(max_length=10)] = ()


class Item(Model):
    """A tube, bottle, syringe or bag.

    `declared` and `carriage` together are its exposure; without a `carriage` of its own it goes with its consignment.
    `latest_arrival` (answer due minus laboratory time) marks it urgent when passed and never lowers the verdict.
    """

    code: Code
    kind: Kind
    examinations: Annotated[tuple[Examination, ...], Field(min_length=1, max_length=50)]
    collected_at: AwareDatetime | None = None
    prepared_at: AwareDatetime | None = None
    first_use_at: AwareDatetime | None = None
    use_before: AwareDatetime | None = None
    latest_arrival: AwareDatetime | None = None
    declared: Annotated[tuple[Declared, ...], Field(max_length=50)] = ()
    carriage: Annotated[tuple[Carriage, ...], Field(max_length=50)] = ()
    irreplaceable: bool = False

    def time_of(self, event: Event) -> AwareDatetime | None:
        """The moment of an event, None if not stated."""
        match event:
            case Event.COLLECTED:
                return self.collected_at
            case Event.PREPARED:
                return self.prepared_at
            case Event.FIRST_USE:
                return self.first_use_at


class Consignment(Model):
    """What is carried together under one code.

    `requester` asked for it, `receiver` awaits it: names of recipients of notifications, never of patients.
    `vehicle` is the gateway at which it was registered, None if that was not at a vehicle.
    """

    code: Code
    requester: Code | None = None
    receiver: Code | None = None
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=200)]
    carriage: Annotated[tuple[Carriage, ...], Field(max_length=50)] = ()
    planned_arrival: AwareDatetime | None = None
    received_at: AwareDatetime | None = None
    registered_late: bool = False
    vehicle: Code | None = None

    @model_validator(mode="after")
    def _has_distinct_items(self) -> Self:
        codes = [item.code for item in self.items]
        if len(set(codes)) != len(codes):
            raise ValueError("two items have the same code")
        return self

    def carriage_of(self, item: Item) -> tuple[Carriage, ...]:
        """The item's stretches in boxes."""
        return item.carriage or self.carriage


class Temperatures(Model):
    """A range in which something is declared to have been."""

    low_c: Celsius
    high_c: Celsius

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.high_c < self.low_c:
            raise ValueError("high_c is below low_c")
        return self


class CodeRule(Model):
    """What a code that begins with `prefix` is, so that it can be registered offline. The longest prefix counts.

    `before_packing` is what is declared of the time between collection and the box; without it nothing is.
    """

    prefix: Code
    kind: Kind
    examinations: Annotated[tuple[Examination, ...], Field(min_length=1, max_length=20)]
    before_packing: Temperatures | None = None


class Configuration(Model):
    """All that a gateway needs to know. `demonstration` counts example profiles as approved, and says so.

    `reception`: it stands where boxes arrive, and also reads out what was received before anybody heard it there.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # there may be keys among it

    version: Annotated[int, Field(ge=1)]
    gateway: Code
    demonstration: bool = False
    loggers: Annotated[tuple[Logger, ...], Field(max_length=500)] = ()
    boxes: Annotated[tuple[Box, ...], Field(max_length=500)] = ()
    consignments: Annotated[tuple[Consignment, ...], Field(max_length=1000)] = ()
    profiles: Annotated[tuple[Profile, ...], Field(max_length=1000)] = ()
    sites: Annotated[tuple[Site, ...], Field(max_length=500)] = ()
    code_rules: Annotated[tuple[CodeRule, ...], Field(max_length=200)] = ()
    badges: Annotated[tuple[Code, ...], Field(max_length=20)] = ("BADGE-",)
    """What the codes of badges begin with."""
    reception: bool = False


def reveal(document: Model, *, stated_only: bool = False) -> str:
    """Return the JSON of a document with its secrets: for the hub's own store and for the vehicles, nobody else.

    With `stated_only`, only what somebody stated, without what is so by default.
    """
    return document.model_dump_json(context=_REVEAL, exclude_unset=stated_only)
