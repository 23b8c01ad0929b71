"""Scans in each mode: what is answered, and what goes into the log."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from gateway.core.custody import UNIDENTIFIED, registered_consignments
from gateway.core.exposure import to_ms
from gateway.core.records import CustodyEvent, Registration
from gateway.language import ENGLISH
from gateway.vehicle.screen.access import HEADER
from gateway.vehicle.screen.scanning import Mode, Outcome, Scan, Scanner, Tone
from gateway.vehicle.settings import DriverSettings
from tests.vehicle.screen.stages import Stage

MINUTE_MS = 60_000


class Hands:
    """Whoever scans: keeps between two scans what the browser keeps."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.scanner = Scanner(stage.desk, stage.scene)
        self.box = self.holder = ""

    async def scan(self, mode: Mode, *codes: str) -> Outcome:
        for code in codes:
            outcome = await self.scanner.take(Scan(mode, code, self.box, self.holder), ENGLISH)
            self.box, self.holder = outcome.box, outcome.holder
        return outcome


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def hands(stage: Stage) -> Hands:
    return Hands(stage)


@pytest.mark.parametrize(
    ("mode", "act", "is_here"),
    [(Mode.LOAD, "loaded", True), (Mode.HAND_OVER, "handed_over", False), (Mode.RECEIVE, "received", True)],
)
async def test_boxes_change_hands_by_scanning(stage: Stage, hands: Hands, mode: Mode, act: str, is_here: bool) -> None:  # noqa: FBT001  a table
    outcome = await hands.scan(mode, "BADGE-7", "BOX-1")
    (event,) = stage.sealer.sealed
    assert isinstance(event, CustodyEvent)
    assert (event.act, event.box, event.holder) == (act, "BOX-1", "BADGE-7")
    assert stage.scene().is_here("BOX-1") is is_here
    assert (await hands.scanner.undo(outcome.undo, "", ENGLISH)).tone is Tone.PLAIN
    assert not stage.scene().is_here("BOX-1")


async def test_without_a_badge_custody_is_unidentified(stage: Stage, hands: Hands) -> None:
    outcome = await hands.scan(Mode.LOAD, "BOX-1")
    (event,) = stage.sealer.sealed
    assert isinstance(event, CustodyEvent)
    assert event.holder == UNIDENTIFIED
    assert outcome.text == "Badge: unidentified"


async def test_taking_over_a_shift_lists_boxes_and_deadlines(stage: Stage, hands: Hands) -> None:
    await hands.scan(Mode.LOAD, "BOX-1", "BOX-2")
    outcome = await hands.scan(Mode.SHIFT, "BADGE-8")
    assert outcome.lines == ("Box 1: no deadline", "Box 2: before 14:20")
    taken = [one for one in stage.sealer.sealed if isinstance(one, CustodyEvent) and one.act == "received"]
    assert [(one.box, one.holder) for one in taken] == [("BOX-1", "BADGE-8"), ("BOX-2", "BADGE-8")]
    await hands.scanner.undo(outcome.undo, "", ENGLISH)
    assert stage.scene().is_here("BOX-1")
    assert stage.scene().is_here("BOX-2")


async def test_three_tubes_in_a_home_each_with_its_time(stage: Stage, hands: Hands) -> None:
    await hands.scan(Mode.HOME, "BOX-1")
    made = [await hands.scan(Mode.HOME, code) for code in ("T-1", "T-2", "T-3")]
    await hands.scanner.correct(made[1].undo, 30, ENGLISH)
    await hands.scanner.undo(made[2].undo, "", ENGLISH)
    (consignment,) = registered_consignments(stage.desk.records)
    first, second = consignment.items
    assert (first.code, second.code) == ("T-1", "T-2")
    assert [one.carriage[0].box for one in consignment.items] == ["BOX-1", "BOX-1"]
    assert second.collected_at is not None
    assert to_ms(second.carriage[0].begins) - to_ms(second.collected_at) == 30 * MINUTE_MS
    assert [(d.low_c, d.high_c) for d in second.declared] == [(18, 25)]
    assert stage.scene().find_item("T-1") is not None
    assert stage.scene().is_here("BOX-1")


async def test_a_tube_scanned_twice_is_one_tube(stage: Stage, hands: Hands) -> None:
    first = await hands.scan(Mode.HOME, "BOX-1", "T-1")
    await hands.scanner.correct(first.undo, 15, ENGLISH)
    again = await hands.scan(Mode.HOME, "T-1")
    assert (again.undo, again.chosen) == (first.undo, 15)
    assert len([one for one in stage.sealer.sealed if isinstance(one, Registration)]) == 2


async def test_the_next_home_goes_on_with_the_box_and_the_next_trip_does_not(stage: Stage, hands: Hands) -> None:
    await hands.scan(Mode.HOME, "BOX-1", "T-1")
    await hands.scan(Mode.HOME, "BOX-1", "T-2")
    await hands.scan(Mode.HAND_OVER, "BOX-1")
    await hands.scan(Mode.HOME, "BOX-1", "T-3")
    assert [len(one.items) for one in registered_consignments(stage.desk.records)] == [2, 1]


async def test_gs1_bar_codes_name_boxes_and_tubes_as_a_scanner_sends_them(stage: Stage, hands: Hands) -> None:
    grai, sgtin = "800307038010068980BOX-17", "010703801006898021X-9"
    known = stage.configuration
    boxes = (known.boxes[0].model_copy(update={"code": grai}), *known.boxes[1:])
    rules = (known.code_rules[0].model_copy(update={"prefix": "01"}),)
    stage.configuration = known.model_copy(update={"boxes": boxes, "code_rules": rules})
    stage.boxes = (stage.boxes[0].model_copy(update={"code": grai}),)
    packed = await hands.scan(Mode.HOME, f"]C1{grai}", "]d20107038010068980" + "21X-9\x1d10LOT")
    assert (packed.item, packed.box) == (sgtin, grai)
    assert (await hands.scan(Mode.HOME, "(01)07038010068980(21)X-9")).undo == packed.undo
    assert (await hands.scan(Mode.LOOK, "800307038010068981BOX-17")).text.startswith("This looks like a GS1 code")


@pytest.mark.parametrize(
    ("mode", "codes", "title"),
    [
        (Mode.HOME, ["T-1"], "Scan the box first"),
        (Mode.HOME, ["BOX-1", "X-1"], "Unknown code"),
        (Mode.LOOK, ["X-1"], "Not checked"),
        (Mode.LOOK, ["DOSE-1"], "Not checked"),
        (Mode.LOOK, ["?"], "This is no code"),
        (Mode.LOOK, ["13017212405"], "This is no code"),
        (Mode.SHIFT, ["BADGE-1"], "Nothing is loaded in this vehicle"),
    ],
)
async def test_what_is_not_known_writes_nothing(
    stage: Stage, hands: Hands, mode: Mode, codes: list[str], title: str
) -> None:
    assert (await hands.scan(mode, *codes)).title == title
    assert stage.sealer.sealed == []


async def test_after_hand_over_a_dose_is_no_longer_monitored(stage: Stage, hands: Hands) -> None:
    outcome = await hands.scan(Mode.HAND_OVER, "BADGE-9", "DOSE-1")
    assert outcome.text == "No longer monitored"
    assert (await hands.scan(Mode.LOOK, "DOSE-1")).title == "No longer monitored"
    await hands.scanner.undo(outcome.undo, "", ENGLISH)
    assert (await hands.scan(Mode.LOOK, "DOSE-1")).title == "Not checked"


# --- who reaches it


def caller(stage: Stage, host: str = "127.0.0.1", url: str = "http://127.0.0.1:8088") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(stage.app(), client=(host, 1)), base_url=url)


SCAN = {"mode": "load", "code": "BOX-1"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({HEADER: "1"}, 200),
        ({HEADER: "1", "Origin": "http://127.0.0.1:8088"}, 200),
        ({}, 403),
        ({HEADER: "1", "Origin": "http://evil.example"}, 403),
        ({HEADER: "1", "Origin": "null"}, 403),
        ({HEADER: "1", "Host": "evil.example"}, 421),
    ],
)
async def test_another_sites_page_can_write_nothing(stage: Stage, headers: dict[str, str], status: int) -> None:
    async with caller(stage) as client:
        assert (await client.post("/screen/scan", json=SCAN, headers=headers)).status_code == status
    assert len(stage.sealer.sealed) == (status == 200)


async def test_another_device_says_the_pin_first() -> None:
    stage = Stage(settings=DriverSettings(host="10.42.0.1", pin=SecretStr("482915")))
    async with caller(stage, "10.42.0.7", "http://10.42.0.1:8088") as client:
        assert (await client.get("/screen/now")).status_code == 401
        assert (await client.post("/screen/scan", json=SCAN, headers={HEADER: "1"})).status_code == 401
        assert (await client.get("/screen")).headers["location"] == "/pin"
        assert (await client.post("/pin", data={"pin": "000000"})).status_code == 403
        assert (await client.post("/pin", data={"pin": "482915"})).status_code == 303
        assert (await client.get("/screen/now")).status_code == 200
        policy = (await client.get("/screen")).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


async def test_after_five_wrong_pins_none_is_right_for_a_minute() -> None:
    stage = Stage(settings=DriverSettings(host="10.42.0.1", pin=SecretStr("482915")))
    async with caller(stage, "10.42.0.7", "http://10.42.0.1:8088") as client:
        for _ in range(5):
            await client.post("/pin", data={"pin": "111111"})
        assert (await client.post("/pin", data={"pin": "482915"})).status_code == 403
        stage.now_ms += MINUTE_MS
        assert (await client.post("/pin", data={"pin": "482915"})).status_code == 303


def test_a_screen_for_other_devices_needs_a_pin() -> None:
    with pytest.raises(ValidationError, match="pin is needed"):
        DriverSettings(host="0.0.0.0")  # noqa: S104  what is refused
