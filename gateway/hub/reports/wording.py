"""A report in words: what the document says, for readers of one language, block by block. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gateway.core.configuration import Consignment
from gateway.core.exposure import to_ms
from gateway.core.profiles import Kind
from gateway.core.verdicts import worst
from gateway.hub.reports import blocks
from gateway.hub.reports.blocks import Block
from gateway.hub.reports.document import Judged, ReportDocument
from gateway.hub.reports.examinations import Known, Pictures, word_item
from gateway.hub.reports.proceedings import word_breaches, word_custody, word_decisions
from gateway.hub.reports.readings import trips_of
from gateway.hub.tabular.selection import Row
from gateway.language import Speech
from gateway.language.speech import N_
from gateway.language.verdicts import ACCEPT_NOTE, DEMONSTRATION, MEDICINE_NOTE, say_kind, say_meaning, say_verdict
from gateway.language.words import say_clock

TABLE = "readings.csv"
DOCUMENT = "report.json"


def word_report(document: ReportDocument, rows: Sequence[Row], number: str, speech: Speech) -> dict[str, object]:
    """Return what the layout sets: texts of the pages' edges, and the blocks."""
    say = speech.gettext
    consignment = document.consigned
    code = blocks.printable(consignment.code)
    return {
        "language": speech.language.value,
        "title": say(N_("Transport report {code}")).format(code=code),
        "subject": say(N_("Temperatures and handling of consignment {code} on its way")).format(code=code),
        "number": say(N_("Report {number}")).format(number=number),
        "page": say(N_("Page {n} of {all}")),
        "foot": say(ACCEPT_NOTE),
        "attached": {
            TABLE: say(N_("The readings, as a table")),
            DOCUMENT: say(N_("All that the report says, as data")),
        },
        "blocks": [
            *_word_head(document, consignment, number, speech),
            *_word_items(document, consignment, rows, speech),
            *word_breaches(document, speech),
            *word_decisions(document, speech),
            *word_custody(document, speech),
            *_word_loggers(document, speech),
            *_word_clock(document, speech),
            *_word_data(document, speech),
        ],
    }


def _word_head(document: ReportDocument, consignment: Consignment, number: str, speech: Speech) -> Iterator[Block]:
    say, judged = speech.gettext, document.judgements
    yield blocks.heading(say(N_("Transport report {code}")).format(code=consignment.code), 1)
    verdict = worst([one.judgement.verdict for one in judged]) if judged else None
    kinds = {item.kind for item in consignment.items}
    kind = kinds.pop() if len(kinds) == 1 else None
    yield blocks.verdict(
        verdict,
        say_verdict(verdict, speech, kind),
        speech.ngettext("{n} item", "{n} items", len(consignment.items)).format(n=len(consignment.items)),
        "" if verdict is None else say_meaning(verdict, speech),
    )
    yield blocks.text(say(ACCEPT_NOTE))
    if document.demonstration:
        yield blocks.notice(say(DEMONSTRATION))
    if any(profile["status"] == "example" for profile in document.profiles):
        yield blocks.notice(
            say(N_("Limits marked as examples are not approved: approve your own before clinical use."))
        )
    if document.delivered_ms is not None:
        form = say(N_("Data is missing: it had arrived up to {moment}. Verdicts may change."))
        yield blocks.notice(form.format(moment=speech.moment(document.delivered_ms)))
    yield blocks.facts(_head_facts(document, consignment, number, speech))
    yield blocks.heading(say(N_("Verdicts")))
    head = [say(N_("Item")), say(N_("Examination or medicine")), say(N_("Verdict")), say(N_("Share monitored"))]
    yield blocks.table(head, _verdict_rows(consignment, judged, speech), (3, 3, 3, 2))
    if Kind.MEDICINE in {item.kind for item in consignment.items}:
        yield blocks.text(say(MEDICINE_NOTE))


def _head_facts(
    document: ReportDocument, consignment: Consignment, number: str, speech: Speech
) -> Iterator[tuple[str, str]]:
    say = speech.gettext
    yield say(N_("Report")), number
    yield say(N_("As things stood")), speech.moment(document.as_of_ms)
    version = say(N_("{name}, version {version}"))
    yield say(N_("Consignment")), version.format(name=consignment.code, version=document.consignment_version)
    yield say(N_("Boxes")), ", ".join(sorted({ride.box for ride in document.rides})) or "–"
    yield say(N_("Requester")), consignment.requester or "–"
    yield say(N_("Receiver")), consignment.receiver or "–"
    if consignment.vehicle is not None:
        yield say(N_("Registered in the vehicle")), consignment.vehicle
    planned, received = consignment.planned_arrival, consignment.received_at
    yield say(N_("Planned arrival")), "–" if planned is None else speech.moment(to_ms(planned))
    yield say(N_("Received")), say(N_("not yet")) if received is None else speech.moment(to_ms(received))
    if consignment.registered_late:
        yield say(N_("Remark")), say(N_("Registered late: judged from what the logger had recorded."))


def _verdict_rows(consignment: Consignment, judged: Iterable[Judged], speech: Speech) -> Iterator[Sequence[str]]:
    found = {(one.judgement.item, one.judgement.examination): one.judgement for one in judged}
    for item in consignment.items:
        for examination in item.examinations:
            judgement = found.get((item.code, examination.code))
            yield (
                f"{item.code} ({say_kind(item.kind, speech)})",
                examination.code,
                say_verdict(None if judgement is None else judgement.verdict, speech, item.kind),
                "–" if judgement is None else speech.percent(judgement.figures.monitored_fraction),
            )


def _word_items(
    document: ReportDocument, consignment: Consignment, rows: Sequence[Row], speech: Speech
) -> Iterator[Block]:
    pictures, known = Pictures(trips_of(document.rides, rows), speech), Known()
    for item in consignment.items:
        yield from word_item(document, consignment, item, pictures, known, speech)


def _word_loggers(document: ReportDocument, speech: Speech) -> Iterator[Block]:
    say = speech.gettext
    yield blocks.heading(say(N_("Loggers")))
    if not document.rides:
        yield blocks.text(say(N_("No logger was with it.")))
    for ride in document.rides:
        yield blocks.heading(say(N_("{logger} in {box}")).format(logger=ride.logger, box=ride.box), 3)
        times = f"{speech.moment(ride.from_ms)} – {speech.moment(ride.to_ms)}"
        intervals = ", ".join(speech.duration(interval / 60) for interval in ride.intervals_s)
        memory = ride.memory_interval_s
        counted = {"all": ride.readings, "later": ride.backfilled}
        form = "{all}" if not ride.backfilled else say(N_("{all}, {later} of them fetched later from the logger"))
        known = [
            (say(N_("On the way")), times),
            (say(N_("Kind and model")), ", ".join(filter(None, (ride.kind, ride.model))) or "–"),
            (say(N_("Serial number")), ride.serial or "–"),
            (say(N_("Firmware")), say(N_("not stated by the logger"))),
            (say(N_("Logging interval")), intervals or "–"),
            (
                say(N_("Interval of its memory")),
                say(N_("no memory")) if memory is None else speech.duration(memory / 60),
            ),
            (say(N_("Readings")), form.format(**counted)),
            (say(N_("Repeated")), str(ride.repeated)),
            (say(N_("Contradictions")), str(ride.conflicts)),
        ]
        calibration = ride.calibration
        if calibration is None:
            known.append((say(N_("Calibration")), say(N_("no certificate"))))
        else:
            form = say(N_("±{uncertainty}; {offset} is added to what it measured"))
            uncertainty, offset = speech.threshold(calibration.uncertainty_c), speech.threshold(calibration.offset_c)
            known += [
                (say(N_("Calibration")), calibration.certificate),
                (say(N_("Calibrated at")), speech.moment(to_ms(calibration.calibrated_at))),
                (say(N_("Calibration due")), speech.moment(to_ms(calibration.due_at))),
                (say(N_("Measurement uncertainty")), form.format(uncertainty=uncertainty, offset=offset)),
            ]
        yield blocks.facts(known)


def _word_clock(document: ReportDocument, speech: Speech) -> Iterator[Block]:
    say = speech.gettext
    yield blocks.heading(say(N_("Clocks")))
    untrusted = sum(ride.untrusted for ride in document.rides)
    error_ms = max((ride.time_error_ms for ride in document.rides), default=0)
    rely = say(N_("The time of {readings} cannot be relied upon."))
    readings = speech.ngettext("{n} reading", "{n} readings", untrusted).format(n=untrusted)
    all_fine = say(N_("The time of every reading can be relied upon."))
    yield blocks.text(rely.format(readings=readings) if untrusted else all_fine)
    bound = speech.duration(error_ms / 60_000) if error_ms else speech.quantity(0, "s")
    yield blocks.text(say(N_("Largest error of a reading’s time: {error}.")).format(error=bound))
    if document.clock:
        head = [
            say(N_("When")),
            say(N_("Vehicle")),
            say(N_("What")),
            say(N_("Offset")),
            say(N_("Error")),
            say(N_("By")),
        ]
        rows = (
            (
                speech.moment(one.at_ms),
                one.gateway,
                say(_CLOCK.get(one.source, one.source)),
                "–" if one.offset_ms is None else speech.quantity(one.offset_ms / 1000, "s", 1),
                speech.quantity(one.error_ms / 1000, "s", 1) if one.trusted else say(N_("not known")),
                say_clock(one.reference, speech),
            )
            for one in document.clock
        )
        yield blocks.table(head, rows, (4, 3, 4, 2, 2, 4))
    if document.clock_unread:
        form = say(N_("{n} segments were not looked through for corrections of clocks."))
        yield blocks.text(form.format(n=document.clock_unread))


def _word_data(document: ReportDocument, speech: Speech) -> Iterator[Block]:
    say = speech.gettext
    yield blocks.heading(say(N_("Data and proof")))
    attached = say(N_("{table} with {n} readings and {document} are attached to this file."))
    yield blocks.text(attached.format(table=TABLE, document=DOCUMENT, n=document.readings))
    yield blocks.facts([(say(N_("SHA-256 of the readings")), document.readings_sha256)])
    proof = say(N_("Verify this file with “coldchain verify FILE --hub-key HEX”: any change of it is found."))
    yield blocks.text(proof)
    if document.log_parts:
        yield blocks.text(say(N_("The readings were sealed by the vehicles in these parts of their logs:")))
        head = [
            say(N_("Vehicle")),
            say(N_("Log")),
            say(N_("Segments")),
            say(N_("Configuration")),
            say(N_("Hash of the last")),
        ]
        yield blocks.table(head, _part_rows(document), (3, 3, 2, 2.6, 5))


def _part_rows(document: ReportDocument) -> Iterator[Sequence[str]]:
    for part in document.log_parts:
        first, last = part.config_versions
        versions = str(first) if first == last else f"{first}–{last}"
        yield part.gateway, part.epoch, f"{part.first_offset}–{part.last_offset}", versions, part.hash


_CLOCK = {
    "became trusted": N_("could be relied upon from here"),
    "stepped": N_("was set"),
    "lost trust": N_("could not be relied upon from here"),
    "step not followed": N_("a jump was not followed"),
}
