"""Vectors: docs.ruuvi.com, data format 5, "Test vectors" (valid, maximum, minimum, invalid)."""

import pytest

from firmware_sim.rawv2 import Beacon, encode

ADDRESS = bytes.fromhex("CBB8334C884F")

VECTORS = {
    "valid": (
        "0512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F",
        Beacon(ADDRESS, 24.3, 53.49, 100_044, (4, -4, 1036), 2977, 4, 66, 205),
    ),
    "maximum": (
        "057FFFFFFEFFFE7FFF7FFF7FFFFFDEFEFFFECBB8334C884F",
        Beacon(ADDRESS, 163.835, 163.8350, 115_534, (32_767, 32_767, 32_767), 3646, 20, 254, 65_534),
    ),
    "minimum": (
        "058001000000008001800180010000000000CBB8334C884F",
        Beacon(ADDRESS, -163.835, 0, 50_000, (-32_767, -32_767, -32_767), 1600, -40, 0, 0),
    ),
    "invalid": ("058000FFFFFFFF800080008000FFFFFFFFFFFFFFFFFFFFFF", Beacon(None)),
}


@pytest.mark.parametrize("name", VECTORS)
def test_published_vector(name: str) -> None:
    raw, beacon = VECTORS[name]
    assert encode(beacon).hex().upper() == raw


def test_values_out_of_range_are_clipped() -> None:
    beacon = Beacon(ADDRESS, 170.0, 200.0, 200_000, (-40_000, 40_000, 0), 4000, 30, 254, 65_534)
    assert (
        encode(beacon)[:15] == encode(Beacon(ADDRESS, 163.835, 163.835, 115_534, (-32_767, 32_767, 0), 3646, 20))[:15]
    )


@pytest.mark.parametrize(("counter", "encoded"), [(65_534, 65_534), (65_535, 0), (65_536, 1), (131_070, 0)])
def test_counter_never_says_not_available(counter: int, encoded: int) -> None:
    assert encode(Beacon(ADDRESS, counter=counter))[16:18] == encoded.to_bytes(2, "big")


def test_movements_wrap_before_not_available() -> None:
    assert encode(Beacon(ADDRESS, movements=255))[15] == 0
