"""Legacy advertising packets: what a peripheral broadcasts, packed into 31 bytes and a scan response of 31 more.

Source: Bluetooth Core, Vol 3 Part C 11 and Supplement Part A.
"""

from uuid import UUID

from firmware_sim.peripheral import Broadcast

MAX_BYTES = 31
FLAGS = b"\x02\x01\x06"
"""General discoverable, no classic Bluetooth."""
UUIDS_16, UUIDS_128, NAME = 0x03, 0x07, 0x09
SERVICE_DATA_16, SERVICE_DATA_128, MANUFACTURER = 0x16, 0x21, 0xFF
_SHORT_CHARS = 4


def pack(name: str, broadcast: Broadcast) -> tuple[bytes, bytes]:
    """Return the advertising data and the scan response.

    UUIDs and the name go where there is room, else nowhere. Raises ``ValueError`` where the maker's bytes do not fit.
    """
    packets = [_fit(FLAGS + _payloads(broadcast)), b""]
    extras = [_uuid(UUIDS_16, UUIDS_128, uuid) for uuid in broadcast.service_uuids]
    for extra in (*extras, _structure(NAME, name.encode())):
        for place, packet in enumerate(packets):
            if len(packet) + len(extra) <= MAX_BYTES:
                packets[place] += extra
                break
    return packets[0], packets[1]


def pack_response(broadcast: Broadcast) -> bytes:
    """Return a scan response that holds the maker's bytes; raises ``ValueError`` where they do not fit."""
    return _fit(_payloads(broadcast))


def _fit(packet: bytes) -> bytes:
    if len(packet) > MAX_BYTES:
        raise ValueError(f"{len(packet)} bytes to broadcast, {MAX_BYTES} are possible")
    return packet


def _payloads(broadcast: Broadcast) -> bytes:
    ours = [
        _structure(MANUFACTURER, company.to_bytes(2, "little") + data)
        for company, data in broadcast.manufacturer_data.items()
    ]
    ours += [_uuid(SERVICE_DATA_16, SERVICE_DATA_128, uuid, data) for uuid, data in broadcast.service_data.items()]
    return b"".join(ours)


def _uuid(short: int, long: int, uuid: str, data: bytes = b"") -> bytes:
    if len(uuid) == _SHORT_CHARS:
        return _structure(short, bytes.fromhex(uuid)[::-1] + data)
    return _structure(long, UUID(uuid).bytes[::-1] + data)


def _structure(kind: int, content: bytes) -> bytes:
    return bytes((len(content) + 1, kind)) + content
