"""What a controller is given to broadcast, taken apart by another implementation."""

import pytest
from bumble.core import AdvertisingData

from firmware_sim.advertising_data import pack, pack_response
from firmware_sim.history import NUS_SERVICE
from firmware_sim.peripheral import Broadcast
from firmware_sim.reference.formats import LOGGER_SERVICE

FLAGS, MANUFACTURER, NAME = 0x01, 0xFF, 0x09


def structures(packet: bytes) -> dict[int, bytes]:
    return {int(kind): data for kind, data in AdvertisingData.from_bytes(packet).ad_structures}


def test_what_fits_goes_into_the_first_packet() -> None:
    data, response = pack("Meter", Broadcast(service_data={"fdcd": b"\x01\x02"}, service_uuids=("fff0",)))
    found = structures(data)
    assert found == {FLAGS: b"\x06", 0x16: b"\xcd\xfd\x01\x02", 0x03: b"\xf0\xff", NAME: b"Meter"}
    assert response == b""


def test_uuid_and_name_move_to_the_response() -> None:
    data, response = pack("Ruuvi 0002", Broadcast({0x0499: bytes(24)}, service_uuids=(NUS_SERVICE,)))
    assert len(data) == 31
    assert structures(data)[MANUFACTURER] == b"\x99\x04" + bytes(24)
    assert structures(response) == {0x07: bytes.fromhex(NUS_SERVICE.replace("-", ""))[::-1], NAME: b"Ruuvi 0002"}


def test_the_reference_logger_fills_one_packet() -> None:
    """docs/reference-logger.md, 3."""
    data, response = pack("Coldchain 0002", Broadcast(service_data={LOGGER_SERVICE: bytes(10)}))
    assert data[:5] == b"\x02\x01\x06\x1b\x21"
    assert data[5:21] == bytes.fromhex(LOGGER_SERVICE.replace("-", ""))[::-1]
    assert len(data) == 31
    assert structures(response) == {NAME: b"Coldchain 0002"}


def test_a_response_has_no_flags() -> None:
    assert structures(pack_response(Broadcast({0x0133: bytes(26)}))) == {MANUFACTURER: b"\x33\x01" + bytes(26)}


@pytest.mark.parametrize("size", [25, 26])
def test_what_does_not_fit_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="31 are possible"):
        pack("", Broadcast({0x0499: bytes(size)}))
