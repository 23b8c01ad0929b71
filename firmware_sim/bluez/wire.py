"""D-Bus messages to bytes and back.

dbus-fast has a client for a bus, not a bus, so its marshalling is used directly. That part of it is private: the
lock file pins the version, and the tests with bleak would show a change at once.
"""

import io
import struct
from collections.abc import Iterator

from dbus_fast import InvalidMessageError, Message, Variant
from dbus_fast._private.constants import PROTOCOL_VERSION, HeaderField
from dbus_fast._private.marshaller import Marshaller
from dbus_fast._private.unmarshaller import Unmarshaller

FIXED_HEADER_BYTES = 16
MAX_MESSAGE_BYTES = 1 << 20
"""More than a client of BlueZ ever sends: its largest call is a GATT write of 512 bytes."""
_SERIAL_OFFSET = 8
_LITTLE_ENDIAN = ord("l")


def encode(message: Message, sender: str) -> bytearray:
    """Return the message as bytes with serial 1; ``stamp`` sets the serial for each receiver.

    dbus-fast leaves the sender out, since a daemon adds it. Here nobody else does.
    """
    body = Marshaller(message.signature, message.body).marshall()
    fields = [
        (field.value, Variant(signature, value))
        for field, signature, value in (
            (HeaderField.PATH, "o", message.path),
            (HeaderField.INTERFACE, "s", message.interface),
            (HeaderField.MEMBER, "s", message.member),
            (HeaderField.ERROR_NAME, "s", message.error_name),
            (HeaderField.REPLY_SERIAL, "u", message.reply_serial),
            (HeaderField.DESTINATION, "s", message.destination),
            (HeaderField.SENDER, "s", sender),
            (HeaderField.SIGNATURE, "g", message.signature),
            (HeaderField.UNIX_FDS, "u", len(message.unix_fds)),
        )
        if value
    ]
    kind, flags = message.message_type.value, message.flags.value
    head = Marshaller("yyyyuua(yv)", [_LITTLE_ENDIAN, kind, flags, PROTOCOL_VERSION, len(body), 1, fields])
    data = bytearray(head.marshall())
    data += bytes(-len(data) % 8)
    data += body
    return data


def stamp(data: bytearray, serial: int) -> bytes:
    """Return the encoded message with its serial set."""
    struct.pack_into("<I", data, _SERIAL_OFFSET, serial)
    return bytes(data)


def split(buffer: bytearray) -> Iterator[Message]:
    """Take each complete message off the front of ``buffer``.

    Raises ``InvalidMessageError`` when what comes is no D-Bus or too long.
    """
    while len(buffer) >= FIXED_HEADER_BYTES:
        if buffer[0] not in b"lB":
            raise InvalidMessageError(f"byte order mark {buffer[0]:#x}")
        order = "<" if buffer[0] == _LITTLE_ENDIAN else ">"
        (body_bytes,) = struct.unpack_from(f"{order}I", buffer, 4)
        (field_bytes,) = struct.unpack_from(f"{order}I", buffer, 12)
        total = FIXED_HEADER_BYTES + field_bytes + (-field_bytes % 8) + body_bytes
        if total > MAX_MESSAGE_BYTES:
            raise InvalidMessageError(f"message of {total} bytes")
        if len(buffer) < total:
            return
        raw = bytes(buffer[:total])
        del buffer[:total]
        message = Unmarshaller(io.BytesIO(raw)).unmarshall()  # type: ignore[arg-type]  # it only needs read()
        if message is None:
            raise InvalidMessageError("message ends early")
        yield message
