"""What a scan leads to: a box, an item, a badge, in the mode that the screen is in. Acts go to the custody desk.

The screen keeps nothing between two scans but what the browser sends along: which mode, which box, whose badge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.core.configuration import CodeRule, Configuration, Consignment, Item
from gateway.core.custody import UNIDENTIFIED, CustodyAct, rule_of
from gateway.core.errors import InputError
from gateway.core.identifiers import check_code
from gateway.core.profiles import Kind
from gateway.core.scans import codes_of, is_misread, own_code_of
from gateway.language.speech import N_, Speech
from gateway.vehicle.custody import CustodyDesk
from gateway.vehicle.screen.doses import DoseWord, answer_for, say_dose
from gateway.vehicle.screen.scene import Scene
from gateway.vehicle.screen.view import list_deadlines, say_state

AGO_MIN = (0, 15, 30, 60)
"""How long before its packing a tube was taken: what a nurse in a home can choose between."""


class Mode(StrEnum):
    """What the screen is used for at this moment."""

    LOOK = "look"
    LOAD = "load"
    HAND_OVER = "hand_over"
    RECEIVE = "receive"
    SHIFT = "shift"
    HOME = "home"


class Tone(StrEnum):
    """How an answer looks and sounds."""

    GOOD = "good"
    PLAIN = "plain"
    DOUBT = "doubt"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan, with what the screen knew before it."""

    mode: Mode
    code: str
    box: str = ""
    holder: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is shown after a scan.

    undo    the act that can be taken back; empty if there is none
    chosen  of a tube just packed: how many minutes ago it was taken; None where that is not asked
    box, holder  what the screen knows from now on; box_name is what people call that box
    """

    tone: Tone
    title: str
    text: str = ""
    lines: tuple[str, ...] = ()
    undo: str = ""
    chosen: int | None = None
    item: str = ""
    box: str = ""
    box_name: str = ""
    holder: str = ""


_MOVES = {
    Mode.LOAD: (CustodyAct.LOADED, N_("{box} is loaded")),
    Mode.HAND_OVER: (CustodyAct.HANDED_OVER, N_("{box} is handed over")),
    Mode.RECEIVE: (CustodyAct.RECEIVED, N_("{box} is received")),
}
_TONES = {
    DoseWord.USE_BEFORE: Tone.GOOD,
    DoseWord.DO_NOT_GIVE: Tone.STOP,
    DoseWord.NOT_CHECKED: Tone.DOUBT,
    DoseWord.NOT_MONITORED: Tone.DOUBT,
}


class Scanner:
    """Answers scans. `read_scene` is asked once before and, where something is listed, once after an act."""

    def __init__(self, desk: CustodyDesk, read_scene: Callable[[], Scene]) -> None:
        self._desk = desk
        self._read_scene = read_scene

    async def take(self, scan: Scan, speech: Speech) -> Outcome:
        """Answer a scan, once what it says is durable; raises sqlite3.Error while the disk refuses."""
        scene = self._read_scene()
        scan = _resolved(replace(scan, code=scan.code.strip()), scene)
        box, holder = _kept(scan, scene)
        outcome = await self._answer(scan, scene, speech)
        return replace(outcome, box=box, box_name=scene.name_of(box) if box else "", holder=holder)

    async def undo(self, id_: str, holder: str, speech: Speech) -> Outcome:
        """Take an act back."""
        known = self._desk.find(id_)
        if known is None or not await self._desk.undo(id_, holder or UNIDENTIFIED):
            return Outcome(Tone.DOUBT, speech.gettext(N_("There is nothing to undo")))
        return Outcome(Tone.PLAIN, speech.gettext(N_("Undone: {code}")).format(code=known.item or known.box))

    async def correct(self, id_: str, ago_min: int, speech: Speech) -> Outcome:
        """Say anew how long ago a tube was taken."""
        corrected = await self._desk.correct(id_, ago_min)
        if corrected is None:
            return Outcome(Tone.DOUBT, speech.gettext(N_("There is nothing to undo")))
        return self._packed(corrected.item, corrected.box, id_, ago_min, speech)

    # --- by what was scanned

    async def _answer(self, scan: Scan, scene: Scene, speech: Speech) -> Outcome:
        configuration = scene.configuration
        if configuration is None:
            return Outcome(Tone.DOUBT, speech.gettext(N_("The hub has not told this vehicle its boxes yet")))
        if is_misread(scan.code):
            text = N_("This looks like a GS1 code, but its check digit is wrong: scan it again.")
            return Outcome(Tone.DOUBT, speech.gettext(N_("This is no code")), speech.gettext(text))
        try:
            check_code("code", scan.code)
        except InputError:
            text = N_("Scan it again, or type the code as it stands on the label. No names, no identity numbers.")
            return Outcome(Tone.DOUBT, speech.gettext(N_("This is no code")), speech.gettext(text))
        return await self._take_code(scan, scene, configuration, speech)

    async def _take_code(self, scan: Scan, scene: Scene, configuration: Configuration, speech: Speech) -> Outcome:
        if is_badge(scan.code, configuration):
            return await self._take_badge(scan, scene, speech)
        if scene.box(scan.code) is not None:
            return await self._take_boxes((scan.code,), scan, scene, speech)
        consignment = scene.consignment(scan.code)
        if consignment is not None:
            boxes = {scene.box_of(consignment, item) for item in consignment.items}
            return await self._take_boxes(tuple(sorted(box for box in boxes if box)), scan, scene, speech)
        found = scene.find_item(scan.code)
        if found is not None:
            return await self._take_item(*found, scan, scene, speech)
        return await self._take_new(scan, scene, rule_of(scan.code, configuration.code_rules), speech)

    async def _take_badge(self, scan: Scan, scene: Scene, speech: Speech) -> Outcome:
        say = speech.gettext
        if scan.mode is not Mode.SHIFT:
            return Outcome(Tone.GOOD, say(N_("Badge read")), say(N_("It counts for what is scanned next.")))
        boxes = [view.code for view in scene.boxes if scene.is_here(view.code)]
        if not boxes:
            return Outcome(Tone.PLAIN, say(N_("Nothing is loaded in this vehicle")))
        id_ = await self._desk.move(CustodyAct.RECEIVED, boxes, scan.code)
        title = say(N_("The shift is taken over"))
        return Outcome(Tone.GOOD, title, lines=list_deadlines(self._read_scene(), speech), undo=id_)

    async def _take_boxes(self, boxes: tuple[str, ...], scan: Scan, scene: Scene, speech: Speech) -> Outcome:
        say, name = speech.gettext, ", ".join(map(scene.name_of, boxes))
        if scan.mode in _MOVES and boxes:
            act, form = _MOVES[scan.mode]
            id_ = await self._desk.move(act, boxes, scan.holder or UNIDENTIFIED)
            whose = say(N_("Badge: {badge}")).format(badge=scan.holder or say(N_("unidentified")))
            return Outcome(Tone.GOOD if scan.holder else Tone.DOUBT, say(form).format(box=name), whose, undo=id_)
        if scan.mode is Mode.HOME and boxes:
            if not any(view.code in boxes for view in scene.boxes):
                return Outcome(Tone.DOUBT, name, say(N_("No logger is enrolled for this box")))
            return Outcome(Tone.GOOD, name, say(N_("Now scan the tubes")))
        heard = [say_state(view, speech) for view in scene.boxes if view.code in boxes]
        text = ("" if heard else say(N_("No logger is enrolled for this box"))) if len(boxes) == 1 else ""
        away = "" if any(map(scene.is_here, boxes)) else say(N_("It is not loaded here"))
        told = ". ".join(filter(None, (heard[0] if len(heard) == len(boxes) == 1 else text, away)))
        return Outcome(Tone.PLAIN, name, told, list_deadlines(scene, speech, boxes))

    async def _take_item(
        self, consignment: Consignment, item: Item, scan: Scan, scene: Scene, speech: Speech
    ) -> Outcome:
        box = scene.box_of(consignment, item) or ""
        if scan.mode is Mode.HAND_OVER and item.code not in scene.left:
            id_ = await self._desk.hand_over_item(box, consignment.code, item.code, scan.holder or UNIDENTIFIED)
            title = speech.gettext(N_("{item} is handed over")).format(item=item.code)
            return Outcome(Tone.GOOD, title, speech.gettext(N_("No longer monitored")), undo=id_, item=item.code)
        if item.kind is Kind.MEDICINE:
            dose = answer_for(consignment, item, scene)
            return Outcome(_TONES[dose.word], say_dose(dose, scene.now_ms, speech), item.code, item=item.code)
        known = self._desk.registration_of(item.code)
        if known is not None and scan.mode is Mode.HOME:
            ago_min = (known.packed_at_ms - (known.collected_at_ms or known.packed_at_ms)) // 60_000
            return self._packed(item.code, known.box, known.id, ago_min, speech)
        if item.code in scene.left:
            return Outcome(Tone.DOUBT, item.code, speech.gettext(N_("No longer monitored")))
        return Outcome(Tone.PLAIN, item.code, speech.gettext(N_("In {box}")).format(box=scene.name_of(box)))

    async def _take_new(self, scan: Scan, scene: Scene, rule: CodeRule | None, speech: Speech) -> Outcome:
        say = speech.gettext
        if rule is None or scan.mode is not Mode.HOME:
            # A dose that nobody registered is one too; so it says what every dose says of which nothing is known.
            title = N_("Not checked") if scan.mode in {Mode.LOOK, Mode.HAND_OVER} else N_("Unknown code")
            return Outcome(Tone.DOUBT, say(title), say(N_("{code} is not known here")).format(code=scan.code))
        if scene.box(scan.box) is None:
            return Outcome(Tone.DOUBT, say(N_("Scan the box first")), scan.code)
        id_ = await self._desk.register(scan.box, scan.code, rule, 0, scan.holder or UNIDENTIFIED)
        return self._packed(scan.code, scan.box, id_, 0, speech)

    def _packed(self, item: str, box: str, id_: str, ago_min: int, speech: Speech) -> Outcome:
        text = speech.gettext(N_("In {box}")).format(box=self._read_scene().name_of(box))
        return Outcome(Tone.GOOD, item, text, undo=id_, chosen=ago_min, item=item, box=box)


def is_badge(code: str, configuration: Configuration) -> bool:
    """Say whether a code is a badge's."""
    return code.startswith(configuration.badges) if configuration.badges else False


def _resolved(scan: Scan, scene: Scene) -> Scan:
    """Return the scan with the code that is known here for it, or under which a GS1 mark would be registered."""
    if scene.configuration is None or is_badge(scan.code, scene.configuration):
        return scan
    known = (code for code in codes_of(scan.code) if scene.knows(code))
    return replace(scan, code=next(known, own_code_of(scan.code)))


def _kept(scan: Scan, scene: Scene) -> tuple[str, str]:
    """Return what the screen knows after a scan: the box that was scanned last, and whose badge."""
    if scene.configuration is None:
        return scan.box, scan.holder
    box = scan.code if scene.box(scan.code) is not None else scan.box
    return box, scan.code if is_badge(scan.code, scene.configuration) else scan.holder
