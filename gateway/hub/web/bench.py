"""The bench: what a scanned code shows to whoever receives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from sqlalchemy import Connection

from gateway.core.configuration import Carriage, Configuration, Consignment, Examination, Item
from gateway.core.exposure import to_ms
from gateway.core.profiles import Kind, Profile
from gateway.core.scans import codes_of, is_misread
from gateway.core.verdicts import Excursion, LifeLeft, Verdict, worst
from gateway.hub.database.rows import find_registered, read_box_among
from gateway.hub.hand_in.codes import HandIn, read_handed_in
from gateway.hub.judgement.verdict_history import VersionedJudgement, read_current
from gateway.hub.replication.readouts import ReadOut, read_readout
from gateway.hub.rooms import Rooms
from gateway.hub.traces.drawing import draw_trace
from gateway.hub.traces.trace import Trace, plan_trace
from gateway.hub.views.curves import Curve
from gateway.hub.views.trips import behind_ms, until_ms
from gateway.hub.web.gaps import explain_gaps, gap_facts
from gateway.hub.web.handlers import say_handler
from gateway.language import Speech
from gateway.language.reasons import life_title, say_behind, say_reason
from gateway.language.speech import N_

SHOWN_MAX = 3
"""Consignments shown at once of all that a box has carried, the newest."""
TRACES_MAX = 12
"""Traces drawn at once: 15 KiB each. Of a consignment with more, one item is chosen to see its traces."""
_WORTH_TELLING = 0.05
"""Of a shelf life."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A reason in words. `verdict` is None for what only informs."""

    verdict: Verdict | None
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A trace as it is drawn."""

    svg: Markup
    trace: Trace


@dataclass(frozen=True, slots=True)
class ExaminationView:
    """One examination of one item. `verdict` is None until it has been judged; `gaps` says how they were counted."""

    code: str
    title: str
    verdict: Verdict | None
    version: int
    judged_at_ms: int | None
    reasons: Sequence[Sentence]
    facts: Sequence[tuple[str, str]]
    handling: Sequence[str]
    picture: Picture | None
    is_urgent: bool
    gaps: str = ""


@dataclass(frozen=True, slots=True)
class ItemView:
    """One item with its examinations."""

    code: str
    kind: Kind
    notes: Sequence[str]
    examinations: Sequence[ExaminationView]
    has_more: bool

    @property
    def verdict(self) -> Verdict | None:
        """The worst of its examinations, None while one of them waits for its verdict."""
        verdicts = [one.verdict for one in self.examinations]
        return None if None in verdicts else worst([one for one in verdicts if one is not None])


@dataclass(frozen=True, slots=True)
class ConsignmentView:
    """A consignment as the bench shows it. `chosen` is the scanned item, "" for all.

    `behind` and `reading` say what is still to come, "" for nothing: of a vehicle's log, of a logger's memory.
    """

    code: str
    is_received: bool
    boxes: Sequence[str]
    facts: Sequence[tuple[str, str]]
    verdict: Verdict | None
    tally: Sequence[tuple[Verdict, int]]
    behind: str
    reading: str
    items: Sequence[ItemView]
    chosen: str
    others: int


@dataclass(frozen=True, slots=True)
class BenchView:
    """What a scan found: nothing, or consignments, the most fitting first.

    box         the registered box whose code was scanned, "" for anything else
    is_misread  whether it is a GS1 mark with a wrong check digit
    """

    code: str
    found: Sequence[ConsignmentView]
    box: str
    is_misread: bool


def look_up(rooms: Rooms, connection: Connection, scanned: str, speech: Speech) -> BenchView:
    """Return what the bench shows for a scanned code, or for the GS1 mark that it is. Blocking."""
    codes = codes_of(scanned)
    box = read_box_among(connection, codes)
    for code in codes:
        known = find_registered(connection, code, SHOWN_MAX)
        if known:
            found = [_view_consignment(rooms, connection, one.consignment, code, speech) for one in known]
            return BenchView(scanned, found, box, is_misread=False)
    return BenchView(scanned, (), box, is_misread=is_misread(scanned))


def _view_consignment(
    rooms: Rooms, connection: Connection, consignment: Consignment, scanned: str, speech: Speech
) -> ConsignmentView:
    now_ms = rooms.clock.now_ms()
    configuration = rooms.configurations.around(connection, consignment)
    loggers = configuration.loggers
    current = {(v.judgement.item, v.judgement.examination): v for v in read_current(connection, consignment.code)}
    late_ms = behind_ms(connection, consignment, loggers, now_ms)
    judged = [versioned.judgement for versioned in current.values()]
    readout = read_readout(connection, consignment, loggers, judged, now_ms)
    handed_in = read_handed_in(connection, consignment.code)
    chosen = [item for item in consignment.items if item.code == scanned] or list(consignment.items)
    verdicts = [current[key].judgement.verdict for key in current if key[0] in {item.code for item in chosen}]
    ends_ms = until_ms(consignment, now_ms)
    traces = _Traces(consignment, lambda carried: rooms.curves.read(connection, carried, loggers, ends_ms))
    items, drawn = [], 0
    for item in chosen:
        draws = drawn < TRACES_MAX
        items.append(_view_item(traces, item, current, configuration, speech, draws=draws))
        drawn += len(item.examinations)
    return ConsignmentView(
        code=consignment.code,
        is_received=consignment.received_at is not None,
        boxes=sorted({carriage.box for item in chosen for carriage in consignment.carriage_of(item)}),
        facts=list(_consignment_facts(consignment, handed_in, speech)),
        verdict=worst(verdicts) if verdicts else None,
        tally=[(verdict, verdicts.count(verdict)) for verdict in reversed(Verdict) if verdict in verdicts],
        behind=say_behind(late_ms, speech) if late_ms else "",
        reading="" if readout is None else _say_readout(readout, speech),
        items=items,
        chosen=scanned if len(chosen) < len(consignment.items) else "",
        others=len(consignment.items) - len(chosen),
    )


def _say_readout(readout: ReadOut, speech: Speech) -> str:
    if not readout.is_heard:
        return speech.gettext(N_("Data incomplete: put the box where the gateway of the reception hears it."))
    form = N_("Data incomplete: being read out from the logger, {n} of {m} readings.")
    return speech.gettext(form).format(n=readout.fetched, m=readout.expected)


class _Traces:
    """The traces of a consignment: what lay in the same box for the same examination shares one."""

    def __init__(self, consignment: Consignment, read: Callable[[Sequence[Carriage]], list[Curve]]) -> None:
        self._consignment = consignment
        self._read = read
        self._curves: dict[tuple[Carriage, ...], list[Curve]] = {}
        self._planned: dict[object, Trace | None] = {}

    def plan(self, item: Item, profile: Profile | None, excursions: Sequence[Excursion]) -> Trace | None:
        """Return what to draw of an item, None if it was in no box."""
        carried = tuple(self._consignment.carriage_of(item))
        if carried not in self._curves:
            self._curves[carried] = self._read(carried)
        known = (carried, None if profile is None else profile.id, tuple(excursions))
        if known not in self._planned:
            self._planned[known] = plan_trace(self._curves[carried], profile, excursions)
        return self._planned[known]


def _view_item(
    traces: _Traces,
    item: Item,
    current: dict[tuple[str, str], VersionedJudgement],
    configuration: Configuration,
    speech: Speech,
    *,
    draws: bool,
) -> ItemView:
    profiles = {profile.id: profile for profile in configuration.profiles}
    examinations = []
    for place, examination in enumerate(item.examinations):
        versioned = current.get((item.code, examination.code))
        profile = profiles.get(examination.profile)
        excursions = () if versioned is None else versioned.judgement.excursions
        trace = traces.plan(item, profile, excursions) if draws else None
        picture = None if trace is None else _draw(trace, item, examination, place, speech)
        gaps = "" if versioned is None else explain_gaps(versioned.judgement, examination, profiles, speech)
        examinations.append(_view_examination(examination, versioned, profile, picture, speech, gaps))
    return ItemView(
        code=item.code,
        kind=item.kind,
        notes=list(_item_notes(item, speech)),
        examinations=examinations,
        has_more=not draws,
    )


def _draw(trace: Trace, item: Item, examination: Examination, place: int, speech: Speech) -> Picture:
    name = f"trace-{item.code}-{place}".translate(_UNFIT_FOR_ID)
    form = speech.gettext(N_("Temperature of {item} for {examination}"))
    title = form.format(item=item.code, examination=examination.code)
    return Picture(draw_trace(trace, speech, name=name, title=title), trace)


def _view_examination(
    examination: Examination,
    versioned: VersionedJudgement | None,
    profile: Profile | None,
    picture: Picture | None,
    speech: Speech,
    gaps: str,
) -> ExaminationView:
    title = examination.profile if profile is None else speech.gettext(profile.title)
    handling = [] if profile is None else [speech.gettext(text) for text in profile.handling]
    if versioned is None:
        return ExaminationView(examination.code, title, None, 0, None, (), (), handling, picture, is_urgent=False)
    judgement = versioned.judgement
    return ExaminationView(
        code=examination.code,
        title=title,
        verdict=judgement.verdict,
        version=versioned.version,
        judged_at_ms=versioned.judged_at_ms,
        reasons=[
            Sentence(None if reason.verdict is Verdict.ACCEPT else reason.verdict, say_reason(reason, speech))
            for reason in judgement.reasons
        ],
        facts=list(_judgement_facts(versioned, speech)),
        handling=handling,
        picture=picture,
        is_urgent=judgement.urgent,
        gaps=gaps,
    )


def _judgement_facts(versioned: VersionedJudgement, speech: Speech) -> Iterable[tuple[str, str]]:
    say, judgement = speech.gettext, versioned.judgement
    measured = judgement.figures
    if measured.readings:
        low, high = speech.celsius(measured.min_c), speech.celsius(measured.max_c)
        yield say(N_("Lowest and highest")), say(N_("{low} to {high}")).format(low=low, high=high)
        yield say(N_("Mean")), speech.celsius(measured.mean_c)
    yield say(N_("Share monitored")), speech.percent(measured.monitored_fraction)
    yield from gap_facts(judgement, speech)
    later = say(N_("{all}, {later} of them fetched later from the logger"))
    readings = later if measured.backfilled else "{all}"
    yield say(N_("Readings")), readings.format(all=measured.readings, later=measured.backfilled)
    for life in judgement.lives:
        yield life_title(life.name, speech), _say_life(life, speech)
    version = say(N_("{name}, version {version}"))
    yield say(N_("Profile")), version.format(name=judgement.profile, version=judgement.profile_version)
    judged = say(N_("to {moment}, version {version}"))
    yield say(N_("Judged")), judged.format(moment=speech.moment(judgement.through_ms), version=versioned.version)


def _say_life(life: LifeLeft, speech: Speech) -> str:
    if life.name == "use-before" and life.expires_at_ms is not None:
        return speech.moment(life.expires_at_ms)
    form = N_("{spent} used") if _is_plain(life) else N_("{spent} used, at worst {possible}")
    used = speech.gettext(form).format(spent=speech.percent(life.spent), possible=speech.percent(life.spent_possible))
    if life.left_planned_h is not None and life.spent < 1:
        form, hours = N_("{duration} left as stored"), life.left_planned_h
    elif life.left_now_h is not None and life.spent < 1:
        form, hours = N_("{duration} left at this temperature"), life.left_now_h
    else:
        return used
    return f"{used}; {speech.gettext(form).format(duration=speech.duration(hours * 60))}"


def _is_plain(life: LifeLeft) -> bool:
    """Whether what was not measured, or not exactly, makes no difference to speak of: what is left counts both."""
    return life.spent_possible - life.spent < _WORTH_TELLING


def _consignment_facts(consignment: Consignment, handed_in: HandIn | None, speech: Speech) -> Iterable[tuple[str, str]]:
    if handed_in is not None and handed_in.handed_in_at_ms is not None and handed_in.statement is not None:
        by, place = say_handler(handed_in, speech), handed_in.statement.place
        yield speech.gettext(N_("Handed in")), f"{speech.moment(handed_in.handed_in_at_ms)}, {by}, {place}"
    stated = ((N_("Received"), consignment.received_at), (N_("Planned arrival"), consignment.planned_arrival))
    for name, at in stated:
        if at is not None:
            yield speech.gettext(name), speech.moment(to_ms(at))


def _item_notes(item: Item, speech: Speech) -> Iterable[str]:
    stated = (
        (N_("Collected at"), item.collected_at),
        (N_("Prepared at"), item.prepared_at),
        (N_("First use"), item.first_use_at),
        (N_("Use before"), item.use_before),
        (N_("Latest arrival"), item.latest_arrival),
    )
    for name, at in stated:
        if at is not None:
            yield f"{speech.gettext(name)} {speech.moment(to_ms(at))}"
    form = speech.gettext(N_("Declared by {by}: {begins}–{ends} at {low} to {high}"))
    for declared in item.declared:
        yield form.format(
            by=declared.by,
            begins=speech.clock_time(to_ms(declared.begins)),
            ends=speech.clock_time(to_ms(declared.ends)),
            low=speech.threshold(declared.low_c),
            high=speech.threshold(declared.high_c),
        )


_UNFIT_FOR_ID = {ord(character): "-" for character in "._:/+"}
