from datetime import UTC, datetime
from typing import Any

from gateway.core.configuration import Configuration
from gateway.vehicle.enrolled import carried_in, enrolled_loggers

BEGINS = "2026-06-01T08:00:00+02:00"
PROFILE: dict[str, Any] = {
    "id": "cold",
    "title": "Cold",
    "kind": "sample",
    "owner": "laboratory",
    "source": "test",
    "evidence": "demonstration",
    "bands": [{"name": "cold", "from_c": 2, "to_c": 8}],
    "limits": [{"name": "freeze", "below_c": -0.5, "single": "60 min"}],
    "forbidden": [{"name": "hot", "above_c": 30}],
}


def configuration(**changes: str) -> Configuration:
    consignment = {
        "code": "C1",
        "carriage": [{"box": "BOX-1", "begins": BEGINS}],
        "items": [{"code": "I1", "kind": "sample", "examinations": [{"code": "K", "profile": "cold"}]}],
    }
    return Configuration.model_validate(
        {
            "version": 1,
            "gateway": "VAN-1",
            "loggers": [
                {
                    "address": "C0:FF:EE:00:00:01",
                    "box": "BOX-1",
                    "calibration": {
                        "certificate": "K-1",
                        "calibrated_at": "2026-01-01T00:00:00Z",
                        "due_at": "2027-01-01T00:00:00Z",
                        "offset_c": 0.5,
                    },
                },
                {"address": "C0:FF:EE:00:00:02", "box": "BOX-2", "memory_interval_s": None},
            ],
            "boxes": [{"code": "BOX-1"}, {"code": "BOX-2", "default_profile": "cold"}],
            "consignments": [consignment | changes],
            "profiles": [PROFILE],
        }
    )


def test_thresholds_are_those_of_the_load_without_calibration() -> None:
    loggers = enrolled_loggers(configuration())
    assert loggers["C0:FF:EE:00:00:01"].thresholds_mc == (-1000, 1500, 7500, 29_500)
    assert loggers["C0:FF:EE:00:00:02"].thresholds_mc == (-500, 2000, 8000, 30_000), "the box's default profile"


def test_custody_begins_with_the_carriage() -> None:
    loggers = enrolled_loggers(configuration())
    begins = datetime(2026, 6, 1, 6, tzinfo=UTC)
    assert loggers["C0:FF:EE:00:00:01"].since_ms == round(begins.timestamp() * 1000)
    assert loggers["C0:FF:EE:00:00:02"].since_ms is None
    assert loggers["C0:FF:EE:00:00:02"].memory_interval_s is None


def test_what_is_received_is_carried_no_more() -> None:
    received = configuration(received_at="2026-06-01T12:00:00+02:00")
    assert carried_in(received, "BOX-1") == ()
    assert enrolled_loggers(received)["C0:FF:EE:00:00:01"].thresholds_mc == ()


def test_at_a_reception_what_was_received_is_read_out_all_the_same() -> None:
    received = configuration(received_at="2026-06-01T11:00:00+02:00")
    assert enrolled_loggers(received)["C0:FF:EE:00:00:01"].since_ms is None
    there = received.model_copy(update={"reception": True})
    begins = datetime(2026, 6, 1, 6, tzinfo=UTC)
    logger = enrolled_loggers(there)["C0:FF:EE:00:00:01"]
    assert logger.since_ms == round(begins.timestamp() * 1000)
    assert logger.thresholds_mc == (), "nothing in it is watched any more"
