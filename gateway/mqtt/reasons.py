"""MQTT v5 reason codes in plain words."""

from __future__ import annotations

from paho.mqtt.reasoncodes import ReasonCode

_WORDS = {
    0x80: "the broker failed without saying why",
    0x82: "the broker says that we broke the protocol",
    0x84: "the broker does not speak MQTT version 5",
    0x85: "the broker does not accept this client identifier",
    0x86: "wrong user name or password for the broker",
    0x87: "the broker's access rules forbid it",
    0x88: "the broker is not available",
    0x89: "the broker is busy",
    0x8A: "the broker has banned this client",
    0x8B: "the broker is shutting down",
    0x8D: "the broker heard nothing from us for too long",
    0x8E: "another client with the same identifier took over the session",
    0x95: "the broker does not accept packets of this size",
    0x97: "a quota of the broker is used up",
    0x98: "an administrator of the broker ended the connection",
    0x9A: "the broker does not support retained messages",
    0x9B: "the broker does not support this quality of service",
    0x9F: "the broker accepts no more connections for the moment",
}


def describe_reason(reason: ReasonCode) -> str:
    """Say in plain words what a broker's MQTT v5 reason code means; the code itself stands behind."""
    words = _WORDS.get(reason.value, str(reason).lower())
    return f"{words} (MQTT reason {reason.value:#04x})"
