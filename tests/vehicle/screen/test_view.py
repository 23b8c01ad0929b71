"""From how things stand to words and numbers, as tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.core.configuration import Configuration
from gateway.core.custody import CustodyAct
from gateway.core.verdicts import Excursion, LifeLeft, Verdict
from gateway.language import ENGLISH, NORWEGIAN
from gateway.language.speech import plain
from gateway.vehicle.screen.doses import answer_for, say_dose
from gateway.vehicle.screen.view import ScreenView, list_deadlines, view_screen
from gateway.vehicle.state import BoxWord
from tests.vehicle.carried import breach, judgement
from tests.vehicle.screen.stages import NOW, NOW_MS, Stage, box_view, judged, make_configuration

MINUTE_MS = 60_000
OK = judged("DOSE-1", judgement())


async def shown(stage: Stage, *boxes: str) -> ScreenView:
    await stage.desk.move(CustodyAct.LOADED, boxes or [view.code for view in stage.boxes])
    return view_screen(stage.scene(), ENGLISH)


@pytest.mark.parametrize(
    ("state", "temperature_c", "word", "number"),
    [
        (BoxWord.OK, 4.6, "OK", "4.6 °C"),
        (BoxWord.WARN, 9.1, "Look", "9.1 °C"),
        (BoxWord.BREACH, -1.5, "Breach", "−1.5 °C"),
        (BoxWord.STALE, 4.6, "Stale", "–"),
        (BoxWord.UNKNOWN, None, "Silent", "–"),
    ],
)
async def test_each_box_has_one_word_and_one_number(
    state: BoxWord, temperature_c: float | None, word: str, number: str
) -> None:
    (tile,) = (await shown(Stage(boxes=(box_view(1, state, temperature_c),)))).tiles
    assert (tile.word, plain(tile.number)) == (word, number)


async def test_a_stale_box_says_what_it_was_and_how_long_ago() -> None:
    (tile,) = (await shown(Stage(boxes=(box_view(1, BoxWord.STALE, 5.0, 420),)))).tiles
    assert plain(tile.note) == "5.0 °C 7 min ago"


@pytest.mark.parametrize(
    ("number", "state", "told"),
    [
        (1, BoxWord.OK, []),
        (1, BoxWord.WARN, ["Close the lid of Box 1"]),
        (1, BoxWord.STALE, ["Nothing is heard from Box 1: see that the logger is inside"]),
        (2, BoxWord.OK, ["Deliver Box 2 before 14:20"]),
        (2, BoxWord.WARN, ["Close the lid of Box 2", "Deliver Box 2 before 14:20"]),
        (1, BoxWord.BREACH, ["Box 1: breach. No instruction is approved: call whoever sent it."]),
        (3, BoxWord.BREACH, ["Box 3: breach. Do what is approved:"]),
    ],
)
async def test_what_to_do_now(number: int, state: BoxWord, told: list[str]) -> None:
    view = await shown(Stage(boxes=(box_view(number, state),)))
    assert [task.text for task in view.tasks] == told


@pytest.mark.parametrize(
    ("number", "rules", "told"),
    [
        (2, ["hot"], ["Close the lid of Box 2", ""]),
        (2, ["frost"], ["Too cold in Box 2. No instruction is approved: call whoever sent it.", ""]),
        (3, ["frost"], ["Too cold in Box 3. Do what is approved:", "Do not open it."]),
        (
            3,
            ["frost", "hot"],
            [
                "In Box 3 it is too warm for some things and too cold for others. Do what is approved:",
                "Do not open it.",
            ],
        ),
    ],
)
async def test_nobody_is_told_to_close_the_lid_of_a_box_that_is_too_cold(
    number: int, rules: list[str], told: list[str]
) -> None:
    document = make_configuration().model_dump(mode="json")
    document["consignments"][0] |= {"carriage": [{"box": f"BOX-{number}", "begins": NOW.isoformat()}]}
    document["profiles"][0]["forbidden"] += [{"name": "frost", "below_c": 0}]
    lasting = tuple(Excursion(rule, NOW_MS, None, None, -1.0, 2.0, 2.0) for rule in rules)
    stage = Stage(
        boxes=(box_view(number, BoxWord.WARN, -1.0),),
        configuration=Configuration.model_validate(document),
        judgements={"C1": (judged("DOSE-1", judgement(excursions=lasting)),)},
    )
    task = (await shown(stage)).tasks[0]
    assert [task.text, task.instruction] == told


async def test_a_breach_shows_the_approved_instruction_first() -> None:
    boxes = (box_view(1, BoxWord.WARN), box_view(2), box_view(3, BoxWord.BREACH))
    first, second, third = (await shown(Stage(boxes=boxes))).tasks
    assert (first.instruction, plain(first.call)) == ("Do not open it.", "815 00 000")
    assert second.text.startswith("Close the lid")
    assert third.text.startswith("Deliver")


async def test_boxes_that_need_the_same_share_a_sentence() -> None:
    boxes = (
        box_view(1, BoxWord.WARN),
        box_view(2, BoxWord.WARN),
        box_view(3, BoxWord.STALE),
        box_view(4, BoxWord.WARN),
    )
    assert [task.text for task in (await shown(Stage(boxes=boxes))).tasks] == [
        "Close the lid of Box 1, Box 2 and Box 4",
        "Nothing is heard from Box 3: see that the logger is inside",
        "Deliver Box 2 before 14:20",
    ]


async def test_a_deadline_that_has_passed_says_so_and_another_day_is_named() -> None:
    stage = Stage(boxes=(box_view(2),))
    await stage.desk.move(CustodyAct.LOADED, ["BOX-2"])
    late = view_screen(replace(stage.scene(), now_ms=NOW_MS + 21 * MINUTE_MS), ENGLISH)
    assert late.tasks[0].text == "Deliver Box 2 now: 14:20 has passed"
    early = view_screen(replace(stage.scene(), now_ms=NOW_MS - 90 * MINUTE_MS), NORWEGIAN)
    assert plain(early.tasks[0].text) == "Lever Box 2 før kl. 14:20"
    assert list_deadlines(stage.scene(), ENGLISH) == ("Box 2: before 14:20",)


async def test_a_life_that_ends_first_is_the_deadline() -> None:
    life = LifeLeft("life", 0.5, 0.5, None, None, NOW_MS + 5 * MINUTE_MS)
    stage = Stage(boxes=(box_view(2),), judgements={"C1": (replace(OK, lives=(life,)),)})
    assert [task.text for task in (await shown(stage)).tasks] == ["Deliver Box 2 before 14:05"]


async def test_boxes_of_one_kind_are_told_apart() -> None:
    document = make_configuration().model_dump(mode="json")
    for box in document["boxes"][:2]:
        box["label"] = "Blue, 8 l"
    stage = Stage(boxes=(box_view(1, BoxWord.WARN), box_view(2), box_view(3)), configuration=Configuration(**document))
    view = await shown(stage)
    assert [tile.name for tile in view.tiles] == ["Blue, 8 l (BOX-1)", "Blue, 8 l (BOX-2)", "Box 3"]
    assert view.tasks[0].text == "Close the lid of Blue, 8 l (BOX-1)"


async def test_a_broken_box_that_fell_silent_shows_no_old_number_as_new() -> None:
    (tile,) = (await shown(Stage(boxes=(box_view(1, BoxWord.BREACH, 12.0, 420),)))).tiles
    assert (tile.word, tile.number, plain(tile.note)) == ("Breach", "–", "12.0 °C 7 min ago")


@pytest.mark.parametrize(
    ("call", "dial"),
    [
        ("the doctor on call, 815 00 000", "81500000"),
        ("+47 815 00 000", "+4781500000"),
        ("the ward", ""),
        ("815 00 000 or 815 00 001", ""),
    ],
)
async def test_whom_to_call_can_be_dialled(call: str, dial: str) -> None:
    document = make_configuration().model_dump(mode="json")
    document["boxes"][2]["instruction"]["call"] = call
    stage = Stage(boxes=(box_view(3, BoxWord.BREACH),), configuration=Configuration(**document))
    (task,) = (await shown(stage)).tasks
    assert (plain(task.call), task.dial) == (call, dial)


async def test_boxes_of_the_van_alongside_are_not_shown_as_loaded() -> None:
    stage = Stage(boxes=(box_view(1), box_view(2, BoxWord.BREACH)))
    view = await shown(stage, "BOX-1")
    assert [tile.code for tile in view.tiles] == ["BOX-1"]
    assert [tile.code for tile in view.elsewhere] == ["BOX-2"]
    assert view.tasks == ()
    await stage.desk.move(CustodyAct.HANDED_OVER, ["BOX-1"])
    assert view_screen(stage.scene(), ENGLISH).tiles == ()


async def test_a_new_breach_is_a_new_alarm_and_an_old_one_stays_the_same() -> None:
    stage = Stage(judgements={"C1": (judged("DOSE-1", judgement(breach())),)})
    first = (await shown(stage)).alarms
    stage.now_ms += MINUTE_MS
    assert view_screen(stage.scene(), ENGLISH).alarms == first
    assert len(first) == 1
    stage.judgements = {"C1": (judged("DOSE-1", judgement(breach(), breach(started_s=900))),)}
    assert len({*view_screen(stage.scene(), ENGLISH).alarms, *first}) == 2


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("accept", "Use before 21:40"),
        ("life", "Use before 18:00"),
        ("reject", "Do not give, call the pharmacy"),
        ("review", "Do not give, call the pharmacy"),
        ("breach", "Do not give, call the pharmacy"),
        ("expired", "Do not give, call the pharmacy"),
        ("insufficient", "Not checked"),
        ("not judged", "Not checked"),
        ("silent box", "Not checked"),
        ("unknown time", "Not checked"),
        ("no end", "Not checked"),
        ("left", "No longer monitored"),
        ("left broken", "Do not give, call the pharmacy"),
    ],
)
async def test_what_a_scanned_dose_shows(case: str, said: str) -> None:
    life = LifeLeft("life", 0.5, 0.5, None, None, NOW_MS + 240 * MINUTE_MS)
    verdicts = {"reject": Verdict.REJECT, "review": Verdict.REVIEW, "insufficient": Verdict.INSUFFICIENT_DATA}
    one = replace(OK, verdict=verdicts.get(case, Verdict.ACCEPT), lives=(life,) if case == "life" else ())
    if case in {"breach", "left broken"}:
        one = judged("DOSE-1", judgement(breach()))
    stage = Stage(judgements={} if case == "not judged" else {"C1": (one,)}, clock_trusted=case != "unknown time")
    if case == "silent box":
        stage.show(box_view(2, BoxWord.STALE))
    if case.startswith("left"):
        await stage.desk.hand_over_item("BOX-2", "C1", "DOSE-1")
    scene = stage.scene()
    consignment, item = scene.find_item("DOSE-1") or pytest.fail("it is there")
    if case == "no end":
        item = item.model_copy(update={"use_before": None})
    if case == "expired":
        scene = replace(scene, now_ms=NOW_MS + 461 * MINUTE_MS)
    assert say_dose(answer_for(consignment, item, scene), scene.now_ms, ENGLISH) == said


def test_a_moment_of_another_day_or_offset_is_written_out() -> None:
    until = NOW + timedelta(days=1)
    stage = Stage(configuration=make_configuration(), judgements={"C1": (OK,)})
    scene = stage.scene()
    consignment, item = scene.find_item("DOSE-1") or pytest.fail("it is there")
    dose = answer_for(consignment, item.model_copy(update={"use_before": until}), scene)
    assert say_dose(dose, NOW_MS, ENGLISH) == "Use before 16 Jun 2026 14:00 +02:00"
