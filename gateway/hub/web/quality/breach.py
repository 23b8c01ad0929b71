"""A breach with all that belongs to it, as its page shows it. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.core.configuration import Consignment, Item
from gateway.core.verdicts import Excursion, Judgement, Verdict
from gateway.hub.breaches.keeping import HUB, StoredBreach
from gateway.hub.breaches.lifecycle import ReviewEvent
from gateway.hub.breaches.records import Record
from gateway.hub.judgement.verdict_history import VersionedJudgement, read_versions
from gateway.hub.registry.configurations import Case
from gateway.hub.review.choices import Choice, ChoiceList
from gateway.hub.review.desk import Review
from gateway.hub.review.queue import Filter, QueuedBreach, Stage, read_queued, read_similar, read_vehicles
from gateway.hub.rooms import Rooms
from gateway.hub.traces.drawing import draw_trace
from gateway.hub.traces.trace import plan_trace
from gateway.hub.views.curves import Curve
from gateway.hub.views.stops import StopSeen, read_stops
from gateway.hub.views.trips import until_ms
from gateway.hub.web.bench import Picture
from gateway.hub.web.gaps import explain_gaps, gap_facts
from gateway.hub.web.quality.course import Act, read_acts
from gateway.hub.web.quality.explorer import explore_address, find_profile
from gateway.hub.web.quality.words import (
    ESTABLISHED,
    EVENTS,
    MEANINGS,
    SILENCES,
    STATES,
    say_breach,
    say_life,
    say_title,
)
from gateway.language import Language, Speech
from gateway.language.reasons import say_reason
from gateway.language.speech import N_

SIMILAR_SHOWN = 5
"""Of each kind; the queue has the others."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """Breaches that have something in common with this one. `others` counts them all."""

    title: str
    query: Mapping[str, str]
    lines: Sequence[tuple[QueuedBreach, str]]
    others: int


@dataclass(frozen=True, slots=True)
class Version:
    """A verdict as it stood. `judged_at_ms` is when it was last looked at."""

    version: int
    verdict: Verdict
    judged_at_ms: int
    is_current: bool
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A record in words. `corrected_by` is the number of the one that replaces it, None while it stands."""

    record: Record
    title: str
    lines: Sequence[str]
    corrected_by: int | None


@dataclass(frozen=True, slots=True)
class BreachView:
    """What the page shows."""

    review: Review
    queued: QueuedBreach
    title: str
    sentence: str
    life: str
    state: str
    established: str
    silence: str
    facts: Sequence[tuple[str, str]]
    picture: Picture | None
    acts: Sequence[Act]
    stops: Sequence[StopSeen]
    likenesses: Sequence[Likeness]
    versions: Sequence[Version]
    entries: Sequence[Entry]
    conclusion: Record | None
    explore: str
    gaps: str


def view_breach(rooms: Rooms, breach_id: int, speech: Speech) -> BreachView:
    """Return all about a breach. Blocking; raises UnknownBreachError."""
    review = rooms.reviews.review(breach_id)
    queued = read_queued(rooms.store, breach_id)
    if queued is None:
        raise LookupError(breach_id)  # never: the review was there
    breach = review.breach
    case = rooms.configurations.case(breach.consignment)
    item = None if case is None else next((one for one in case.consignment.items if one.code == breach.item), None)
    with rooms.store.read() as connection:
        curves = _curves(rooms, connection, case, item)
        vehicles = read_vehicles(connection, breach)
        versions = read_versions(connection, breach.consignment, breach.item, breach.examination)
        span = _span(curves, breach, rooms.clock.now_ms())
        stops = read_stops(connection, [curve.logger for curve in curves], span)
        acts: Sequence[Act] = ()
        if case is not None:
            carried = {*vehicles, *([case.consignment.vehicle] if case.consignment.vehicle else [])}
            acts = read_acts(connection, case.consignment, queued.boxes, carried, span, speech)
    choices = rooms.choices.all()
    current = next((one.judgement for one in versions if one.current), None)
    facts = [*_facts(review, queued, vehicles, None if case is None else case.consignment, speech)]
    # The limits that judged it. A vehicle may flag by a profile that nobody registered here.
    judged_by = f"{breach.profile}@{breach.profile_version}"
    known = "" if find_profile(rooms, judged_by) is None else judged_by
    return BreachView(
        review=review,
        queued=queued,
        title=say_title(breach, speech),
        sentence=say_breach(breach, speech),
        life=say_life(breach, speech, is_running=review.running),
        state=speech.gettext(STATES[review.standing.state]),
        established=speech.gettext(ESTABLISHED[breach.state]),
        silence="" if breach.silent is None else speech.gettext(SILENCES[breach.silent]),
        facts=facts if current is None else [*facts, *gap_facts(current, speech)],
        picture=_draw(breach, curves, case, versions, speech),
        acts=acts,
        stops=stops,
        likenesses=list(_likenesses(rooms, queued, vehicles, speech)),
        versions=[_to_version(one, speech) for one in versions],
        entries=_entries(review.records, choices, speech),
        conclusion=next((one for one in reversed(review.records) if one.event is ReviewEvent.CONCLUDE), None),
        explore=explore_address([curve.logger for curve in curves], span, known) if curves else "",
        gaps="" if current is None or case is None else _explain_gaps(current, case, item, speech),
    )


def say_choice(choices: Sequence[Choice], code: str, speech: Speech) -> str:
    """Return the words of an entry of a list, its code if it is in none."""
    found = next((one for one in choices if one.code == code), None)
    if found is None:
        return code
    return found.nb if speech.language is Language.NB else found.en


def _curves(rooms: Rooms, connection: Connection, case: Case | None, item: Item | None) -> list[Curve]:
    if case is None or item is None:
        return []
    ends_ms = until_ms(case.consignment, rooms.clock.now_ms())
    return rooms.curves.read(connection, case.consignment.carriage_of(item), case.configuration.loggers, ends_ms)


def _explain_gaps(judgement: Judgement, case: Case, item: Item | None, speech: Speech) -> str:
    profiles = {profile.id: profile for profile in case.configuration.profiles}
    examinations = () if item is None else item.examinations
    examination = next((one for one in examinations if one.code == judgement.examination), None)
    return explain_gaps(judgement, examination, profiles, speech)


def _span(curves: Sequence[Curve], breach: StoredBreach, now_ms: int) -> tuple[int, int]:
    begins = [breach.started_at_ms, *(curve.from_ms for curve in curves)]
    ends = [breach.ended_at_ms or min(now_ms, breach.started_at_ms), *(curve.to_ms for curve in curves)]
    return min(begins), max(ends)


def _draw(
    breach: StoredBreach,
    curves: Sequence[Curve],
    case: Case | None,
    versions: Sequence[VersionedJudgement],
    speech: Speech,
) -> Picture | None:
    profiles = () if case is None else case.configuration.profiles
    profile = next((one for one in profiles if one.id == breach.profile), None)
    excursions = versions[0].judgement.excursions if versions else ()
    trace = plan_trace(curves, profile, excursions or _own_excursion(breach))
    if trace is None:
        return None
    title = speech.gettext(N_("Temperature of {item} for {examination}"))
    named = title.format(item=breach.item, examination=breach.examination)
    return Picture(draw_trace(trace, speech, name="trace", title=named), trace)


def _own_excursion(breach: StoredBreach) -> tuple[Excursion, ...]:
    """What a vehicle flagged before any reading of it was judged here."""
    if breach.extreme_c is None:
        return ()
    times = (breach.started_at_ms, breach.triggered_at_ms, breach.ended_at_ms)
    return (Excursion(breach.rule, *times, breach.extreme_c, breach.minutes, 0.0),)


def _facts(
    review: Review, queued: QueuedBreach, vehicles: Sequence[str], consignment: Consignment | None, speech: Speech
) -> Iterator[tuple[str, str]]:
    say, breach = speech.gettext, review.breach
    yield say(N_("Began")), speech.moment(breach.started_at_ms)
    yield say(N_("Requirement broken")), speech.moment(breach.triggered_at_ms)
    if breach.ended_at_ms is not None:
        yield say(N_("Ended")), speech.moment(breach.ended_at_ms)
    if breach.extreme_c is not None:
        yield say(N_("Extreme")), speech.celsius(breach.extreme_c)
        yield say(N_("Beyond the limit")), speech.duration(breach.minutes)
    profile = say(N_("{name}, version {version}")).format(name=breach.profile, version=breach.profile_version)
    yield say(N_("Profile")), profile
    yield say(N_("Examination")), breach.examination
    if queued.boxes:
        yield say(N_("Boxes")), speech.listed(queued.boxes)
    if vehicles:
        yield say(N_("Vehicle")), speech.listed(vehicles)
    if queued.receiver:
        yield say(N_("Receiver")), queued.receiver
    if consignment is not None and consignment.requester:
        yield say(N_("Requester")), consignment.requester
    finder = say(N_("the hub")) if breach.found_by == HUB else breach.found_by
    found = say(N_("by {finder}, {moment}"))
    yield say(N_("Found")), found.format(finder=finder, moment=speech.moment(breach.found_at_ms))


def _likenesses(rooms: Rooms, queued: QueuedBreach, vehicles: Sequence[str], speech: Speech) -> Iterator[Likeness]:
    breach, everything = queued.breach, Filter(stage=Stage.ALL)
    wanted: list[tuple[str, dict[str, str]]] = [
        *((speech.gettext(N_("In box {box}")).format(box=box), {"box": box}) for box in queued.boxes[:2]),
        *((speech.gettext(N_("With {vehicle}")).format(vehicle=name), {"vehicle": name}) for name in vehicles[:2]),
        (speech.gettext(N_("Of profile {profile}")).format(profile=breach.profile), {"profile": breach.profile}),
    ]
    for title, narrowed in wanted:
        asked = Filter(
            stage=everything.stage,
            box=narrowed.get("box", ""),
            vehicle=narrowed.get("vehicle", ""),
            profile=narrowed.get("profile", ""),
        )
        lines, others = read_similar(rooms.store, asked, breach.id, SIMILAR_SHOWN)
        said = [(line, say_title(line.breach, speech)) for line in lines]
        yield Likeness(title, {"stage": Stage.ALL.value, **narrowed}, said, others)


def _to_version(one: VersionedJudgement, speech: Speech) -> Version:
    reasons = [say_reason(reason, speech) for reason in one.judgement.reasons]
    return Version(one.version, one.judgement.verdict, one.judged_at_ms, one.current, reasons)


def _entries(records: Sequence[Record], choices: Mapping[ChoiceList, Sequence[Choice]], speech: Speech) -> list[Entry]:
    corrected = {record.corrects: record.id for record in records if record.corrects is not None}
    return [
        Entry(
            record=record,
            title=speech.gettext(EVENTS[record.event]).format(to=record.document.get("to", "")),
            lines=list(_lines(record, choices, speech)),
            corrected_by=corrected.get(record.id),
        )
        for record in records
    ]


def _lines(record: Record, choices: Mapping[ChoiceList, Sequence[Choice]], speech: Speech) -> Iterator[str]:
    document, say = record.document, speech.gettext
    forms = {
        ChoiceList.CAUSE: N_("Root cause: {words}"),
        ChoiceList.ACTION: N_("Corrective action: {words}"),
        ChoiceList.ENDING: N_("Ending: {words}"),
    }
    for chosen, form in forms.items():
        if chosen.value in document:
            yield say(form).format(words=say_choice(choices[chosen], str(document[chosen.value]), speech))
    if record.event is ReviewEvent.SIGN:
        meanings = {meaning.value: words for meaning, words in MEANINGS.items()}
        yield say(meanings.get(str(document["meaning"]), ""))
    for name in ("comment", "text"):
        if document.get(name):
            yield str(document[name])
    if document.get("reason") and record.event not in (ReviewEvent.WITHDRAW, ReviewEvent.RESTORE):
        yield str(document["reason"])
