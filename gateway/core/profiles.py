"""Profiles: what an item tolerates, with the source of each figure.

A profile is data (TOML or JSON) validated by these models. Temperatures are °C, durations are written with
their unit ("4 h"). A temperature is inside a band if ``from_c <= T <= to_c``; where two bands touch, the shared value
belongs to the lower one. Figures are examples until the laboratory or the pharmacy approves them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from itertools import pairwise
from typing import Annotated, Literal, Self, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gateway.core.quantities import Duration

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
Celsius = Annotated[float, Field(ge=-273.15, le=200, allow_inf_nan=False)]
Phase = Literal["at_origin", "in_transit", "at_destination"]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000, strip_whitespace=True)]


class Model(BaseModel):
    """Frozen, and read literally: unknown keys are errors, 0 is not false, true is no number, a number no moment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _is_literal(cls, given: object) -> object:
        if isinstance(given, dict):
            for name, value in given.items():
                if isinstance(value, int | float) and name in cls.model_fields:
                    _check_literal(name, value, cls.model_fields[name].annotation)
        return given


@cache
def _kinds(annotation: object) -> frozenset[type]:
    """The types at the leaves of an annotation, without what stands in lists."""
    if isinstance(annotation, type):
        return frozenset({annotation})
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return frozenset(type(argument) for argument in arguments)
    if get_origin(annotation) is Annotated:
        return _kinds(arguments[0])
    return frozenset().union(*map(_kinds, arguments))


def _check_literal(name: str, value: float, annotation: object) -> None:
    """Refuse a boolean for a number, a number for a boolean, and a number for a moment."""
    kinds = _kinds(annotation)
    if isinstance(value, bool):
        if kinds & {int, float} and bool not in kinds:
            raise MisplacedError("input should be a number, not true or false", name)
    elif bool in kinds and not kinds & {int, float}:
        raise MisplacedError("input should be true or false", name)
    elif kinds & {datetime, AwareDatetime}:
        raise MisplacedError("input should be a moment in ISO 8601, with its offset", name)


class MisplacedError(ValueError):
    """A value is wrong where it stands: `path` leads from the model that found it to the key at fault."""

    def __init__(self, reason: str, *path: str | int) -> None:
        self.path = path
        super().__init__(reason)


class Kind(StrEnum):
    """What is judged; it decides who decides at Review and what caps the verdict."""

    SAMPLE = "sample"
    MEDICINE = "medicine"
    STORAGE = "storage"


class Evidence(StrEnum):
    """How well the figures are supported. Figures of general knowledge never accept."""

    VERIFIED = "verified"
    GENERAL_KNOWLEDGE = "general_knowledge"
    PROPOSAL = "proposal"
    DEMONSTRATION = "demonstration"


class Severity(StrEnum):
    """The verdict that a proven violation leads to."""

    REVIEW = "review"
    REJECT = "reject"


class Event(StrEnum):
    """The moment from which a clock-time life is counted."""

    COLLECTED = "collected"
    PREPARED = "prepared"
    FIRST_USE = "first_use"


class Band(Model):
    """A named temperature range that the label states; None is open.

    `storage` marks the label's own storage condition: no life is spent in it, the expiry date alone limits it
    ("unopened at 2–8", beside "6 h out of the refrigerator").
    """

    name: Identifier
    from_c: Celsius | None = None
    to_c: Celsius | None = None
    storage: bool = False

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.from_c is None and self.to_c is None:
            raise ValueError(f"band {self.name!r} has neither from_c nor to_c")
        if self.from_c is not None and self.to_c is not None and self.from_c >= self.to_c:
            raise MisplacedError(
                f"band {self.name!r}: from_c {self.from_c:g} is not below to_c {self.to_c:g}", "from_c"
            )
        return self

    @property
    def low_c(self) -> float:
        """Lower end, -inf if open."""
        return float("-inf") if self.from_c is None else self.from_c

    @property
    def high_c(self) -> float:
        """Upper end, inf if open."""
        return float("inf") if self.to_c is None else self.to_c


class Limit(Model):
    """A temperature limit with the time that may be spent beyond it.

    Beyond means strictly above `above_c` or strictly below `below_c` (`inclusive` counts the limit itself as
    beyond, as "≤ −0.5 °C" does). `single` limits one contiguous stretch, `cumulative` the sum over the trip.
    `warn_at_once` warns at the first reading beyond, without judging.
    """

    name: Identifier
    above_c: Celsius | None = None
    below_c: Celsius | None = None
    inclusive: bool = False
    single: Duration | None = None
    cumulative: Duration | None = None
    severity: Severity = Severity.REJECT
    warn_at_once: bool = False

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.above_c is None) == (self.below_c is None):
            raise ValueError(f"limit {self.name!r} needs exactly one of above_c and below_c")
        if self.single is None and self.cumulative is None:
            raise ValueError(f"limit {self.name!r} needs single or cumulative, or both")
        return self


class Forbidden(Model):
    """A threshold that must not be passed: at once (dwell "0 s"), or for `dwell` or longer in one stretch."""

    name: Identifier
    above_c: Celsius | None = None
    below_c: Celsius | None = None
    inclusive: bool = False
    dwell: Duration = 0
    severity: Severity = Severity.REJECT

    @model_validator(mode="after")
    def _has_one_side(self) -> Self:
        if (self.above_c is None) == (self.below_c is None):
            raise ValueError(f"forbidden {self.name!r} needs exactly one of above_c and below_c")
        return self


class Allowance(Model):
    """The time that one band allows."""

    band: Identifier
    life: Duration = Field(gt=0)


class AlternativeLife(Model):
    """One budget, as in "24 h at 2–8 or 4 h at 25", spent at a rate that depends on the band (Miner's sum)."""

    kind: Literal["alternative"]
    name: Identifier
    allowances: Annotated[tuple[Allowance, ...], Field(min_length=1)]
    mixing: Literal["review", "approved"] = "review"


class SequentialStep(Allowance):
    """One step; time in a later band up to `dwell` in one stretch does not yet leave the step before."""

    dwell: Duration = 0


class SequentialLife(Model):
    """A clock for each step, one way only, as in "24 h at 2–8 then 12 h at 15–25"."""

    kind: Literal["sequential"]
    name: Identifier
    steps: Annotated[tuple[SequentialStep, ...], Field(min_length=2)]


class NestedLife(Model):
    """A cap on all bands, and caps inside it, as in "4 h, of which at most 1 h at room temperature"."""

    kind: Literal["nested"]
    name: Identifier
    total: Duration = Field(gt=0)
    bands: Annotated[tuple[Identifier, ...], Field(min_length=1)]
    within: tuple[Allowance, ...] = ()


class IndependentLife(Model):
    """A separate clock for each band, in any order, as in "30 d at 2–8 plus 24 h at up to 30"."""

    kind: Literal["independent"]
    name: Identifier
    allowances: Annotated[tuple[Allowance, ...], Field(min_length=1)]


class ModelLife(Model):
    """A rate law, only where the profile's owner declares it: Q10 or Arrhenius, within its validity.

    L(T) = reference_life · q10^((reference_c − T)/10), or reference_life · exp(B(1/T − 1/T_ref)) with
    B = activation_energy_kj_mol / R in kelvin.
    """

    kind: Literal["q10", "arrhenius"]
    name: Identifier
    reference_c: Celsius
    reference_life: Duration = Field(gt=0)
    q10: Annotated[float, Field(gt=1, le=100)] | None = None
    activation_energy_kj_mol: Annotated[float, Field(gt=0, le=1000)] | None = None
    valid_from_c: Celsius
    valid_to_c: Celsius

    @model_validator(mode="after")
    def _has_its_parameter(self) -> Self:
        if (self.kind == "q10") != (self.q10 is not None):
            raise ValueError(f"life {self.name!r}: kind q10, and only it, needs q10")
        if (self.kind == "arrhenius") != (self.activation_energy_kj_mol is not None):
            raise ValueError(f"life {self.name!r}: kind arrhenius, and only it, needs activation_energy_kj_mol")
        if self.valid_from_c >= self.valid_to_c:
            raise ValueError(f"life {self.name!r}: valid_from_c is not below valid_to_c")
        return self


class ClockLife(Model):
    """Time by the clock from an event, whatever the temperature (a microbiological limit, for example)."""

    kind: Literal["clock"]
    name: Identifier
    since: Event
    life: Duration = Field(gt=0)


Life = Annotated[
    AlternativeLife | SequentialLife | NestedLife | IndependentLife | ModelLife | ClockLife,
    Field(discriminator="kind"),
]


class GapPolicy(Model):
    """What counts as a gap and what may have happened in it.

    A silence longer than max(factor × interval, minimum) is a gap. It is at least as bad as the worse of its ends, and
    the temperature may have moved by `slew_c_per_h` from each, within the worst ambient; an open end relaxes towards
    the worst ambient with time constant `relaxation`.
    """

    factor: Annotated[float, Field(ge=1)] = 2
    minimum: Duration = 600_000
    slew_c_per_h: Annotated[float, Field(gt=0)] = 3
    ambient_low_c: Celsius = -20
    ambient_high_c: Celsius = 40
    relaxation: Duration = 21_600_000

    def threshold_ms(self, interval_ms: int) -> float:
        """The longest silence after a reading of this interval that is no gap."""
        return max(self.factor * interval_ms, self.minimum)


class CalibrationPolicy(Model):
    """Whether Accept needs a calibrated logger."""

    required: bool = True


class Notification(Model):
    """When a breach's notification clears. Never touches accumulated time."""

    hysteresis_c: Annotated[float, Field(ge=0)] = 0.5
    clear_delay: Duration = 0


class Exposure(Model):
    """A limit on what a logger with the sensor measures besides temperature."""

    above: Annotated[float, Field(ge=0)]
    cumulative: Duration = 0
    severity: Severity = Severity.REVIEW


class Approval(Model):
    """Who approved which version, in which role, when."""

    by: Text
    role: Literal["laboratory_doctor", "pharmacist"]
    at: datetime
    version: Annotated[int, Field(ge=1)]


class Profile(Model):
    """What one kind of item (or examination on it) tolerates in transport."""

    id: Identifier
    version: Annotated[int, Field(ge=1)] = 1
    title: Text
    kind: Kind
    owner: Text
    source: Text
    evidence: Evidence
    status: Literal["example", "approved"] = "example"
    approval: Approval | None = None
    examination: Annotated[str, StringConstraints(max_length=64)] = ""
    handling: tuple[Text, ...] = ()

    bands: tuple[Band, ...] = ()
    outside: Severity = Severity.REVIEW
    outside_tolerance: Duration = 0
    lives: tuple[Life, ...] = ()
    limits: tuple[Limit, ...] = ()
    forbidden: tuple[Forbidden, ...] = ()
    warn_at_fraction: Annotated[float, Field(gt=0, le=1)] = 0.8
    planned_storage_c: Celsius | None = None

    irreplaceable: bool = False
    uncertainty_c: Annotated[float, Field(ge=0, le=5)] = 0.5
    stability_data_cited: bool = False
    mkt_activation_energy_kj_mol: Annotated[float, Field(gt=0)] = 83.144
    gap: GapPolicy = GapPolicy()
    calibration: CalibrationPolicy = CalibrationPolicy()
    notification: Notification = Notification()
    start_delay: Duration = 0
    muted_phases: tuple[Phase, ...] = ()
    light_lux: Exposure | None = None
    shock_g: Exposure | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _check_bands(self.bands)
        _check_lives(self.lives, {band.name for band in self.bands})
        _check_rule_names({"lives": self.lives, "limits": self.limits, "forbidden": self.forbidden})
        if not (self.bands or self.lives or self.limits or self.forbidden):
            raise ValueError("a profile needs at least one band, life, limit or forbidden threshold")
        if self.status == "approved":
            self._check_approval()
        return self

    def _check_approval(self) -> None:
        if self.approval is None:
            raise ValueError("status approved needs an approval (by, role, at, version)")
        if self.approval.version != self.version:
            raise MisplacedError(
                f"the approval is for version {self.approval.version}, this is version {self.version}",
                "approval",
                "version",
            )
        role = {Kind.SAMPLE: "laboratory_doctor", Kind.MEDICINE: "pharmacist"}.get(self.kind, self.approval.role)
        if self.approval.role != role:
            raise MisplacedError(
                f"a {self.kind} profile is approved by the {role}, not by the {self.approval.role}", "approval", "role"
            )


def _check_bands(bands: tuple[Band, ...]) -> None:
    ordered = sorted(enumerate(bands), key=lambda placed: placed[1].low_c)
    for (_, lower), (place, upper) in pairwise(ordered):
        if upper.low_c < lower.high_c:
            field = "to_c" if upper.from_c is None else "from_c"
            raise MisplacedError(f"bands {lower.name!r} and {upper.name!r} overlap", "bands", place, field)
    names: set[str] = set()
    for place, band in enumerate(bands):
        if band.name in names:
            raise MisplacedError(f"two bands are named {band.name!r}", "bands", place, "name")
        names.add(band.name)


def _check_rule_names(rules: dict[str, Sequence[Life | Limit | Forbidden]]) -> None:
    names: set[str] = set()
    for kind, named in rules.items():
        for place, rule in enumerate(named):
            if rule.name in names:
                raise MisplacedError(f"two rules are named {rule.name!r}", kind, place, "name")
            names.add(rule.name)


def _check_lives(lives: tuple[Life, ...], bands: set[str]) -> None:
    for place, life in enumerate(lives):
        named: set[tuple[str | int, str]] = set()
        for path, band in _bands_named(life):
            if band not in bands:
                raise MisplacedError(
                    f"life {life.name!r} names band {band!r}, which is not defined", "lives", place, *path
                )
            if (path[0], band) in named:
                raise MisplacedError(f"life {life.name!r} names band {band!r} twice", "lives", place, *path)
            named.add((path[0], band))
            if path[0] == "within" and ("bands", band) not in named:
                raise MisplacedError(
                    f"life {life.name!r} caps band {band!r}, which is not among its bands", "lives", place, *path
                )


def _bands_named(life: Life) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the bands that a life refers to, each with its path inside the life."""
    match life:
        case AlternativeLife() | IndependentLife():
            yield from _allowances_named("allowances", life.allowances)
        case SequentialLife():
            yield from _allowances_named("steps", life.steps)
        case NestedLife():
            yield from ((("bands", place), band) for place, band in enumerate(life.bands))
            yield from _allowances_named("within", life.within)
        case ModelLife() | ClockLife():
            return


def _allowances_named(key: str, allowances: tuple[Allowance, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    return (((key, place, "band"), allowance.band) for place, allowance in enumerate(allowances))
