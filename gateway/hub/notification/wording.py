"""Messages in words: codes and figures, never identities. Data missing is not "too warm"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from gateway.core.verdicts import Verdict
from gateway.hub.notification.facts import Story
from gateway.hub.notification.policies import Subject
from gateway.hub.signals.alerts import AlertKind
from gateway.language import Speech
from gateway.language.names import say_name
from gateway.language.speech import N_
from gateway.language.verdicts import say_kind, say_verdict

_TITLES = {
    "above": N_("Too warm: {item} in {consignment}"),
    "below": N_("Too cold: {item} in {consignment}"),
    "outside": N_("Temperature requirement broken: {item} in {consignment}"),
    "life": N_("Shelf life used up: {item} in {consignment}"),
    "deadline": N_("Deadline passed: {item} in {consignment}"),
    "missing": N_("Data missing: {consignment}"),
    "worsened": N_("Verdict worsened after receipt: {item} in {consignment}"),
    "request": N_("A new sample is wanted: {item} in {consignment}"),
    "retraction": N_("Alert withdrawn: {item} in {consignment}"),
    "technical": N_("Look at the gateway {gateway}"),
    "heads": N_("The signed heads do not leave the hub"),
}
_TECHNICAL = {
    AlertKind.LOG_FORKED: N_(
        "Its log exists in two versions: a card was copied or restored, or its key is in other hands."
    ),
    AlertKind.LOG_RESTARTED: N_("Its log began anew without naming what came before; readings may be lost."),
    AlertKind.KEY_REFUSED: N_("Somebody signs in its name with a key that is not valid."),
}
_LISTED = 30
"""Alerts that a digest names; of more, it says how many."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message for a person."""

    title: str
    text: str


def say(stories: Sequence[Story], speech: Speech, public_url: str = "") -> Said:
    """Return one alert, or several in one message."""
    if len(stories) == 1:
        return say_alert(stories[0], speech, public_url)
    count = speech.ngettext("{n} alert", "{n} alerts", len(stories)).format(n=len(stories))
    lines = [f"• {speech.clock_time(story.facts.created_at_ms)} {title_of(story, speech)}" for story in stories]
    if len(lines) > _LISTED:
        left = len(lines) - _LISTED
        lines[_LISTED:] = [speech.ngettext("and {n} more", "and {n} more", left).format(n=left)]
    link = [f"{public_url}/"] if public_url else []
    return Said(f"Coldchain: {count}", "\n".join([*lines, *link]))


def say_alert(story: Story, speech: Speech, public_url: str = "") -> Said:
    """Return what is said of one alert."""
    lines = [*_explain(story, speech)]
    if story.facts.kind is not None and story.item:
        lines.append(f"{say_kind(story.facts.kind, speech)} {story.item}, {story.consignment}.")
    if public_url and story.consignment:
        lines.append(f"{public_url}/bench?code={quote(story.consignment)}")
    return Said(title_of(story, speech), "\n".join(lines))


def say_test(speech: Speech) -> Said:
    """Return what a test says."""
    return Said(
        speech.gettext(N_("Coldchain: test")),
        speech.gettext(N_("This is a test of the alerts. Nothing has happened, and nothing is to be done.")),
    )


def title_of(story: Story, speech: Speech) -> str:
    """Return one line."""
    gateway = str(story.about.get("gateway") or "–")
    return speech.gettext(_TITLES[_form(story)]).format(
        item=story.item or "–", consignment=story.consignment or "–", gateway=gateway
    )


def _form(story: Story) -> str:
    match story.facts.subject:
        case Subject.TEMPERATURE if story.above_c is not None:
            return "above"
        case Subject.TEMPERATURE if story.below_c is not None:
            return "below"
        case Subject.TEMPERATURE:
            return "outside"
        case Subject.TIME:
            return str(story.about["kind"])
        case Subject.TECHNICAL if story.kind == AlertKind.HEADS_UNDELIVERED:
            return "heads"
        case subject:
            return subject.value


def _explain(story: Story, speech: Speech) -> list[str]:
    return _EXPLANATIONS[story.facts.subject](story, speech)


def _temperature(story: Story, speech: Speech) -> list[str]:
    about, lines = story.about, []
    limit_c = story.above_c if story.above_c is not None else story.below_c
    if limit_c is not None:
        side = N_("Above {limit} for {duration}; extreme {extreme}.")
        side = side if story.above_c is not None else N_("Below {limit} for {duration}; extreme {extreme}.")
        lines.append(
            speech.gettext(side).format(
                limit=speech.threshold(limit_c),
                duration=speech.duration(float(about.get("minutes") or 0)),
                extreme=speech.celsius(about.get("extreme_c")),
            )
        )
    lines.append(speech.gettext(N_("Began {moment}.")).format(moment=speech.moment(about["started_at_ms"])))
    if about.get("state") == "provisional":
        lines.append(speech.gettext(N_("Told by the vehicle; its readings are still on their way.")))
    return lines


def _missing(story: Story, speech: Speech) -> list[str]:
    if story.kind == AlertKind.LOGGER_LOST:
        said = speech.gettext(N_("The logger in {box} says nothing since {moment}, and a breach runs: is it lost?"))
        return [said.format(box=story.about.get("box"), moment=speech.moment(story.about["silent_since_ms"]))]
    boxes = [str(box) for box in story.about.get("boxes") or ()]
    said = speech.gettext(N_("Nothing was heard of the vehicle {gateway} since {moment}."))
    lines = [said.format(gateway=story.about.get("gateway"), moment=speech.moment(story.about["silent_since_ms"]))]
    if boxes:
        lines.append(speech.gettext(N_("With it: {boxes}.")).format(boxes=speech.listed(boxes)))
    lines.append(speech.gettext(N_("Nobody has measured anything wrong: the temperature is not known.")))
    return lines


def _technical(story: Story, speech: Speech) -> list[str]:
    if story.kind == AlertKind.HEADS_UNDELIVERED:
        said = speech.gettext(N_("They wait for {destination} since {moment}: {reason}"))
        moment, reason = speech.moment(story.about["since_ms"]), story.about.get("reason") or "–"
        return [said.format(destination=story.about["destination"], moment=moment, reason=reason)]
    known = _TECHNICAL.get(AlertKind(story.kind))
    lines = [] if known is None else [speech.gettext(known)]
    return [*lines, str(story.about.get("reason") or story.kind)]


def _time(story: Story, speech: Speech) -> list[str]:
    said = speech.gettext(N_("Rule {rule}, since {moment}."))
    rule = speech.quoted(say_name(str(story.about.get("rule")), speech))
    return [said.format(rule=rule, moment=speech.moment(story.about["triggered_at_ms"]))]


def _worsened(story: Story, speech: Speech) -> list[str]:
    verdict = say_verdict(Verdict(story.about["verdict"]), speech, story.facts.kind)
    said = speech.gettext(N_("It is now: {verdict}. The result may be reported, or the dose given, already."))
    return [said.format(verdict=verdict)]


def _request(story: Story, speech: Speech) -> list[str]:
    said = speech.gettext(N_("It was rejected on its arrival: {reason}. Take a new one, if it can be taken again."))
    return [said.format(reason=story.about["words"][speech.language])]


def _retraction(_story: Story, speech: Speech) -> list[str]:
    return [speech.gettext(N_("What arrived later does not bear out the alert. Readings and alert stay on record."))]


_EXPLANATIONS: dict[Subject, Callable[[Story, Speech], list[str]]] = {
    Subject.TEMPERATURE: _temperature,
    Subject.TIME: _time,
    Subject.MISSING: _missing,
    Subject.WORSENED: _worsened,
    Subject.REQUEST: _request,
    Subject.RETRACTION: _retraction,
    Subject.TECHNICAL: _technical,
}
