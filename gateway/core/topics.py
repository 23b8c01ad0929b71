"""MQTT topics: ``coldchain/v1/<gateway>/<leaf>``."""

from __future__ import annotations

from gateway.core.errors import InputError
from gateway.core.identifiers import check_code

PREFIX = "coldchain/v1"
LOG, ACK, STATUS, CONFIG = "log", "ack", "status", "config"
LEAVES = (LOG, ACK, STATUS, CONFIG)


def topic_of(gateway: str, leaf: str) -> str:
    """Return the topic of one gateway's leaf; raises InputError for a name that cannot stand in a topic."""
    return f"{PREFIX}/{_check_gateway(gateway)}/{leaf}"


def parse_topic(topic: str) -> tuple[str, str]:
    """Return (gateway, leaf); raises InputError."""
    parts = topic.split("/")
    if len(parts) != len((*PREFIX.split("/"), "gateway", "leaf")) or "/".join(parts[:2]) != PREFIX:
        raise InputError("topic", f"{topic!r} is not {PREFIX}/<gateway>/<leaf>")
    gateway, leaf = parts[2:]
    if leaf not in LEAVES:
        raise InputError("topic", f"{leaf!r} is none of {', '.join(LEAVES)}")
    return _check_gateway(gateway), leaf


def _check_gateway(gateway: str) -> str:
    check_code("gateway", gateway)
    if "/" in gateway or "+" in gateway:
        raise InputError("gateway", f"{gateway!r} has / or +, which MQTT topics reserve")
    return gateway
