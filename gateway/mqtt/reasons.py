"""MQTT v5 reason codes in plain words."""

from __future__ import annotations

from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

KEEP_ALIVE_TIMEOUT = 0x8D
SESSION_TAKEN_OVER = 0x8E
REASON_CHARACTERS_MAX = 200
"""Of what a broker says in its own words: enough for a sentence, too little to fill a log."""

_WORDS = {
    0x04: "the other side left and had its last will published",
    0x10: "nobody has subscribed to it",
    0x11: "there was no such subscription",
    0x18: "the broker wants the log-in to go on",
    0x19: "the broker wants us to log in again",
    0x80: "the broker failed without saying why",
    0x81: "the broker could not read what we sent",
    0x82: "the broker says that we broke the protocol",
    0x83: "the broker refuses it for reasons of its own",
    0x84: "the broker does not speak MQTT version 5",
    0x85: "the broker does not accept this client identifier",
    0x86: "wrong user name or password for the broker",
    0x87: "the broker's access rules forbid it",
    0x88: "the broker is not available",
    0x89: "the broker is busy",
    0x8A: "the broker has banned this client",
    0x8B: "the broker is shutting down",
    0x8C: "the broker does not know this way to log in",
    0x8D: "the broker heard nothing from us for too long",
    0x8E: "another client with the same identifier took over the session",
    0x8F: "the broker does not accept this topic filter",
    0x90: "the broker does not accept this topic name",
    0x91: "the packet identifier is still in use at the broker",
    0x92: "the broker does not know this packet identifier",
    0x93: "we sent more at once than the broker takes unacknowledged",
    0x94: "the broker does not know this topic alias",
    0x95: "the broker does not accept packets of this size",
    0x96: "we sent more messages than the broker takes in this time",
    0x97: "a quota of the broker is used up",
    0x98: "an administrator of the broker ended the connection",
    0x99: "the broker says that the payload is not what it was declared to be",
    0x9A: "the broker does not support retained messages",
    0x9B: "the broker does not support this quality of service",
    0x9C: "the broker asks us to use another server for now",
    0x9D: "the broker has moved to another server",
    0x9E: "the broker does not support shared subscriptions",
    0x9F: "the broker accepts no more connections for the moment",
    0xA0: "the connection has lasted as long as the broker allows",
    0xA1: "the broker does not support subscription identifiers",
    0xA2: "the broker does not support subscriptions with wildcards",
}


def describe_reason(reason: ReasonCode, properties: Properties | None = None) -> str:
    """Say in plain words what a broker's MQTT v5 reason code means; the code itself stands behind.

    So does what the broker adds in its own words, or the server that it names instead of itself.
    """
    words = _WORDS.get(reason.value, str(reason).lower())
    said = [f"MQTT reason {reason.value:#04x}"]
    for name in ("ReasonString", "ServerReference"):
        text = getattr(properties, name, "")
        if text:
            said.append(f'"{_make_printable(str(text))}"')
    return f"{words} ({', '.join(said)})"


def _make_printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text[:REASON_CHARACTERS_MAX])
