"""The rules of a profile in words, and how each of them stands: limits, forbidden thresholds, shelf lives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.core.profiles import (
    AlternativeLife,
    ClockLife,
    Forbidden,
    IndependentLife,
    Life,
    Limit,
    ModelLife,
    NestedLife,
    Profile,
    SequentialLife,
)
from gateway.core.verdicts import Judgement, Verdict
from gateway.hub.reports import blocks
from gateway.hub.reports.blocks import Block
from gateway.language import Speech
from gateway.language.names import say_name
from gateway.language.profiles import say_clock, say_duration, say_law, say_time_beyond
from gateway.language.reasons import life_title
from gateway.language.speech import N_


def word_rules(profile: Profile, judgement: Judgement, speech: Speech) -> Iterator[Block]:
    """Yield the rules about temperatures, each with how it stands."""
    say = speech.gettext
    rules: list[Limit | Forbidden] = [*profile.limits, *profile.forbidden]
    if not rules:
        return
    yield blocks.heading(say(N_("Rules")), 4)
    head = [
        say(N_("Rule")),
        say(N_("Limit")),
        say(N_("Status")),
        say(N_("Began")),
        say(N_("Broken at")),
        say(N_("In all beyond")),
    ]
    yield blocks.table(head, (_rule_row(rule, judgement, speech) for rule in rules), (3, 5, 4, 4, 4, 2))


def _rule_row(rule: Limit | Forbidden, judgement: Judgement, speech: Speech) -> Sequence[str]:
    say = speech.gettext
    broken = [breach for breach in judgement.breaches if breach.rule == rule.name]
    excursions = [excursion for excursion in judgement.excursions if excursion.rule == rule.name]
    certainties = {
        str(reason.parameters.get("certainty", "proven"))
        for reason in judgement.reasons
        if reason.parameters.get("rule") == rule.name and reason.verdict is not Verdict.ACCEPT
    }
    if any(breach.proven for breach in broken):
        status = N_("broken")
    elif broken or "within_uncertainty" in certainties:
        status = N_("broken within the measurement uncertainty")
    elif "gap" in certainties:
        status = N_("cannot be ruled out: gaps")
    else:
        status = N_("beyond the limit, within what is allowed") if excursions else N_("kept")
    moments = [*(one.started_at_ms for one in broken), *(one.started_at_ms for one in excursions)]
    began = min(moments, default=None)
    triggered = min((breach.triggered_at_ms for breach in broken), default=None)
    minutes = judgement.cumulative_minutes.get(rule.name, sum(one.minutes for one in excursions))
    return (
        say_name(rule.name, speech),
        _say_limit(rule, speech),
        say(status),
        "–" if began is None else speech.moment(began),
        "–" if triggered is None else speech.moment(triggered),
        speech.duration(minutes),
    )


def _say_limit(rule: Limit | Forbidden, speech: Speech) -> str:
    say = speech.gettext
    if rule.above_c is not None:
        side = N_("at {limit} or above") if rule.inclusive else N_("above {limit}")
        beyond = say(side).format(limit=speech.threshold(rule.above_c))
    else:
        side = N_("at {limit} or below") if rule.inclusive else N_("below {limit}")
        beyond = say(side).format(limit=speech.threshold(rule.below_c or 0.0))
    allowed = say_time_beyond(rule, speech)
    return f"{beyond}: {allowed}" if allowed else say(N_("{beyond}: never")).format(beyond=beyond)


def word_lives(profile: Profile, judgement: Judgement, speech: Speech) -> Iterator[Block]:
    """Yield the shelf lives, each with how much of it is used."""
    say = speech.gettext
    if not judgement.lives:
        return
    stated = {life.name: life for life in profile.lives}
    head = [say(N_("Shelf life")), say(N_("Allowed")), say(N_("Used")), say(N_("Used at worst")), say(N_("Ends"))]
    rows = (
        (
            life_title(life.name, speech),
            _say_life(stated[life.name], speech) if life.name in stated else "–",
            speech.percent(life.spent),
            speech.percent(life.spent_possible),
            "–" if life.expires_at_ms is None else speech.moment(life.expires_at_ms),
        )
        for life in judgement.lives
    )
    yield blocks.heading(say(N_("Shelf life")), 4)
    yield blocks.table(head, rows, (4, 6, 2, 3, 4))


def _say_life(life: Life, speech: Speech) -> str:
    say = speech.gettext
    match life:
        case AlternativeLife():
            return say(N_(" or ")).join(
                f"{say_name(one.band, speech)} {say_duration(one.life, speech)}" for one in life.allowances
            )
        case SequentialLife():
            return say(N_(", then ")).join(
                f"{say_name(one.band, speech)} {say_duration(one.life, speech)}" for one in life.steps
            )
        case IndependentLife():
            return say(N_(" and also ")).join(
                f"{say_name(one.band, speech)} {say_duration(one.life, speech)}" for one in life.allowances
            )
        case NestedLife():
            within = ", ".join(f"{say_name(one.band, speech)} {say_duration(one.life, speech)}" for one in life.within)
            total = f"{', '.join(say_name(name, speech) for name in life.bands)} {say_duration(life.total, speech)}"
            return say(N_("{total}, of which at most {within}")).format(total=total, within=within) if within else total
        case ModelLife():
            return say_law(life, speech)
        case ClockLife():
            return say_clock(life, speech)
