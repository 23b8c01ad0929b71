"""An item of a report in words: for each examination verdict, reasons, rules, figures, gaps and the trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from gateway.core.configuration import Consignment, Examination, Item
from gateway.core.exposure import to_ms
from gateway.core.profiles import Kind, Profile
from gateway.core.verdicts import Excursion, Judgement, Verdict
from gateway.hub.reports import blocks
from gateway.hub.reports.blocks import Block
from gateway.hub.reports.document import Judged, ReportDocument
from gateway.hub.reports.rules import word_lives, word_rules
from gateway.hub.traces.drawing import draw_trace
from gateway.hub.traces.trace import describe_trace, plan_trace
from gateway.hub.views.curves import to_curve
from gateway.hub.views.trips import Trip
from gateway.language import Speech
from gateway.language.names import say_name
from gateway.language.profiles import say_allowed, say_duration, say_gap_course
from gateway.language.reasons import say_reason
from gateway.language.speech import N_
from gateway.language.verdicts import say_kind, say_meaning, say_verdict

FONT = "Libertinus Serif"
MINUTE_MS = 60_000
EXCURSIONS_SHOWN = 60
"""Rows of one examination; of more the document that is attached has all."""


class Pictures:
    """Traces of the items, each drawn once: items with the same way and profile share one."""

    def __init__(self, trips: Sequence[Trip], speech: Speech) -> None:
        self._trips = trips
        self._speech = speech
        self._drawn: dict[object, int] = {}

    def show(
        self, consignment: Consignment, item: Item, profile: Profile | None, excursions: Sequence[Excursion]
    ) -> Block | None:
        """Return the trace, a reference to it where it was shown before, None if the item was in no box."""
        trips = self._trips_of(consignment, item)
        trace = plan_trace([to_curve(trip) for trip in trips], profile, excursions)
        if trace is None:
            return None
        say = self._speech.gettext
        spans = tuple((trip.logger, trip.from_ms, trip.to_ms) for trip in trips)
        known = (spans, None if profile is None else (profile.id, profile.version), tuple(excursions))
        if known in self._drawn:
            return blocks.text(say(N_("Its trace is that of figure {n}.")).format(n=self._drawn[known]))
        number = self._drawn[known] = len(self._drawn) + 1
        title = say(N_("Figure {n}: temperature of {item}")).format(n=number, item=item.code)
        svg = draw_trace(trace, self._speech, name=f"trace-{number}", title=title, font=FONT)
        said = describe_trace(trace, self._speech)
        return blocks.figure(str(svg), f"{title}. {said}", f"{title}. {said}")

    def _trips_of(self, consignment: Consignment, item: Item) -> list[Trip]:
        """Return the rides as far as the item was in them."""
        found = []
        for carriage in consignment.carriage_of(item):
            begins_ms = to_ms(carriage.begins)
            for trip in self._trips:
                ends_ms = trip.to_ms if carriage.ends is None else min(trip.to_ms, to_ms(carriage.ends))
                if trip.box == carriage.box and max(begins_ms, trip.from_ms) < ends_ms:
                    found.append(_clip(trip, max(begins_ms, trip.from_ms), ends_ms))
        return sorted(found, key=lambda trip: (trip.from_ms, trip.logger))


def _clip(trip: Trip, from_ms: int, to_ms_: int) -> Trip:
    if (from_ms, to_ms_) == (trip.from_ms, trip.to_ms):
        return trip
    readings = tuple(reading for reading in trip.readings if from_ms <= reading.at_ms < to_ms_)
    return Trip(trip.logger, trip.box, from_ms, to_ms_, readings, trip.repeated, trip.conflicts)


class Known:
    """What was told of an examination before: thirty tubes of one box are told once, with thirty verdicts."""

    def __init__(self) -> None:
        self._told: dict[bytes, str] = {}

    def tell(self, sections: Iterable[tuple[str, list[Block]]], of: str, speech: Speech) -> Iterator[Block]:
        """Yield sections (title, blocks); of those that are the same as before only where they stand."""
        as_before: dict[str, list[str]] = {}
        for title, section in sections:
            if not section:
                continue
            where = self._told.setdefault(msgspec.json.encode(section), of)
            if where == of:
                yield from section
            else:
                as_before.setdefault(where, []).append(title)
        form = speech.gettext(N_("{sections}: the same as of {item}."))
        for where, titles in as_before.items():
            yield blocks.text(form.format(sections=", ".join(titles), item=where))


def word_item(
    document: ReportDocument, consignment: Consignment, item: Item, pictures: Pictures, known: Known, speech: Speech
) -> Iterator[Block]:
    """Yield all about one item."""
    yield blocks.heading(f"{say_kind(item.kind, speech)} {item.code}")
    stated = list(_item_facts(item, speech))
    if stated:
        yield blocks.facts(stated, stays=True)
    for examination in item.examinations:
        judged = next(
            (
                one
                for one in document.judgements
                if (one.judgement.item, one.judgement.examination) == (item.code, examination.code)
            ),
            None,
        )
        yield from _word_examination(document, consignment, item, examination, judged, pictures, known, speech)


def _item_facts(item: Item, speech: Speech) -> Iterator[tuple[str, str]]:
    say = speech.gettext
    moments = (
        (N_("Collected at"), item.collected_at),
        (N_("Prepared at"), item.prepared_at),
        (N_("First use"), item.first_use_at),
        (N_("Use before"), item.use_before),
        (N_("Latest arrival"), item.latest_arrival),
    )
    yield from ((say(name), speech.moment(to_ms(at))) for name, at in moments if at is not None)
    for declared in item.declared:
        form = say(N_("by {by}: {begins} – {ends}, {low} to {high}"))
        told = form.format(
            by=declared.by,
            begins=speech.moment(to_ms(declared.begins)),
            ends=speech.moment(to_ms(declared.ends)),
            low=speech.threshold(declared.low_c),
            high=speech.threshold(declared.high_c),
        )
        yield say(N_("Declared")), told
    if item.irreplaceable:
        yield say(N_("Remark")), say(N_("It cannot be taken again: do not discard, call the requester."))


def _word_examination(
    document: ReportDocument,
    consignment: Consignment,
    item: Item,
    examination: Examination,
    judged: Judged | None,
    pictures: Pictures,
    known: Known,
    speech: Speech,
) -> Iterator[Block]:
    say = speech.gettext
    verdict = None if judged is None else judged.judgement.verdict
    profile = None if judged is None else document.profile_of(judged.judgement)
    title = examination.code if profile is None else f"{examination.code}: {say(profile.title)}"
    meaning = "" if verdict is None else say_meaning(verdict, speech)
    yield blocks.heading(title, 3)
    yield blocks.verdict(verdict, say_verdict(verdict, speech, item.kind), "", meaning)
    if judged is None:
        return
    judgement = judged.judgement
    if judgement.urgent:
        yield blocks.notice(say(N_("Urgent: latest arrival passed")))
    if judgement.reasons:
        yield blocks.points(_say_why(judgement, item.kind, speech))
    else:
        yield blocks.text(say(N_("Nothing to remark.")))
    picture = pictures.show(consignment, item, profile, judgement.excursions)
    if picture is not None:
        yield picture
    sections = [(say(N_("Figures")), [blocks.facts(_figures(judged, profile, speech))])]
    if profile is not None:
        sections += [
            (say(N_("Profile")), [blocks.facts(_profile_facts(profile, speech))]),
            (say(N_("Rules")), list(word_rules(profile, judgement, speech))),
            (say(N_("Shelf life")), list(word_lives(profile, judgement, speech))),
        ]
    sections += [
        (say(N_("Excursions")), list(_word_excursions(judgement, speech))),
        (
            say(N_("Gaps: not monitored")),
            list(_word_gaps(judgement, None if examination.switches else profile, speech)),
        ),
    ]
    yield from known.tell(sections, f"{item.code}, {examination.code}", speech)


def _say_why(judgement: Judgement, kind: Kind, speech: Speech) -> Iterator[str]:
    for reason in judgement.reasons:
        leads = "" if reason.verdict is Verdict.ACCEPT else f" ({say_verdict(reason.verdict, speech, kind)})"
        yield say_reason(reason, speech) + leads


def _figures(judged: Judged, profile: Profile | None, speech: Speech) -> Iterator[tuple[str, str]]:
    say, figures = speech.gettext, judged.judgement.figures

    def at(value: float | None, at_ms: int | None) -> str:
        return speech.celsius(value) + ("" if at_ms is None else f", {speech.moment(at_ms)}")

    yield say(N_("Lowest")), at(figures.min_c, figures.min_at_ms)
    yield say(N_("Highest")), at(figures.max_c, figures.max_at_ms)
    yield say(N_("Mean")), speech.celsius(figures.mean_c)
    form = say(N_("{mkt} with ΔH {energy}; it informs and decides nothing"))
    energy = "–" if profile is None else speech.quantity(profile.mkt_activation_energy_kj_mol, "kJ/mol")
    yield say(N_("Mean kinetic temperature")), form.format(mkt=speech.celsius(figures.mkt_c), energy=energy)
    form = say(N_("{share}; not monitored for {duration}"))
    duration = speech.duration(figures.unmonitored_ms / MINUTE_MS)
    monitored = speech.percent(figures.monitored_fraction)
    yield say(N_("Share monitored")), form.format(share=monitored, duration=duration)
    form = "{all}" if not figures.backfilled else say(N_("{all}, {later} of them fetched later from the logger"))
    yield say(N_("Readings")), form.format(all=figures.readings, later=figures.backfilled)
    form = say(N_("{n} readings with a time that cannot be relied upon; largest error {error}"))
    error = speech.duration(figures.time_error_ms / MINUTE_MS)
    yield say(N_("Clock")), form.format(n=figures.untrusted, error=error)
    form = say(N_("to {moment}, version {version}"))
    through = speech.moment(judged.judgement.through_ms)
    yield say(N_("Judged")), form.format(moment=through, version=judged.version)


def _profile_facts(profile: Profile, speech: Speech) -> Iterator[tuple[str, str]]:
    say = speech.gettext
    form = say(N_("{name}, version {version}"))
    yield say(N_("Profile")), form.format(name=profile.id, version=profile.version)
    if profile.approval is None or profile.status != "approved":
        yield say(N_("Status")), say(N_("example figures, not approved for clinical use"))
    else:
        form = say(N_("approved by {by} ({role}), {moment}"))
        role = say(_ROLES[profile.approval.role])
        moment = speech.moment(to_ms(profile.approval.at))
        yield say(N_("Status")), form.format(by=profile.approval.by, role=role, moment=moment)
    yield say(N_("Source")), profile.source
    yield say(N_("Start delay")), speech.duration(profile.start_delay / MINUTE_MS)
    bands = [say_allowed(band.from_c, band.to_c, speech) for band in profile.bands]
    if bands:
        yield (
            say(N_("Temperature bands")),
            "; ".join(
                f"{say_name(band.name, speech)}: {words}" for band, words in zip(profile.bands, bands, strict=True)
            ),
        )


def _word_excursions(judgement: Judgement, speech: Speech) -> Iterator[Block]:
    say, excursions = speech.gettext, judgement.excursions
    if not excursions:
        return
    yield blocks.heading(say(N_("Excursions")), 4)
    head = [
        say(N_("Rule")),
        say(N_("From")),
        say(N_("Broken at")),
        say(N_("To")),
        say(N_("Duration")),
        say(N_("Extreme")),
    ]
    rows = (
        (
            say_name(one.rule, speech),
            speech.moment(one.started_at_ms),
            "–" if one.triggered_at_ms is None else speech.moment(one.triggered_at_ms),
            say(N_("lasts")) if one.ended_at_ms is None else speech.moment(one.ended_at_ms),
            speech.duration(one.minutes),
            speech.celsius(one.extreme_c),
        )
        for one in excursions[:EXCURSIONS_SHOWN]
    )
    yield blocks.table(head, rows, (3, 4, 4, 4, 2, 2))
    yield from _word_rest(len(excursions) - EXCURSIONS_SHOWN, speech)


def _word_gaps(judgement: Judgement, profile: Profile | None, speech: Speech) -> Iterator[Block]:
    say = speech.gettext
    if not judgement.gaps:
        return
    yield blocks.heading(say(N_("Gaps: not monitored")), 4)
    head = [say(N_("From")), say(N_("To")), say(N_("Duration"))]
    yield blocks.table(
        head,
        (
            (
                speech.moment(gap.begins_ms),
                speech.moment(gap.ends_ms),
                say_duration(gap.ends_ms - gap.begins_ms, speech),
            )
            for gap in judgement.gaps
        ),
        (4, 4, 3),
    )
    if profile is not None:
        met = say(N_("Even so, every requirement was met.")) if judgement.verdict is Verdict.ACCEPT else ""
        yield blocks.text(" ".join(filter(None, (say_gap_course(profile.gap, speech), met))))


def _word_rest(more: int, speech: Speech) -> Iterable[Block]:
    if more > 0:
        yield blocks.text(speech.ngettext("and {n} more", "and {n} more", more).format(n=more))


_ROLES = {"laboratory_doctor": N_("laboratory doctor"), "pharmacist": N_("pharmacist")}
