"""A profile in words, and the differences between two."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.core.profiles import (
    AlternativeLife,
    Band,
    ClockLife,
    Forbidden,
    IndependentLife,
    Life,
    Limit,
    ModelLife,
    NestedLife,
    Profile,
    SequentialLife,
    Severity,
)
from gateway.core.quantities import format_duration

_HOUR_MS = 3_600_000
_HOURS_WRITTEN_MAX = 72


def describe(profile: Profile) -> Iterator[str]:
    """Yield lines of text that say everything that judges, and where it comes from."""
    yield f"{profile.title}  ({profile.id}, version {profile.version})"
    yield f"  kind       {profile.kind}" + (f", examination {profile.examination}" if profile.examination else "")
    yield f"  status     {_status(profile)}"
    yield f"  owner      {profile.owner}"
    yield f"  evidence   {profile.evidence.replace('_', ' ')}"
    yield f"  source     {profile.source}"
    if profile.handling:
        yield f"  handling   {'; '.join(profile.handling)}"
    if profile.irreplaceable:
        yield "  cannot be taken again: Review at worst"
    bands = {band.name: band for band in profile.bands}
    if bands:
        yield f"  allowed    {', '.join(_band(band) for band in profile.bands)}; {_outside(profile)}"
    for life in profile.lives:
        yield f"  life       {life.name}: {_life(life, bands)}"
    for limit in profile.limits:
        yield f"  limit      {limit.name}: {_limit(limit)}"
    for threshold in profile.forbidden:
        yield f"  forbidden  {threshold.name}: {_forbidden(threshold)}"
    yield f"  u          {profile.uncertainty_c:g} °C where no certificate says otherwise"


def differences(before: Profile, after: Profile) -> Iterator[tuple[str, str, str]]:
    """Yield (field, before, after) wherever two profiles differ; "–" where one has nothing."""
    left = dict(_flatten(before.model_dump(mode="json")))
    right = dict(_flatten(after.model_dump(mode="json")))
    for field in [*left, *(field for field in right if field not in left)]:
        if left.get(field) != right.get(field):
            yield field, left.get(field, "–"), right.get(field, "–")


def _duration(duration_ms: int) -> str:
    """Write a day or two as labels do, in hours."""
    hours, rest = divmod(duration_ms, _HOUR_MS)
    return f"{hours} h" if not rest and 0 < hours <= _HOURS_WRITTEN_MAX else format_duration(duration_ms)


def _status(profile: Profile) -> str:
    if profile.approval is None or profile.status != "approved":
        return f"{profile.status}: not approved, Review at best"
    approval = profile.approval
    return f"approved by {approval.by} ({approval.role.replace('_', ' ')}) on {approval.at:%Y-%m-%d}"


def _range(band: Band) -> str:
    if band.from_c is None:
        return f"≤{band.high_c:g} °C"
    if band.to_c is None:
        return f"≥{band.low_c:g} °C"
    return f"{band.low_c:g} to {band.high_c:g} °C"


def _band(band: Band) -> str:
    return f"{band.name} {_range(band)}" + (" (storage)" if band.storage else "")


def _outside(profile: Profile) -> str:
    tolerance = f" for more than {_duration(profile.outside_tolerance)}" if profile.outside_tolerance else ""
    return f"elsewhere{tolerance}: {profile.outside.capitalize()}"


def _life(life: Life, bands: dict[str, Band]) -> str:
    match life:
        case AlternativeLife():
            mixing = " (mixing approved)" if life.mixing == "approved" else ""
            return " or ".join(_allowed(a.life, bands[a.band]) for a in life.allowances) + mixing
        case SequentialLife():
            return ", then ".join(_allowed(step.life, bands[step.band]) for step in life.steps)
        case NestedLife():
            inside = "".join(f", of which at most {_allowed(a.life, bands[a.band])}" for a in life.within)
            return f"{_duration(life.total)} at {' or '.join(_range(bands[name]) for name in life.bands)}{inside}"
        case IndependentLife():
            return " plus ".join(_allowed(a.life, bands[a.band]) for a in life.allowances)
        case ModelLife():
            law = f"Q10 = {life.q10:g}" if life.q10 is not None else f"Ea = {life.activation_energy_kj_mol:g} kJ/mol"
            return (
                f"{_duration(life.reference_life)} at {life.reference_c:g} °C, {law},"
                f" valid {life.valid_from_c:g} to {life.valid_to_c:g} °C"
            )
        case ClockLife():
            return f"{_duration(life.life)} by the clock since {life.since.replace('_', ' ')}"


def _allowed(life_ms: int, band: Band) -> str:
    return f"{_duration(life_ms)} at {_range(band)}"


def _beyond(rule: Limit | Forbidden) -> str:
    if rule.above_c is not None:
        return f"{'≥' if rule.inclusive else '>'}{rule.above_c:g} °C"
    return f"{'≤' if rule.inclusive else '<'}{rule.below_c:g} °C"


def _limit(limit: Limit) -> str:
    allowed = [
        f"{_duration(duration_ms)} {kind}"
        for duration_ms, kind in ((limit.single, "at a time"), (limit.cumulative, "in all"))
        if duration_ms is not None
    ]
    warning = "; warns at once" if limit.warn_at_once else ""
    return f"{_beyond(limit)} for {' or '.join(allowed)}{_unless_reject(limit.severity)}{warning}"


def _forbidden(threshold: Forbidden) -> str:
    dwell = f"for {_duration(threshold.dwell)}" if threshold.dwell else "at all"
    return f"{_beyond(threshold)} {dwell}{_unless_reject(threshold.severity)}"


def _unless_reject(severity: Severity) -> str:
    return "" if severity is Severity.REJECT else f" ({severity.capitalize()})"


def _flatten(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, text) of every leaf; elements with a name are found by it, so that moving one is no difference."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _flatten(child, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for place, child in enumerate(value):
            label = child.get("name", child.get("band", place)) if isinstance(child, dict) else place
            yield from _flatten(child, f"{path}[{label}]")
    elif value is not None:
        yield path, str(value)
