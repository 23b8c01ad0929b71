"""A profile in words: everything in it that judges, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gateway.core.profiles import (
    AlternativeLife,
    Band,
    ClockLife,
    Event,
    Evidence,
    Forbidden,
    GapPolicy,
    IndependentLife,
    Life,
    Limit,
    ModelLife,
    NestedLife,
    Profile,
    SequentialLife,
    Severity,
)
from gateway.core.verdicts import Verdict
from gateway.language.names import say_name
from gateway.language.speech import N_, Speech
from gateway.language.verdicts import say_verdict

MINUTE_MS = 60_000
EVIDENCE: dict[Evidence, str] = {
    Evidence.VERIFIED: N_("read in the source named"),
    Evidence.GENERAL_KNOWLEDGE: N_("general knowledge, not verified"),
    Evidence.PROPOSAL: N_("a proposal"),
    Evidence.DEMONSTRATION: N_("for demonstrations"),
}
_EVENTS: dict[Event, str] = {
    Event.COLLECTED: N_("{duration} by the clock since it was collected"),
    Event.PREPARED: N_("{duration} by the clock since it was prepared"),
    Event.FIRST_USE: N_("{duration} by the clock since it was first used"),
}

Section = tuple[str, Sequence[str]]


def sort_profiles(profiles: Iterable[Profile], speech: Speech) -> list[Profile]:
    """Return profiles by kind, and by their titles as they are said.

    The catalogue has the titles, handlings and owner of the library's examples; what a hospital writes stays as it is.
    """
    return sorted(profiles, key=lambda one: (one.kind.value, speech.gettext(one.title)))


def say_profile(profile: Profile, speech: Speech) -> list[Section]:
    """Return headings, each with its sentences; a heading without any is left out."""
    say = speech.gettext
    sections = [
        (say(N_("Allowed temperatures")), [*_bands(profile, speech)]),
        (
            say(N_("Shelf life")),
            [f"{say_name(life.name, speech)}: {_life(life, profile, speech)}" for life in profile.lives],
        ),
        (say(N_("Limits")), [f"{say_name(limit.name, speech)}: {_limit(limit, speech)}" for limit in profile.limits]),
        (
            say(N_("Never")),
            [f"{say_name(rule.name, speech)}: {_forbidden(rule, speech)}" for rule in profile.forbidden],
        ),
        (say(N_("Otherwise")), [*_others(profile, speech)]),
        (say(N_("Handling")), [say(text) for text in profile.handling]),
        (say(N_("Source")), [profile.source, say(EVIDENCE[profile.evidence])]),
    ]
    return [(title, texts) for title, texts in sections if texts]


def _bands(profile: Profile, speech: Speech) -> Iterator[str]:
    for band in profile.bands:
        storage = speech.gettext(N_("storage: no shelf life is used in it")) if band.storage else ""
        yield f"{say_name(band.name, speech)}: {_range(band, speech)}" + (f" ({storage})" if storage else "")
    if profile.bands:
        outside = (
            N_("Elsewhere: {verdict}")
            if not profile.outside_tolerance
            else N_("Elsewhere for more than {duration}: {verdict}")
        )
        duration = say_duration(profile.outside_tolerance, speech)
        yield speech.gettext(outside).format(verdict=_severity(profile.outside, speech), duration=duration)


def say_allowed(low_c: float | None, high_c: float | None, speech: Speech) -> str:
    """Return the temperatures between two ends, one of which may be open."""
    low, high = ("" if end is None else speech.threshold(end) for end in (low_c, high_c))
    if low and high:
        return speech.gettext(N_("{low} to {high}")).format(low=low, high=high)
    side = N_("not below {limit}") if low else N_("not above {limit}")
    return speech.gettext(side).format(limit=low or high)


def say_gap_course(gap: GapPolicy, speech: Speech) -> str:
    """Return what the temperature is taken to have been where nothing was measured."""
    said = speech.gettext(
        N_(
            "A gap counts at its worst: the temperature is taken to have moved by up to {slew} an hour"
            " from the readings beside it, between {low} and {high}; with a reading on one side only, towards the worse"
            " of these."
        )
    )
    low, high = speech.threshold(gap.ambient_low_c), speech.threshold(gap.ambient_high_c)
    return said.format(slew=speech.threshold(gap.slew_c_per_h), low=low, high=high)


def _range(band: Band, speech: Speech) -> str:
    if band.from_c is None:
        return f"≤ {speech.threshold(band.high_c)}"
    if band.to_c is None:
        return f"≥ {speech.threshold(band.low_c)}"
    low, high = speech.number(band.low_c), speech.threshold(band.high_c)
    return speech.gettext(N_("{low} to {high}")).format(low=low, high=high)


def say_duration(duration_ms: float, speech: Speech) -> str:
    """Return a duration of milliseconds."""
    return speech.duration(duration_ms / MINUTE_MS)


def _severity(severity: Severity, speech: Speech) -> str:
    return say_verdict(Verdict(severity.value), speech)


def _life(life: Life, profile: Profile, speech: Speech) -> str:
    bands = {band.name: band for band in profile.bands}

    def allowed(life_ms: int, band: str) -> str:
        text = speech.gettext(N_("{duration} at {temperatures}"))
        return text.format(duration=say_duration(life_ms, speech), temperatures=_range(bands[band], speech))

    match life:
        case AlternativeLife():
            mixing = speech.gettext(N_("adding them is approved") if life.mixing == "approved" else "")
            said = speech.gettext(N_(" or ")).join(allowed(one.life, one.band) for one in life.allowances)
            return f"{said} ({mixing})" if mixing else said
        case SequentialLife():
            return speech.gettext(N_(", then ")).join(allowed(step.life, step.band) for step in life.steps)
        case NestedLife():
            ranges = speech.gettext(N_(" or ")).join(_range(bands[name], speech) for name in life.bands)
            total = speech.gettext(N_("{duration} at {temperatures}"))
            within = speech.gettext(N_(", of which at most {part}"))
            parts = "".join(within.format(part=allowed(one.life, one.band)) for one in life.within)
            return total.format(duration=say_duration(life.total, speech), temperatures=ranges) + parts
        case IndependentLife():
            return speech.gettext(N_(" and also ")).join(allowed(one.life, one.band) for one in life.allowances)
        case ModelLife():
            return say_law(life, speech)
        case ClockLife():
            return say_clock(life, speech)


def say_clock(life: ClockLife, speech: Speech) -> str:
    """Return a shelf life that passes by the clock, whatever the temperature."""
    return speech.gettext(_EVENTS[life.since]).format(duration=say_duration(life.life, speech))


def say_law(life: ModelLife, speech: Speech) -> str:
    """Return a shelf life by a model, with the temperatures for which it holds."""
    law = (
        f"Q10 = {speech.number(life.q10)}"
        if life.q10 is not None
        else f"Ea = {speech.quantity(life.activation_energy_kj_mol or 0, 'kJ/mol')}"
    )
    text = speech.gettext(N_("{duration} at {temperature}, {law}, valid from {low} to {high}"))
    return text.format(
        duration=say_duration(life.reference_life, speech),
        temperature=speech.threshold(life.reference_c),
        law=law,
        low=speech.number(life.valid_from_c),
        high=speech.threshold(life.valid_to_c),
    )


def _beyond(rule: Limit | Forbidden, speech: Speech) -> str:
    if rule.above_c is not None:
        return f"{'≥' if rule.inclusive else '>'} {speech.threshold(rule.above_c)}"
    return f"{'≤' if rule.inclusive else '<'} {speech.threshold(rule.below_c or 0)}"


def say_time_beyond(rule: Limit | Forbidden, speech: Speech) -> str:
    """Return how long a rule lets it be beyond, "" if it must not be at all."""
    single = rule.single if isinstance(rule, Limit) else rule.dwell or None
    forms = (
        (N_("less than {duration} in one stretch"), single),
        (N_("less than {duration} in all"), rule.cumulative if isinstance(rule, Limit) else None),
    )
    return ", ".join(
        speech.gettext(form).format(duration=say_duration(limit_ms, speech))
        for form, limit_ms in forms
        if limit_ms is not None
    )


def _limit(limit: Limit, speech: Speech) -> str:
    warning = f"; {speech.gettext(N_('warns at once'))}" if limit.warn_at_once else ""
    return f"{_beyond(limit, speech)}: {say_time_beyond(limit, speech)}{warning} → {_severity(limit.severity, speech)}"


def _forbidden(rule: Forbidden, speech: Speech) -> str:
    if not rule.dwell:
        return f"{_beyond(rule, speech)} → {_severity(rule.severity, speech)}"
    text = speech.gettext(N_("for {duration}")).format(duration=say_duration(rule.dwell, speech))
    return f"{_beyond(rule, speech)} {text} → {_severity(rule.severity, speech)}"


def _others(profile: Profile, speech: Speech) -> Iterator[str]:
    say = speech.gettext
    if profile.irreplaceable:
        yield say(N_("It cannot be taken again: Review at worst."))
    gap = say(N_("A silence of more than {duration} is a gap."))
    yield gap.format(duration=say_duration(profile.gap.minimum, speech))
    yield say_gap_course(profile.gap, speech)
    if not profile.calibration.required:
        yield say(N_("A logger without a valid calibration is enough."))
    uncertainty = say(N_("Uncertainty where no certificate says otherwise: {uncertainty}."))
    yield uncertainty.format(uncertainty=speech.threshold(profile.uncertainty_c))
    if profile.light_lux is not None:
        yield say(N_("Light: at most {lux} for {duration}.")).format(
            lux=speech.quantity(profile.light_lux.above, "lux"),
            duration=say_duration(profile.light_lux.cumulative, speech),
        )
    if profile.shock_g is not None:
        yield say(N_("Shock: at most {g}.")).format(g=speech.quantity(profile.shock_g.above, "g"))
