"""What people did, in words: breaches with their review and signatures, decisions about items, custody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gateway.core.custody import UNIDENTIFIED
from gateway.hub.breaches.records import Record
from gateway.hub.reports import blocks
from gateway.hub.reports.blocks import Block
from gateway.hub.reports.document import ReportDocument, Reviewed
from gateway.hub.review.signing import Signature
from gateway.language import Language, Speech, reviews
from gateway.language.names import say_name
from gateway.language.speech import N_, NO_BREAK


def word_breaches(document: ReportDocument, speech: Speech) -> Iterator[Block]:
    """Yield the breaches, each with what was done about it and who signed."""
    say = speech.gettext
    yield blocks.heading(say(N_("Breaches and their review")))
    if not document.breaches:
        yield blocks.text(say(N_("There is none.")))
        return
    head = [
        say(N_("Breach")),
        say(N_("Item")),
        say(N_("Rule")),
        say(N_("Began")),
        say(N_("Broken at")),
        say(N_("Ended")),
        say(N_("Duration")),
        say(N_("Status")),
    ]
    yield blocks.table(head, (_breach_row(one, speech) for one in document.breaches), (2, 6, 4, 4, 4, 4, 3, 4))
    for one in document.breaches:
        breach = one.breach
        if not one.records:
            continue
        title = say(N_("Breach {n}: {item}, {examination}"))
        yield blocks.heading(title.format(n=breach.id, item=breach.item, examination=breach.examination), 3)
        acts = [
            " – ".join((_say_act(record, speech), *_told(record, document, speech)))
            for record in one.records
            if record.event.value != "sign"
        ]
        if acts:
            yield blocks.points(acts)
        yield from _word_signatures(one.signatures, speech)


def word_decisions(document: ReportDocument, speech: Speech) -> Iterator[Block]:
    """Yield what was decided about items."""
    say = speech.gettext
    yield blocks.heading(say(N_("Decisions about items")))
    if not document.decisions:
        yield blocks.text(say(N_("Nobody has decided anything.")))
        return
    head = [say(N_("Item")), say(N_("Decision")), say(N_("By")), say(N_("When")), say(N_("Remark"))]
    rows = []
    for one in document.decisions:
        reason = "" if one.reason is None else _word_of(document, f"rejection/{one.reason}", speech)
        remarks = [
            reason,
            one.comment,
            "" if one.in_force else say(N_("replaced by a later one")),
            "" if one.current else say(N_("The verdict has changed since this was decided.")),
        ]
        choice = say(_CHOICES[one.choice.value])
        rows.append((one.item, choice, one.printed_name, speech.moment(one.at_ms), ". ".join(filter(None, remarks))))
    yield blocks.table(head, rows, (3, 3, 3, 3, 5))


def word_custody(document: ReportDocument, speech: Speech) -> Iterator[Block]:
    """Yield who did what with boxes and items, and where the vehicle stopped; no place is told but by name."""
    say = speech.gettext
    yield blocks.heading(say(N_("Chain of custody")))
    if document.handlings:
        head = [say(N_("When")), say(N_("What")), say(N_("Box")), say(N_("Item")), say(N_("Who"))]
        rows = (
            (
                _when(one.at_ms, speech, is_trusted=one.trusted),
                " ".join(filter(None, (say(_HANDLINGS.get(one.act, one.act)), one.place))),
                one.box or "–",
                one.item or "–",
                _who(one.who, speech),
            )
            for one in document.handlings
        )
        yield blocks.table(head, rows, (4, 4, 3, 3, 4))
    else:
        yield blocks.text(say(N_("Nothing is on record.")))
    if document.stops:
        yield blocks.heading(say(N_("Stops of the vehicle")), 3)
        head = [say(N_("When")), say(N_("Vehicle")), say(N_("What")), say(N_("Where"))]
        stops = (
            (
                _when(one.at_ms, speech, is_trusted=one.trusted),
                one.gateway,
                say(_STOPS.get(one.act, one.act)),
                _place(one.place, speech, is_site=one.is_site),
            )
            for one in document.stops
        )
        yield blocks.table(head, stops, (4, 3, 2, 4))


def _when(at_ms: int, speech: Speech, *, is_trusted: bool) -> str:
    doubt = "" if is_trusted else f" ({speech.gettext(N_('not certain'))})"
    return speech.moment(at_ms) + doubt


def _who(who: str, speech: Speech) -> str:
    """Return who it was; who held no badge to the vehicle's scanner is unidentified in the reader's language."""
    vehicle, _, holder = who.rpartition(" / ")
    return f"{vehicle} / {speech.gettext(N_('unidentified'))}" if holder == UNIDENTIFIED and vehicle else who


def _place(place: str, speech: Speech, *, is_site: bool) -> str:
    if is_site or not place.startswith("stop "):
        return place
    return speech.gettext(N_("stop {n}")).format(n=place.removeprefix("stop "))


def _breach_row(one: Reviewed, speech: Speech) -> Sequence[str]:
    say, breach = speech.gettext, one.breach
    extreme = "" if breach.extreme_c is None else f", {speech.celsius(breach.extreme_c)}"
    return (
        str(breach.id),
        f"{breach.item}, {breach.examination}",
        f"{say_name(breach.rule, speech)} ({breach.profile}{NO_BREAK}{breach.profile_version})",
        speech.moment(breach.started_at_ms),
        speech.moment(breach.triggered_at_ms),
        say(N_("lasts")) if breach.ended_at_ms is None else speech.moment(breach.ended_at_ms),
        speech.duration(breach.minutes) + extreme,
        f"{say(reviews.STATES.get(one.state, one.state))} ({say(_STATES[breach.state.value])})",
    )


def _say_act(record: Record, speech: Speech) -> str:
    event = record.event.value
    who = record.printed_name or record.who
    act = speech.gettext(reviews.EVENTS.get(event, event)).format(to=record.document.get("to", ""))
    return f"{speech.moment(record.at_ms)}, {who}: {act}"


def _told(record: Record, document: ReportDocument, speech: Speech) -> Iterator[str]:
    """Yield what a record says, codes in the words of their lists."""
    told = record.document
    for name, of in (("cause", "cause"), ("action", "action"), ("ending", "ending")):
        if told.get(name):
            yield _word_of(document, f"{of}/{told[name]}", speech)
    yield from (str(told[name]) for name in ("comment", "text", "reason") if told.get(name))
    if record.corrects is not None:
        yield speech.gettext(N_("corrects record {n}")).format(n=record.corrects)


def _word_signatures(signatures: Sequence[Signature], speech: Speech) -> Iterable[Block]:
    say = speech.gettext
    if not signatures:
        yield blocks.text(say(N_("Not signed.")))
        return
    head = [say(N_("Signed by")), say(N_("When")), say(N_("Meaning")), say(N_("What was signed"))]
    rows = (
        (
            f"{one.printed_name} ({one.who})",
            speech.moment(round(one.signed_at.timestamp() * 1000)),
            say(reviews.MEANINGS[one.meaning.value]),
            say(N_("stands as it was signed")) if one.holds else say(N_("has changed since: the signature is broken")),
        )
        for one in signatures
    )
    yield blocks.table(head, rows, (4, 3, 3, 4))


def _word_of(document: ReportDocument, code: str, speech: Speech) -> str:
    words = document.choices.get(code)
    return code.partition("/")[2] if words is None else words[speech.language is Language.NB]


_CHOICES = {"receive": N_("Received"), "hold": N_("On hold"), "reject": N_("Rejected")}
_HANDLINGS = {
    "packed": N_("packed"),
    "loaded": N_("loaded"),
    "unloaded": N_("unloaded"),
    "handed_over": N_("handed over"),
    "received": N_("received"),
    "opened": N_("opened"),
    "closed": N_("closed"),
    "register at the hub": N_("registered at the hub"),
    "receive at the hub": N_("received at the hub"),
}
_STOPS = {"arrived": N_("arrived"), "left": N_("left")}
_STATES = {
    "provisional": N_("provisional"),
    "confirmed": N_("confirmed"),
    "not_confirmed": N_("not confirmed"),
    "superseded": N_("superseded by a new verdict"),
}
