"""The configuration: what is refused, with the field, and what an item is told by."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.core.configuration import Calibration, Configuration, Consignment, Item
from gateway.core.profiles import Event
from tests.core.trips import START, at, ride

ITEM: dict[str, object] = {"code": "T-1", "kind": "sample", "examinations": [{"code": "K", "profile": "potassium"}]}
CALIBRATION = {"certificate": "C-1", "calibrated_at": START, "due_at": at(1)}


def make(**fields: object) -> Configuration:
    return Configuration.model_validate({"version": 1, "gateway": "VAN-1", **fields})


def sent(**fields: object) -> dict[str, object]:
    return {"consignments": [{"code": "S-1", "items": [{**ITEM, **fields}]}]}


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"version": 0}, "version", "greater than or equal to 1"),
        ({"gateway": "van 1"}, "gateway", "a code has letters, digits"),
        ({"gateway": "15076500565"}, "gateway", "national identity number"),
        ({"secret": 1}, "secret", "Extra inputs"),
        ({"boxes": [{"code": "B", "state": "lost"}]}, "boxes.0.state", "'empty'"),
        ({"boxes": [{"code": "B", "default_profile": "Not one"}]}, "boxes.0.default_profile", "match pattern"),
        ({"loggers": [{"address": "", "box": "B"}]}, "loggers.0.address", "1 to 64 characters"),
        (
            {"loggers": [{"address": "A", "box": "B", "memory_interval_s": 0}]},
            "loggers.0.memory_interval_s",
            "greater than 0",
        ),
        (
            {"loggers": [{"address": "A", "box": "B", "calibration": {**CALIBRATION, "due_at": START}}]},
            "loggers.0.calibration",
            "due_at is not after calibrated_at",
        ),
        (
            {"loggers": [{"address": "A", "box": "B", "calibration": {**CALIBRATION, "uncertainty_c": -1}}]},
            "loggers.0.calibration.uncertainty_c",
            "greater than or equal to 0",
        ),
        ({"consignments": [{"code": "S", "items": []}]}, "consignments.0.items", "at least 1 item"),
        ({"consignments": [{"code": "S", "items": [ITEM, ITEM]}]}, "consignments.0", "two items have the same code"),
        (sent(code="15076500565"), "consignments.0.items.0.code", "national identity number"),
        (sent(examinations=[]), "consignments.0.items.0.examinations", "at least 1 item"),
        (sent(collected_at="2026-03-10T07:00:00"), "consignments.0.items.0.collected_at", "timezone"),
        (sent(use_before="tomorrow"), "consignments.0.items.0.use_before", "datetime"),
        (
            sent(declared=[{"begins": at(1), "ends": at(1), "low_c": 2, "high_c": 8, "by": "N"}]),
            "consignments.0.items.0.declared.0",
            "ends is not after begins",
        ),
        (
            sent(declared=[{"begins": at(0), "ends": at(1), "low_c": 8, "high_c": 2, "by": "N"}]),
            "consignments.0.items.0.declared.0",
            "high_c is below low_c",
        ),
        (
            sent(declared=[{"begins": at(0), "ends": at(1), "low_c": 2, "high_c": 8}]),
            "consignments.0.items.0.declared.0.by",
            "Field required",
        ),
        (
            sent(carriage=[{"box": "B", "begins": at(1), "ends": at(0)}]),
            "consignments.0.items.0.carriage.0",
            "ends is not after begins",
        ),
        (
            sent(carriage=[{"box": "B", "begins": at(1), "phase": "asleep"}]),
            "consignments.0.items.0.carriage.0.phase",
            "'at_origin'",
        ),
    ],
)
def test_what_is_wrong_is_named_by_field_and_reason(fields: dict[str, object], field: str, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make(**fields)
    errors = [(".".join(str(part) for part in error["loc"]), error["msg"]) for error in caught.value.errors()]
    assert any(place == field and reason in why for place, why in errors), errors


def test_an_identity_number_is_never_repeated_in_our_reason() -> None:
    with pytest.raises(ValidationError) as caught:
        make(gateway="15076500565")
    assert all("15076500565" not in error["msg"] for error in caught.value.errors())


def test_a_configuration_survives_its_json() -> None:
    configuration = make(
        loggers=[{"address": "A", "box": "B", "calibration": CALIBRATION}],
        boxes=[{"code": "B", "state": "loaded"}],
        **sent(collected_at=at(0), declared=[{"begins": at(0), "ends": at(5), "low_c": 2, "high_c": 8, "by": "N"}]),
    )
    assert Configuration.model_validate_json(configuration.model_dump_json()) == configuration


@pytest.mark.parametrize(
    ("event", "field"),
    [(Event.COLLECTED, "collected_at"), (Event.PREPARED, "prepared_at"), (Event.FIRST_USE, "first_use_at")],
)
def test_an_item_knows_the_moment_of_each_event(event: Event, field: str) -> None:
    assert Item.model_validate({**ITEM, field: at(3)}).time_of(event) == at(3)
    assert Item.model_validate(ITEM).time_of(event) is None


def test_an_item_goes_with_its_consignment_unless_it_has_its_own_way() -> None:
    own = Item.model_validate({**ITEM, "code": "T-2", "carriage": [ride(5)]})
    other = Item.model_validate(ITEM)
    consignment = Consignment(code="S-1", items=(own, other), carriage=(ride(0),))
    assert consignment.carriage_of(own) == (ride(5),)
    assert consignment.carriage_of(other) == (ride(0),)


def test_a_calibration_has_a_default_uncertainty_and_no_offset() -> None:
    calibration = Calibration.model_validate(CALIBRATION)
    assert (calibration.offset_c, calibration.uncertainty_c) == (0.0, 0.2)
