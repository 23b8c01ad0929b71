"""The screen in words and numbers: of each box one word and one number, and what to do now. Pure.

Whoever drives never judges: at a breach the screen shows the instruction that was approved for the box, or whom to ask.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from gateway.language.speech import N_, NO_BREAK, Speech
from gateway.vehicle.screen.doses import say_time
from gateway.vehicle.screen.scene import Scene
from gateway.vehicle.state import STALE_S, BoxView, BoxWord

_WORDS = {
    BoxWord.OK: N_("OK"),
    BoxWord.WARN: N_("Look"),
    BoxWord.BREACH: N_("Breach"),
    BoxWord.STALE: N_("Stale"),
    BoxWord.UNKNOWN: N_("Silent"),
}
_BREACH, _WARN, _LATE, _SILENT, _DELIVER = range(5)
"""What comes first among the things to do."""
_TELEPHONE = re.compile(r"\+?\d(?: ?\d){4,14}")
_GROUPS = re.compile(r"(?<=\d) (?=\d)")


@dataclass(frozen=True, slots=True)
class Tile:
    """One box. `note` is a deadline, or for how long nothing was heard."""

    code: str
    name: str
    state: BoxWord
    word: str
    number: str
    note: str
    items: int


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do; `instruction` and `call` are the organisation's own, approved words.

    `dial` is the telephone number in `call`, empty where there is not exactly one.
    """

    state: BoxWord
    text: str
    instruction: str = ""
    call: str = ""
    dial: str = ""


@dataclass(frozen=True, slots=True)
class ScreenView:
    """Everything shown. `alarms` name the breaches of boxes here: one that is new is heard.

    moment   when this was true, in the reader's words
    is_told  whether the hub has told this vehicle its boxes
    """

    tiles: tuple[Tile, ...]
    elsewhere: tuple[Tile, ...]
    tasks: tuple[Task, ...]
    alarms: tuple[str, ...]
    moment: str
    is_time_trusted: bool
    is_told: bool


def view_screen(scene: Scene, speech: Speech) -> ScreenView:
    """Return what is shown of a scene."""
    here = [view for view in scene.boxes if scene.is_here(view.code)]
    names = scene.names()
    needs = sorted((need for view in here for need in _needs(view, names, scene, speech)), key=lambda need: need.rank)
    return ScreenView(
        tiles=tuple(_tile(view, names, scene, speech) for view in here),
        elsewhere=tuple(_tile(view, names, scene, speech) for view in scene.boxes if not scene.is_here(view.code)),
        tasks=tuple(_join(needs, speech)),
        alarms=tuple(alarm for view in here for alarm in _alarms(view.code, scene)),
        moment=speech.clock_time(scene.now_ms),
        is_time_trusted=scene.clock_trusted,
        is_told=scene.configuration is not None,
    )


def list_deadlines(scene: Scene, speech: Speech, boxes: Collection[str] | None = None) -> tuple[str, ...]:
    """Return each box that is here with its deadline: what whoever takes over a shift is told. Of some, or of all."""
    lines, names = [], scene.names()
    for view in scene.boxes:
        if scene.is_here(view.code) and (boxes is None or view.code in boxes):
            due_ms = scene.deadline_ms(view.code)
            due = speech.gettext(N_("no deadline")) if due_ms is None else _before(due_ms, scene, speech)
            lines.append(f"{names.get(view.code, view.code)}: {due}")
    return tuple(lines)


def say_state(view: BoxView, speech: Speech) -> str:
    """Return a box's word and number in one line."""
    return f"{speech.gettext(_WORDS[view.state])}, {_number(view, speech)}"


@dataclass(frozen=True, slots=True)
class _Need:
    """What one box needs. `rank` is what comes first, then by when; `task.text` has a place for its name."""

    rank: tuple[int, int]
    name: str
    task: Task


def _tile(view: BoxView, names: Mapping[str, str], scene: Scene, speech: Speech) -> Tile:
    return Tile(
        code=view.code,
        name=names.get(view.code, view.label or view.code),
        state=view.state,
        word=speech.gettext(_WORDS[view.state]),
        number=_number(view, speech),
        note=_note(view, scene, speech),
        items=sum(1 for _ in scene.items_in(view.code)),
    )


def _number(view: BoxView, speech: Speech) -> str:
    return "–" if _is_old(view) else speech.celsius(view.temperature_c)


def _is_old(view: BoxView) -> bool:
    """Whether its temperature is not that of now; a box in breach may have fallen silent too."""
    return view.state in {BoxWord.STALE, BoxWord.UNKNOWN} or view.age_s is None or view.age_s > STALE_S


def _note(view: BoxView, scene: Scene, speech: Speech) -> str:
    if _is_old(view) and view.age_s is not None and view.temperature_c is not None:
        form = speech.gettext(N_("{temperature} {duration} ago"))
        heard, ago = speech.celsius(view.temperature_c), speech.duration(view.age_s / 60)
        return form.format(temperature=heard, duration=ago)
    due_ms = scene.deadline_ms(view.code)
    return "" if due_ms is None else _before(due_ms, scene, speech)


def _before(due_ms: int, scene: Scene, speech: Speech) -> str:
    return speech.gettext(N_("before {time}")).format(time=say_time(due_ms, scene.now_ms, speech))


def _join(needs: Iterable[_Need], speech: Speech) -> Iterator[Task]:
    """Yield one task for all boxes that need the same: a dozen open lids are one sentence."""
    names: dict[tuple[tuple[int, int], Task], list[str]] = {}
    for need in needs:
        names.setdefault((need.rank, need.task), []).append(need.name)
    for (_, task), those in names.items():
        yield replace(task, text=task.text.format(box=speech.listed(those)))


def _needs(view: BoxView, names: Mapping[str, str], scene: Scene, speech: Speech) -> Iterator[_Need]:
    name, say = names.get(view.code, view.code), speech.gettext
    match view.state:
        case BoxWord.BREACH:
            yield _Need((_BREACH, 0), name, _instruct(view, say(N_("{box}: breach.")), scene, speech))
        case BoxWord.WARN:
            yield _Need((_WARN, 0), name, _warn(view, scene, speech))
        case BoxWord.STALE | BoxWord.UNKNOWN:
            form = N_("Nothing is heard from {box}: see that the logger is inside")
            yield _Need((_SILENT, 0), name, Task(BoxWord.STALE, say(form)))
        case BoxWord.OK:
            pass
    due_ms = scene.deadline_ms(view.code)
    if due_ms is None:
        return
    is_late = due_ms <= scene.now_ms
    form = say(N_("Deliver {box} now: {time} has passed") if is_late else N_("Deliver {box} before {time}"))
    text = form.replace("{time}", say_time(due_ms, scene.now_ms, speech))
    yield _Need((_LATE if is_late else _DELIVER, due_ms), name, Task(BoxWord.WARN if is_late else BoxWord.OK, text))


def _warn(view: BoxView, scene: Scene, speech: Speech) -> Task:
    """Return what to do about a box beyond a limit. A lid keeps warmth out; against cold, what is approved."""
    sides = scene.sides_of(view.code)
    if "below" not in sides:
        return Task(view.state, speech.gettext(N_("Close the lid of {box}")))
    form = N_("Too cold in {box}.")
    if "above" in sides:
        form = N_("In {box} it is too warm for some things and too cold for others.")
    return _instruct(view, speech.gettext(form), scene, speech)


def _instruct(view: BoxView, said: str, scene: Scene, speech: Speech) -> Task:
    """Return what is approved for a box, or whom to ask."""
    box = scene.box(view.code)
    if box is None or box.instruction is None:
        ask = speech.gettext(N_("No instruction is approved: call whoever sent it."))
        return Task(view.state, f"{said} {ask}")
    do = speech.gettext(N_("Do what is approved:"))
    call = box.instruction.call
    return Task(view.state, f"{said} {do}", box.instruction.do, _GROUPS.sub(NO_BREAK, call), _dial(call))


def _dial(call: str) -> str:
    """Return the telephone number in whom to call, as a telephone dials it; empty if there is none, or several."""
    found = _TELEPHONE.findall(call)
    return found[0].replace(" ", "") if len(found) == 1 else ""


def _alarms(box: str, scene: Scene) -> Iterator[str]:
    """Yield a short name of each breach in a box: the same for as long as it is the same breach."""
    for one in sorted(scene.judged_in(box), key=lambda one: (one.consignment, one.item, one.examination)):
        for breach in one.breaches:
            told = f"{one.consignment} {one.item} {one.examination} {breach.rule} {breach.started_at_ms}"
            yield sha256(told.encode()).hexdigest()[:12]
