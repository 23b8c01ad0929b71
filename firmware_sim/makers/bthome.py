"""BTHome v2, plain and encrypted.

Source: bthome.io, pages "Format" and "Encryption". Service data under 0xFCD2: one byte of device information (version 2
in the high three bits, bit 0 for encryption), then objects in the order of their ids, least significant byte first.
Encrypted: AES-CCM with a tag of four bytes over the objects, nonce = address, UUID as it travels, device information,
counter; the counter (32 bits) and the tag follow the ciphertext.

There is no code for a missing value: an object that has none is left out.
"""

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from firmware_sim import battery
from firmware_sim.firmware import Firmware, Sample, Take
from firmware_sim.makers.integers import steps, unsigned_16
from firmware_sim.peripheral import Broadcast

UUID = "fcd2"
_UUID_ON_AIR = b"\xd2\xfc"
PLAIN, ENCRYPTED = 0x40, 0x41
PACKET_ID, BATTERY, TEMPERATURE, HUMIDITY, VOLTAGE = 0x00, 0x01, 0x02, 0x03, 0x0C
PACKET_IDS = 256
TAG_BYTES = 4
_LOWEST, _HIGHEST = -32_768, 32_767


def encode_objects(
    packet_id: int, percent: int, temperature_c: float | None, humidity_percent: float, voltage_mv: int
) -> bytes:
    """Return the objects of one packet."""
    objects = bytes((PACKET_ID, packet_id % PACKET_IDS, BATTERY, percent))
    if temperature_c is not None:
        number = steps(temperature_c, 100, _LOWEST, _HIGHEST)
        objects += bytes((TEMPERATURE,)) + number.to_bytes(2, "little", signed=True)
    objects += bytes((HUMIDITY,)) + unsigned_16(humidity_percent, 100).to_bytes(2, "little")
    return objects + bytes((VOLTAGE,)) + unsigned_16(voltage_mv, 1).to_bytes(2, "little")


def encrypt(objects: bytes, address: bytes, bindkey: bytes, counter: int) -> bytes:
    """Return the service data with the objects encrypted; ``address`` most significant byte first."""
    head, count = bytes((ENCRYPTED,)), counter.to_bytes(4, "little")
    sealed = AESCCM(bindkey, tag_length=TAG_BYTES).encrypt(address + _UUID_ON_AIR + head + count, objects, None)
    return head + sealed[:-TAG_BYTES] + count + sealed[-TAG_BYTES:]


class BthomeSensor(Firmware):
    """A sensor that counts its packets; with a ``bindkey`` it encrypts them, by a counter that a reboot sets back."""

    def _take(self, number: int, uptime_ms: float, sample: Sample) -> Take:
        del uptime_ms
        percent = battery.percent(sample.voltage_mv)
        objects = encode_objects(number, percent, sample.temperature_c, sample.humidity_percent, sample.voltage_mv)
        if self.settings.bindkey is None:
            data = bytes((PLAIN,)) + objects
        else:
            data = encrypt(objects, self.address_bytes, self.settings.bindkey, number + 1)
        temperature = sample.temperature_c
        mc = None if temperature is None else 10 * steps(temperature, 100, _LOWEST, _HIGHEST)
        return Take((Broadcast(service_data={UUID: data}),), number % PACKET_IDS, mc)
