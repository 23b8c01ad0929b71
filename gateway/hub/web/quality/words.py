"""Breaches and what was done with them, in words."""

from __future__ import annotations

import msgspec

from gateway.core.profiles import Forbidden, Limit
from gateway.core.verdicts import BreachKind, Parameter, Reason, Verdict
from gateway.hub.breaches.keeping import BreachState, Silence, StoredBreach
from gateway.hub.breaches.lifecycle import ReviewEvent, ReviewState
from gateway.hub.review.queue import Order, Stage
from gateway.hub.review.signing import Meaning
from gateway.language import Speech, reviews
from gateway.language.names import say_name
from gateway.language.reasons import say_reason
from gateway.language.speech import N_

MINUTE_MS = 60_000

STATES: dict[ReviewState, str] = {state: reviews.STATES[state.value] for state in ReviewState}
ESTABLISHED: dict[BreachState, str] = {
    BreachState.PROVISIONAL: N_("Told by the vehicle; its readings are still on their way."),
    BreachState.CONFIRMED: N_("Confirmed by the readings at the hub."),
    BreachState.NOT_CONFIRMED: N_("Not confirmed: what arrived later does not bear it out."),
    BreachState.SUPERSEDED: N_("Superseded: what arrived later has changed the picture."),
}
SILENCES: dict[Silence, str] = {
    Silence.PIECE: N_("It had no alert of its own: it was split from one that had."),
    Silence.CONTINUES: N_("It had no alert of its own: it goes on after a gap."),
    Silence.BOX: N_("It had no alert: nothing that carried it alerts in its state."),
}
EVENTS: dict[ReviewEvent, str] = {event: reviews.EVENTS[event.value] for event in ReviewEvent}
MEANINGS: dict[Meaning, str] = {meaning: reviews.MEANINGS[meaning.value] for meaning in Meaning}
STAGES: dict[Stage, str] = {
    Stage.WAITING: N_("Open or not acknowledged"),
    Stage.UNACKNOWLEDGED: N_("Not acknowledged"),
    Stage.RUNNING: N_("Still running"),
    Stage.ACKNOWLEDGED: N_("Acknowledged"),
    Stage.IN_REVIEW: N_("In review"),
    Stage.CLOSED: N_("Closed"),
    Stage.ALL: N_("All"),
}
ORDERS: dict[Order, str] = {
    Order.NEWEST: N_("Newest first"),
    Order.OLDEST: N_("Oldest first"),
    Order.LONGEST: N_("Longest first"),
}
_TITLES = {
    "above": N_("Too warm"),
    "below": N_("Too cold"),
    "outside": N_("Temperature requirement broken"),
    "life": N_("Shelf life used up"),
    "deadline": N_("Deadline passed"),
}


def read_rule(breach: StoredBreach) -> Limit | Forbidden | None:
    """Return the limit as the profile stated it then, None for a life, and where it is not known."""
    if breach.snapshot is None:
        return None
    document = msgspec.json.decode(breach.snapshot)
    if not {"above_c", "below_c"} & set(document):
        return None
    return Forbidden.model_validate(document) if "dwell" in document else Limit.model_validate(document)


def say_title(breach: StoredBreach, speech: Speech) -> str:
    """Return what broke, in two or three words."""
    rule = read_rule(breach)
    match breach.kind:
        case BreachKind.LIFE | BreachKind.DEADLINE:
            form = breach.kind.value
        case _ if rule is None:
            form = "outside"
        case _:
            form = "above" if rule.above_c is not None else "below"
    return speech.gettext(_TITLES[form])


def say_breach(breach: StoredBreach, speech: Speech) -> str:
    """Return what broke as a sentence with its numbers: the limit, how long, what is allowed, the extreme."""
    rule = read_rule(breach)
    if breach.kind is BreachKind.LIFE:
        said = speech.gettext(N_("Shelf life was used up at {moment}."))
        return said.format(moment=speech.moment(breach.triggered_at_ms))
    if breach.kind is BreachKind.DEADLINE:
        said = speech.gettext(N_("The deadline passed at {moment}."))
        return said.format(moment=speech.moment(breach.triggered_at_ms))
    if rule is None or breach.extreme_c is None:
        said = speech.gettext(N_("Rule {rule} was broken for {duration}. Extreme {extreme}."))
        duration, extreme = speech.duration(breach.minutes), speech.celsius(breach.extreme_c)
        return said.format(rule=speech.quoted(say_name(breach.rule, speech)), duration=duration, extreme=extreme)
    return say_reason(_to_reason(breach, rule), speech)


def _to_reason(breach: StoredBreach, rule: Limit | Forbidden) -> Reason:
    if isinstance(rule, Forbidden):
        code, allowed_ms = "forbidden", rule.dwell
    elif breach.kind is BreachKind.CUMULATIVE:
        code, allowed_ms = "limit_cumulative", rule.cumulative or 0
    else:
        code, allowed_ms = "limit_single", rule.single or 0
    parameters: dict[str, Parameter] = {
        "side": "above" if rule.above_c is not None else "below",
        "limit_c": rule.above_c if rule.above_c is not None else rule.below_c,
        "minutes": breach.minutes,
        "allowed_min": allowed_ms / MINUTE_MS,
        "extreme_c": breach.extreme_c,
        "certainty": "proven" if breach.proven else "within_uncertainty",
    }
    return Reason(code, Verdict.REJECT, parameters)


def say_life(breach: StoredBreach, speech: Speech, *, is_running: bool) -> str:
    """Return whether it runs, or when it ended."""
    if is_running:
        return speech.gettext(N_("Still running"))
    if breach.ended_at_ms is None:
        return speech.gettext(N_("It lasted until the receipt."))
    return speech.gettext(N_("Ended {moment}")).format(moment=speech.moment(breach.ended_at_ms))
