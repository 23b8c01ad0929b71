from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.configuration import Box, Configuration, Consignment, Logger
from gateway.hub.database.store import Store
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.registry import Registry
from tests.hub.vans import START_MS, Enrol, Van, iso, sqlite_only

pytestmark = sqlite_only


class Desk:
    def __init__(self, store: Store) -> None:
        self.registry = Registry(store, lambda: START_MS)
        self.configurations = Configurations(store, lambda: START_MS)

    def box(self, number: int, *gateways: str, profile: str | None = None) -> None:
        self.registry.put_box(Box(code=f"B-{number}", gateways=gateways, default_profile=profile), "test")
        self.registry.put_logger(Logger(address=f"C0:FF:EE:00:00:{number:02X}", box=f"B-{number}"), "test")

    def consign(self, code: str, *boxes: int) -> None:
        item = {"code": f"T-{code}", "kind": "sample", "examinations": [{"code": "K", "profile": "potassium"}]}
        carriage = [{"box": f"B-{box}", "begins": iso(60 * place)} for place, box in enumerate(boxes)]
        document = {"code": code, "items": [item], "carriage": carriage}
        self.registry.put_consignment(Consignment.model_validate(document), "test")

    def refresh(self) -> dict[str, Configuration]:
        return {configuration.gateway: configuration for configuration in self.configurations.refresh()}


@pytest.fixture
def desk(store: Store, enrolled: Enrol) -> Desk:
    enrolled(Van("van-1"))
    enrolled(Van("van-2", b"2"))
    return Desk(store)


def boxes(configuration: Configuration) -> list[str]:
    return [box.code for box in configuration.boxes]


def test_a_box_is_for_the_gateways_it_names_and_for_all_if_it_names_none(desk: Desk) -> None:
    desk.box(1, "van-1", profile="storage-2-8")
    desk.box(2, "van-1", "van-2")
    desk.box(3)
    found = desk.refresh()
    assert boxes(found["van-1"]) == ["B-1", "B-2", "B-3"]
    assert boxes(found["van-2"]) == ["B-2", "B-3"]
    assert [logger.box for logger in found["van-2"].loggers] == ["B-2", "B-3"]
    assert [profile.id for profile in found["van-1"].profiles] == ["storage-2-8"]
    assert found["van-2"].profiles == ()


def test_a_consignment_goes_where_its_boxes_go_and_takes_all_of_them_along(desk: Desk) -> None:
    desk.box(1, "van-1")
    desk.box(2, "van-2")
    desk.box(4, "van-2")
    desk.consign("C-1", 1)
    desk.consign("C-12", 1, 2)
    desk.consign("C-0")
    found = desk.refresh()
    assert [one.code for one in found["van-1"].consignments] == ["C-0", "C-1", "C-12"]
    assert [one.code for one in found["van-2"].consignments] == ["C-0", "C-12"]
    assert boxes(found["van-1"]) == ["B-1", "B-2"]
    assert boxes(found["van-2"]) == ["B-1", "B-2", "B-4"]
    assert [profile.id for profile in found["van-2"].profiles] == ["potassium"]


def test_what_concerns_another_gateway_makes_no_new_version(desk: Desk) -> None:
    desk.box(1, "van-1")
    before = desk.refresh()
    desk.box(2, "van-1")
    after = desk.refresh()
    assert after["van-1"].version == before["van-1"].version + 1
    assert after["van-2"].version == before["van-2"].version


def test_more_than_fits_one_gateway_is_said_and_the_others_go_on(
    desk: Desk, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    for number in range(501):
        desk.registry.put_box(Box(code=f"M-{number}", gateways=("van-1",)), "test")
    assert list(desk.refresh()) == ["van-2"]
    assert "van-1 keeps its old configuration" in caplog.text
    assert "boxes" in caplog.text
