"""What makers publish as examples of their formats, as an enrolled logger says it. Ruuvi's are in test_ruuvi.py, the
older and newer Ruuvi formats in test_families.py, the reference logger's in its document."""

from __future__ import annotations

import pytest

from gateway.core.configuration import Logger
from gateway.vehicle.loggers.families import Ear
from gateway.vehicle.loggers.measurement import AdvertisementError, Measurement, Packet

ADDRESS = "54:48:E6:8F:80:A5"
BTHOME = "0000fcd2-0000-1000-8000-00805f9b34fb"
KEY = "231d39c1d7cc1ab1aee224cd096db932"


def hear(data: str, bindkey: str | None = None) -> Measurement:
    ear = Ear(Logger.model_validate({"address": ADDRESS, "box": "B", "kind": "bthome", "bindkey": bindkey}))
    packet = Packet(ADDRESS, "DIY-sensor", service_data={BTHOME: bytes.fromhex(data)})
    payload = ear.recognise(packet)
    assert payload is not None
    measurement = ear.hear(packet, payload)
    assert measurement is not None
    return measurement


class TestBthome:
    """bthome.io, "BTHome data format" and "Encryption"."""

    @pytest.mark.parametrize(
        ("data", "temperature_mc"),
        [("02CA09", 25_060), ("451101", 27_300), ("57EA", -22_000), ("58EA", -7_700), ("0200FF", -2_560)],
    )
    def test_temperatures_of_every_width_and_sign(self, data: str, temperature_mc: int) -> None:
        assert hear(f"40{data}").temperature_mc == temperature_mc

    @pytest.mark.parametrize(
        ("data", "field", "value"),
        [
            ("0161", "battery_pct", 97),
            ("03BF13", "humidity_cpct", 5055),
            ("2E23", "humidity_cpct", 3500),
            ("04138A01", "pressure_pa", 100_883),
            ("05138A14", "light_lux", 13_461),
            ("0C020C", "battery_mv", 3074),
        ],
    )
    def test_other_values(self, data: str, field: str, value: int) -> None:
        """Objects come in ascending order of their ids; an unknown one would hide what follows it."""
        objects = sorted(("02CA09", data), key=lambda one: one[:2])
        assert getattr(hear("40" + "".join(objects)), field) == value

    def test_the_encrypted_example(self) -> None:
        measured = hear("41a47266c95f730011223378237214", KEY)
        assert (measured.temperature_mc, measured.humidity_cpct) == (25_060, 5055)

    @pytest.mark.parametrize("data", ["41a47266c95f730011223378237215", "41a47266c95f73001122337823", "40", "4003BF13"])
    def test_what_is_spoilt_cut_short_or_without_a_temperature_is_refused(self, data: str) -> None:
        with pytest.raises(AdvertisementError):
            hear(data, KEY if data.startswith("41") else None)

    @pytest.mark.parametrize("data", ["02FF7F", "020080"])
    def test_either_end_of_the_range_is_a_code_and_no_temperature(self, data: str) -> None:
        measured = hear(f"40{data}")
        assert measured.temperature_mc is None
        assert measured.code_mc in (327_670, -327_680)
