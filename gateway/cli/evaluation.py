"""Evaluating one recording: the profile, the judgement, and the comparison with the device. No input or output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

from gateway.core.errors import InputError
from gateway.core.judgement import judge_recording
from gateway.core.profiles import Evidence, Kind, Limit, Profile
from gateway.core.readings import Reading
from gateway.core.verdicts import Judgement
from gateway.importers.comparison import Comparison, compare_with_device, profile_of
from gateway.importers.recording import Recording
from gateway.importers.summaries import judge_summaries

_LIMIT_KEYS = ("low", "high", "single", "cumulative")
_READINGS_PER_REPORT = 4096
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A recording with its judgement. `comparison` is None if it was not asked for, or the file states no alarms."""

    file: str
    recording: Recording
    profile: Profile
    uncertainty_c: float
    judgement: Judgement
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a recording is judged by.

    profile        None: the alarms that the device itself was configured with
    approved       whether whoever runs this vouches for the profile (limits stated on the command line)
    uncertainty_c  u; None is the profile's
    calibrated     whether a certificate was checked
    energy_kj_mol  ΔH of the mean kinetic temperature; None is the profile's
    """

    profile: Profile | None
    approved: bool
    uncertainty_c: float | None
    calibrated: bool
    energy_kj_mol: float | None
    compare: bool


def parse_limits(text: str) -> Profile:
    """Return the profile that "low=2,high=8,single=30,cumulative=60" means: °C, and minutes beyond them.

    Without single and cumulative any time beyond a limit breaks it. Raises InputError.
    """
    values: dict[str, float] = {}
    for part in text.split(","):
        key, equals, number = (piece.strip() for piece in part.partition("="))
        if not equals or key not in _LIMIT_KEYS:
            raise InputError(
                "--limits", f"{part.strip()!r} is none of low=, high= (°C), single=, cumulative= (minutes)"
            )
        if key in values:
            raise InputError("--limits", f"{key} is given twice")
        try:
            values[key] = float(number)
        except ValueError as error:
            raise InputError("--limits", f"{key}: {number!r} is no number") from error
    _check_limits(values)
    return Profile(
        id="limits",
        title=f"Limits {text}",
        kind=Kind.STORAGE,
        owner="whoever gave the limits",
        source="limits given with the command",
        evidence=Evidence.PROPOSAL,
        limits=tuple(_limit(name, values) for name in ("high", "low") if name in values),
    )


def _check_limits(values: dict[str, float]) -> None:
    if "low" not in values and "high" not in values:
        raise InputError("--limits", "needs low or high, or both")
    if "low" in values and "high" in values and values["low"] >= values["high"]:
        raise InputError("--limits", f"low={values['low']:g} is not below high={values['high']:g}")
    for key in ("low", "high"):
        if not -273.15 <= values.get(key, 0) <= 200:  # noqa: PLR2004  absolute zero, and what no logger survives
            raise InputError("--limits", f"{key}={values[key]:g} is no temperature of a transport")
    for key in ("single", "cumulative"):
        if not 0 <= values.get(key, 0) <= 1_000_000:  # noqa: PLR2004  two years
            raise InputError("--limits", f"{key}={values[key]:g} is no number of minutes")


def _limit(name: str, values: dict[str, float]) -> Limit:
    single = values.get("single", None if "cumulative" in values else 0.0)
    cumulative = values.get("cumulative")
    return Limit.model_validate(
        {
            "name": name,
            "above_c" if name == "high" else "below_c": values[name],
            "single": None if single is None else f"{single * 60:.3f} s",
            "cumulative": None if cumulative is None else f"{cumulative * 60:.3f} s",
        }
    )


def evaluate(file: str, recording: Recording, criteria: Criteria, progress: Progress | None = None) -> Evaluation:
    """Judge a recording; raises InputError if the file holds nothing to judge, or no alarms to judge by."""
    profile = criteria.profile or _device_profile(file, recording)
    if criteria.energy_kj_mol is not None:
        profile = profile.model_copy(update={"mkt_activation_energy_kj_mol": criteria.energy_kj_mol})
    uncertainty_c = profile.uncertainty_c if criteria.uncertainty_c is None else criteria.uncertainty_c
    approved = criteria.approved or criteria.profile is None
    if recording.readings:
        readings = recording.readings if progress is None else _Watched(recording.readings, progress)
        judgement = judge_recording(
            readings,
            profile,
            uncertainty_c=uncertainty_c,
            calibrated=criteria.calibrated,
            approved=approved,
            begins_ms=recording.begins_ms,
            ends_ms=recording.ends_ms,
        )
    elif any(day.min_c is not None and day.max_c is not None for day in recording.days):
        judgement = judge_summaries(
            recording.days,
            profile,
            uncertainty_c=uncertainty_c,
            calibrated=criteria.calibrated,
            approved=approved,
        )
    else:
        raise InputError("file", "holds no readings and no daily summaries", where=file)
    comparison = None
    if criteria.compare and recording.limits:
        comparison = compare_with_device(recording)
    elif criteria.compare:
        recording = replace(
            recording, notes=(*recording.notes, "the file states no alarms of a device to compare with")
        )
    return Evaluation(file, recording, profile, uncertainty_c, judgement, comparison)


def _device_profile(file: str, recording: Recording) -> Profile:
    if not recording.limits:
        raise InputError("--profile", "is needed: the file states no alarms of its own", where=file)
    return profile_of(recording)


class _Watched(Sequence[Reading]):
    """Readings that tell, while they are gone through, how far that has come."""

    def __init__(self, readings: Sequence[Reading], progress: Progress) -> None:
        self._readings = readings
        self._progress = progress

    def __len__(self) -> int:
        return len(self._readings)

    @overload
    def __getitem__(self, place: int) -> Reading: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Reading]: ...
    def __getitem__(self, place: int | slice) -> Reading | Sequence[Reading]:
        return self._readings[place]

    def __iter__(self) -> Iterator[Reading]:
        for number, reading in enumerate(self._readings):
            if number % _READINGS_PER_REPORT == 0:
                self._progress(number)
            yield reading
