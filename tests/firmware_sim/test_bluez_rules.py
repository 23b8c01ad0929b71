import pytest
from dbus_fast import Message

from firmware_sim.bluez.errors import BluezError
from firmware_sim.bluez.rules import parse_rule
from firmware_sim.bluez.tree import OBJECT_MANAGER, PROPERTIES
from firmware_sim.bluez.wire import encode, split, stamp

BLUEZ = frozenset({"org.bluez", ":1.0"})
DEVICE = "/org/bluez/hci0/dev_1"
CHANGED = Message.new_signal(DEVICE, PROPERTIES, "PropertiesChanged", "sa{sv}as", ["org.bluez.Device1", {}, []])
REMOVED = Message.new_signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [DEVICE, []])


@pytest.mark.parametrize(
    ("rule", "signal", "is_wanted"),
    [
        ("", CHANGED, True),
        ("type=signal,member=PropertiesChanged", CHANGED, True),
        ("type='method_call'", CHANGED, False),
        (f"type='signal',interface='{PROPERTIES}',path_namespace='/org/bluez'", CHANGED, True),
        ("path_namespace='/org/blue'", CHANGED, False),
        ("path='/org/bluez'", CHANGED, False),
        ("sender='org.bluez'", CHANGED, True),
        ("sender=':1.9'", CHANGED, False),
        ("arg0='org.bluez.Device1'", CHANGED, True),
        ("arg0='org.bluez.Adapter1'", CHANGED, False),
        ("arg0path=/org/bluez/", REMOVED, True),
        ("arg0path='/org/other/'", REMOVED, False),
        ("arg5='x'", CHANGED, False),
    ],
)
def test_rule(rule: str, signal: Message, *, is_wanted: bool) -> None:
    assert parse_rule(rule).accepts(signal, BLUEZ) is is_wanted


def test_malformed_rule() -> None:
    with pytest.raises(BluezError, match="malformed"):
        parse_rule("type signal")


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_messages_come_out_as_they_went_in(chunk: int) -> None:
    data = stamp(encode(CHANGED, ":1.0"), 7) + stamp(encode(REMOVED, ":1.0"), 8)
    buffer, seen = bytearray(), []
    for position in range(0, len(data), chunk):
        buffer += data[position : position + chunk]
        seen += split(buffer)
    assert [(message.serial, message.member, message.body) for message in seen] == [
        (7, "PropertiesChanged", CHANGED.body),
        (8, "InterfacesRemoved", REMOVED.body),
    ]
