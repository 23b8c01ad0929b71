"""Boxes, loggers and gateways, set up by their pages."""

from __future__ import annotations

import re

import pytest

from gateway.core.configuration import Box, BoxState, LoggerKind
from gateway.hub.access.roles import Role
from gateway.hub.registry.enrolment import EnrolmentRefusedError
from gateway.hub.rooms import Rooms
from tests.hub.setup.forms import Visitor, faults_of, value_of, words_of
from tests.hub.vans import LOGGER, sqlite_only

NUMBER_OF_NOBODY = "01010750160"
"""Its check digits are right; it belongs to the authorities' synthetic population or to nobody."""


def box_of(rooms: Rooms, code: str) -> Box:
    return next(box for box in rooms.registry.boxes() if box.code == code)


async def test_a_box_is_registered_with_its_instruction_and_changed(rooms: Rooms, visitor: Visitor) -> None:
    form = {
        "code": "BOX-2",
        "label": "EPS 21 l",
        "state": "ready",
        "profile": "potassium",
        "gateways": "van-1",
        "do": "Close the lid",
        "call": "22 00 00 00",
        "approved_by": "quality",
        "approved_at": "2026-06-01",
    }
    answer = await visitor.send("/setup/boxes/edit", form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/setup/boxes?saved=BOX-2")
    box = box_of(rooms, "BOX-2")
    assert (box.default_profile, box.gateways, box.state) == ("potassium", ("van-1",), BoxState.READY)
    assert box.instruction is not None
    assert (box.instruction.do, box.instruction.call) == ("Close the lid", "22 00 00 00")
    assert ("administrator", "box BOX-2", "") in visitor.acts("register")
    page = words_of(await visitor.get("/setup/boxes?saved=BOX-2"))
    assert "BOX-2 is saved." in page
    assert "Close the lid" in page
    changed = form | {"known": "BOX-2", "state_seen": "ready", "label": "EPS 21 l", "alike": "1"}
    assert (await visitor.send("/setup/boxes/edit", changed | {"call": "33 00 00 00"})).status_code == 303
    told = [box_of(rooms, code).instruction for code in ("BOX-1", "BOX-2")]
    assert [one and one.call for one in told] == ["33 00 00 00", "33 00 00 00"]


@sqlite_only
async def test_what_moved_a_box_while_its_form_was_open_counts(rooms: Rooms, visitor: Visitor) -> None:
    assert box_of(rooms, "BOX-1").state is BoxState.LOADED
    form = {"known": "BOX-1", "state_seen": "ready", "state": "ready", "label": "new"}
    await visitor.send("/setup/boxes/edit", form)
    assert (box_of(rooms, "BOX-1").label, box_of(rooms, "BOX-1").state) == ("new", BoxState.LOADED)
    await visitor.send("/setup/boxes/edit", form | {"state": "empty"})
    assert box_of(rooms, "BOX-1").state is BoxState.EMPTY


@sqlite_only
async def test_a_box_is_refused_at_each_field_and_keeps_what_was_typed(visitor: Visitor) -> None:
    form = {
        "code": "BOX-1",
        "label": f"<b>{NUMBER_OF_NOBODY}",
        "state": "flying",
        "profile": "none-such",
        "gateways": "VAN-9",
        "do": "Close <it>",
        "call": "",
        "approved_at": "2026-13-01",
    }
    answer = await visitor.send("/setup/boxes/edit", form)
    assert answer.status_code == 422
    assert faults_of(answer) == {
        "code": "A box of this code is registered already.",
        "label": "This looks like a national identity number. Identities of patients do not belong here: use the code"
        " of the item or consignment.",
        "state": "Choose one of those offered.",
        "profile": "There is no profile of this name.",
        "gateways": "No gateway VAN-9 is enrolled.",
        "call": "This is missing.",
        "approved_by": "This is missing.",
        "approved_at": "There is no such day.",
    }
    assert (value_of(answer, "code"), value_of(answer, "do")) == ("BOX-1", "Close <it>")
    assert "<b>0101" not in answer.text
    norwegian = await visitor.http.post(
        "/setup/boxes/edit", data=form | {"csrf": visitor.csrf}, headers={"Accept-Language": "nb"}
    )
    assert faults_of(norwegian)["call"] == "Dette mangler."


async def test_a_logger_is_registered_with_a_certificate_that_bears_a_comma(rooms: Rooms, visitor: Visitor) -> None:
    form = {
        "address": "C0:FF:EE:00:00:09",
        "kind": "bthome",
        "box": "BOX-1",
        "bindkey": "0123456789abcdef" * 2,
        "since": "2026-06-20T10:00",
        "certificate": "K-118",
        "calibrated_at": "2026-01-15",
        "due_at": "2027-01-15",
        "offset_c": "−0,12",
        "uncertainty_c": "0,15",
    }
    answer = await visitor.send("/setup/loggers/new", form)
    assert answer.status_code == 303, faults_of(answer)
    logger = next(one for one in rooms.registry.loggers() if one.address == form["address"])
    assert logger.calibration is not None
    assert (logger.kind, logger.box, logger.memory_interval_s) == (LoggerKind.BTHOME, "BOX-1", None)
    assert (logger.calibration.offset_c, logger.calibration.uncertainty_c) == (-0.12, 0.15)
    page = await visitor.get(answer.headers["location"])
    assert "K-118" in page.text
    assert "0123456789abcdef" not in page.text
    corrected = {"address": form["address"], "kind": "bthome", "box": "BOX-1", "model": "SBHT", "reason": "typed wrong"}
    assert (await visitor.send("/setup/loggers/change", corrected)).status_code == 303
    known = next(one for one in rooms.registry.loggers() if one.address == form["address"])
    assert known.bindkey is not None
    assert known.bindkey.get_secret_value() == form["bindkey"]
    assert (known.model, known.since) == ("SBHT", logger.since)
    assert ("administrator", "logger C0:FF:EE:00:00:09", "typed wrong") in visitor.acts("register")


@sqlite_only
async def test_a_certificate_is_refused_at_its_fields(visitor: Visitor) -> None:
    form = {"address": LOGGER, "certificate": "K-2", "calibrated_at": "2026-06-02", "due_at": "2026-06-01"}
    answer = await visitor.send("/setup/loggers/certificate", form | {"offset_c": "9", "uncertainty_c": "some"})
    assert answer.status_code == 422
    assert faults_of(answer) == {
        "new-due_at": "It must lie after the day of the certificate.",
        "new-offset_c": "It must be from −5 to 5.",
        "new-uncertainty_c": "This is not a number.",
    }
    assert value_of(answer, "new-certificate") == "K-2"
    past = {"address": LOGGER, "kind": "ruuvitag", "box": "", "since": "2029-01-01T00:00"}
    refused = await visitor.send("/setup/loggers/change", past)
    assert faults_of(refused) == {"since": "This moment does not fit the logger’s history."}


async def test_a_calibration_found_out_of_tolerance_leads_to_the_verdicts(rooms: Rooms, visitor: Visitor) -> None:
    form = {
        "address": LOGGER,
        "certificate": "K-2",
        "calibrated_at": "2026-06-21",
        "due_at": "2027-06-21",
        "offset_c": "0",
        "uncertainty_c": "0.1",
        "as_found_c": "4.9",
    }
    answer = await visitor.send("/setup/loggers/certificate", form)
    assert answer.status_code == 303, faults_of(answer)
    assert answer.headers["location"].startswith("/setup/loggers/recalibration?")
    logger = next(one for one in rooms.registry.loggers() if one.address == LOGGER)
    assert [stay.calibration and stay.calibration.certificate for stay in logger.former] == ["K-1"]
    page = words_of(await visitor.get(answer.headers["location"]))
    assert "1 verdict would change" in page
    assert "SEND-1 TUBE-1 K Reject Review" in page
    assert rooms.decisions.of("SEND-1") == []
    corrected = await visitor.send("/setup/loggers/certificate", form | {"as_found_c": "0.05"})
    assert "done=certified" in corrected.headers.get("location", ""), faults_of(corrected)


async def test_a_logger_is_swapped_and_the_box_keeps_its_history(rooms: Rooms, visitor: Visitor) -> None:
    form = {"address": LOGGER, "new": "C0:FF:EE:00:00:02", "swap_reason": "battery", "note": "2.1 V"}
    answer = await visitor.send("/setup/loggers/swap", form)
    assert answer.status_code == 303, faults_of(answer)
    left, came = sorted(rooms.registry.loggers(), key=lambda one: one.address)
    assert (left.box, left.former[-1].box, came.box) == (None, "BOX-1", "BOX-1")
    assert {reason for _, _, reason in visitor.acts("swap")} == {"battery: 2.1 V"}
    refused = await visitor.send("/setup/loggers/swap", form | {"address": came.address, "new": came.address})
    assert "swap-new" in faults_of(refused)


async def test_a_gateway_is_enrolled_by_a_code_that_is_shown_once(rooms: Rooms, visitor: Visitor) -> None:
    refused = await visitor.send("/setup/gateways/code", {"gateway": "a/b"})
    assert list(faults_of(refused)) == ["gateway"]
    answer = await visitor.send("/setup/gateways/code", {"gateway": "VAN-2"})
    assert answer.headers["cache-control"] == "no-store"
    found = re.search(r'data-code="([^"]+)"', answer.text)
    assert found is not None
    assert "<svg" in answer.text
    assert found[1] not in (await visitor.get("/setup/gateways")).text
    rooms.enrolment.enrol(
        "VAN-2", found[1], bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    )
    with pytest.raises(EnrolmentRefusedError):
        rooms.enrolment.enrol(
            "VAN-2", found[1], bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
        )
    assert ("administrator", "gateway VAN-2", "") in visitor.acts("issue_code")


async def test_keys_are_revoked_with_a_reason(rooms: Rooms, visitor: Visitor) -> None:
    refused = await visitor.send("/setup/gateways/revoke", {"gateway": "van-1", "reason": ""})
    assert faults_of(refused) == {"reason": "This is missing."}
    assert (await visitor.send("/setup/gateways/revoke", {"gateway": "van-1", "reason": "stolen"})).status_code == 303
    assert [one.enrolled for one in rooms.enrolment.gateways()] == [False]
    assert visitor.acts("revoke_key") == [("administrator", "gateway van-1", "stolen")]
    nothing = await visitor.send("/setup/gateways/revoke", {"gateway": "van-1", "reason": "again"})
    assert faults_of(nothing) == {"key": "There is no such key that could be revoked."}


@sqlite_only
async def test_whoever_may_only_look_finds_nothing_to_press(visitor: Visitor) -> None:
    visitor.be(Role.INSPECTOR)
    for path in ("/setup/boxes", "/setup/loggers", "/setup/gateways", f"/setup/loggers/one?address={LOGGER}"):
        page = await visitor.get(path)
        assert page.status_code == 200, path
        assert 'method="post" action="/setup' not in page.text, path
    assert ">Set-up</a>" in (await visitor.get("/")).text
    visitor.be(Role.DRIVER)
    assert ">Set-up</a>" not in (await visitor.get("/")).text


@sqlite_only
async def test_lists_are_searched(rooms: Rooms, visitor: Visitor) -> None:
    rooms.registry.put_box(Box(code="KASSE-7"), "test")
    page = words_of(await visitor.get("/setup/boxes?q=kasse"))
    assert "KASSE-7" in page
    assert "BOX-1" not in page
    assert "Nothing matches." in words_of(await visitor.get("/setup/boxes?q=none"))
    assert LOGGER in words_of(await visitor.get("/setup/loggers?q=box-1&need=calibration_due"))
    assert LOGGER not in words_of(await visitor.get("/setup/loggers?need=battery_low"))
    assert (await visitor.get("/setup/boxes/edit?code=none")).status_code == 404


@sqlite_only
async def test_no_two_fields_of_a_page_are_called_alike(visitor: Visitor) -> None:
    for path in (
        "/setup/boxes/edit?code=BOX-1",
        f"/setup/loggers/one?address={LOGGER}",
        "/setup/loggers/new",
        "/setup/gateways/one?name=van-1",
        "/setup/consignments/new",
        "/setup/profiles/edit?id=potassium",
        "/setup/people/one?name=driver",
    ):
        page = (await visitor.get(path)).text
        names = re.findall(r' id="([^"]+)"', page)
        assert len(names) == len(set(names)), path
        labelled = set(re.findall(r'<label for="([^"]+)"', page))
        assert labelled <= set(names), path
