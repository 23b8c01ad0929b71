"""What a scanned dose shows. It never says that a dose is good: only until when, that it is not, or that nobody knows.

Pure. Whoever scans decides nothing: what is broken or in doubt goes to the pharmacy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.core.configuration import Consignment, Item
from gateway.core.exposure import to_ms
from gateway.core.verdicts import Judgement, Verdict, worst
from gateway.language.speech import N_, Speech
from gateway.vehicle.screen.scene import Scene
from gateway.vehicle.state import BoxWord


class DoseWord(StrEnum):
    """The four things that can be said."""

    USE_BEFORE = "use_before"
    DO_NOT_GIVE = "do_not_give"
    NOT_CHECKED = "not_checked"
    NOT_MONITORED = "not_monitored"


@dataclass(frozen=True, slots=True)
class Dose:
    """The answer; `before_ms` only of USE_BEFORE."""

    word: DoseWord
    before_ms: int | None = None


def answer_for(consignment: Consignment, item: Item, scene: Scene) -> Dose:
    """Return what is said of a dose now."""
    judged = scene.judgements_of(consignment, item)
    if any(one.verdict in {Verdict.REJECT, Verdict.REVIEW} or one.breaches for one in judged):
        return Dose(DoseWord.DO_NOT_GIVE)
    if item.code in scene.left:
        return Dose(DoseWord.NOT_MONITORED)
    ends = [to_ms(item.use_before)] if item.use_before is not None else []
    ends += [life.expires_at_ms for one in judged for life in one.lives if life.expires_at_ms is not None]
    if ends and min(ends) <= scene.now_ms:
        return Dose(DoseWord.DO_NOT_GIVE)
    if not ends or not _is_watched(consignment, item, scene, judged):
        return Dose(DoseWord.NOT_CHECKED)
    return Dose(DoseWord.USE_BEFORE, min(ends))


def _is_watched(consignment: Consignment, item: Item, scene: Scene, judged: list[Judgement]) -> bool:
    """Whether all that must be known is: a verdict on each examination, a box that is heard, and the time."""
    box = scene.box_of(consignment, item)
    view = next((view for view in scene.boxes if view.code == box), None)
    return (
        scene.clock_trusted
        and view is not None
        and view.state in {BoxWord.OK, BoxWord.WARN}
        and len({one.examination for one in judged}) == len({e.code for e in item.examinations})
        and worst([one.verdict for one in judged]) is Verdict.ACCEPT
    )


def say_dose(dose: Dose, now_ms: int, speech: Speech) -> str:
    """Return the answer in words."""
    match dose.word:
        case DoseWord.USE_BEFORE:
            form = speech.gettext(N_("Use before {time}"))
            return form.format(time=say_time(dose.before_ms or 0, now_ms, speech))
        case DoseWord.DO_NOT_GIVE:
            return speech.gettext(N_("Do not give, call the pharmacy"))
        case DoseWord.NOT_CHECKED:
            return speech.gettext(N_("Not checked"))
        case DoseWord.NOT_MONITORED:
            return speech.gettext(N_("No longer monitored"))


def say_time(at_ms: int, now_ms: int, speech: Speech) -> str:
    """Return "21:40", with its day and offset if that is not plain."""
    is_plain = speech.day(at_ms) == speech.day(now_ms) and speech.offset(at_ms) == speech.offset(now_ms)
    return speech.gettext(N_("{clock}")).format(clock=speech.clock_time(at_ms)) if is_plain else speech.moment(at_ms)
