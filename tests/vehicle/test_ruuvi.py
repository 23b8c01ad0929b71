"""The vectors are those that docs.ruuvi.com publishes for data format 5."""

import pytest

from gateway.vehicle.loggers.measurement import AdvertisementError, Measurement
from gateway.vehicle.loggers.ruuvi import decode_advertisement


def decode(text: str) -> Measurement:
    return decode_advertisement(bytes.fromhex(text))


def test_valid_vector() -> None:
    assert decode("0512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F") == Measurement(
        temperature_mc=24_300,
        humidity_cpct=5349,
        pressure_pa=100_044,
        battery_mv=2977,
        movements=66,
        counter=205,
        address="CB:B8:33:4C:88:4F",
    )


def test_maximum_vector() -> None:
    decoded = decode("057FFFFFFEFFFE7FFF7FFF7FFFFFDEFEFFFECBB8334C884F")
    assert decoded.temperature_mc == 163_835
    assert decoded.humidity_cpct == 16_384  # 163.835 %, rounded
    assert decoded.pressure_pa == 115_534
    assert decoded.battery_mv == 3646
    assert (decoded.movements, decoded.counter) == (254, 65_534)


def test_minimum_vector() -> None:
    decoded = decode("058001000000008001800180010000000000CBB8334C884F")
    assert decoded.temperature_mc == -163_835
    assert (decoded.humidity_cpct, decoded.pressure_pa, decoded.battery_mv) == (0, 50_000, 1600)
    assert (decoded.movements, decoded.counter) == (0, 0)


def test_invalid_vector_is_all_none() -> None:
    decoded = decode("058000FFFFFFFF800080008000FFFFFFFFFFFFFFFFFFFFFF")
    assert decoded == Measurement(None, None, None, None, None, None, None)


def test_negative_temperature_is_negative() -> None:
    assert decode("05FC185394C37C0004FFFC040CAC364200CDCBB8334C884F").temperature_mc == -5000


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("", "ruuvi_empty"),
        ("03291A1ECE1EFC18F94202CA0B53", "ruuvi_format"),
        ("0512FC5394C37C0004FFFC040CAC364200CDCBB8334C88", "ruuvi_length"),
        ("0512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F00", "ruuvi_length"),
    ],
)
def test_other_payloads_are_named(payload: str, code: str) -> None:
    with pytest.raises(AdvertisementError) as caught:
        decode(payload)
    assert caught.value.code == code
