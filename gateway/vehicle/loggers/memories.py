"""The table of memories that can be read."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.configuration import LoggerKind
from gateway.vehicle.loggers.bluemaestro_log import BlueMaestroSession
from gateway.vehicle.loggers.memory import MemoryRequest, MemorySession
from gateway.vehicle.loggers.reference_log import ReferenceSession
from gateway.vehicle.loggers.ruuvi_log import RuuviSession

MEMORIES: dict[LoggerKind, Callable[[MemoryRequest], MemorySession]] = {
    LoggerKind.RUUVITAG: RuuviSession,
    LoggerKind.REFERENCE: ReferenceSession,
    LoggerKind.BLUEMAESTRO: BlueMaestroSession,
}
"""Kind → a conversation with its memory. What a logger of another kind missed stays a gap."""

NAMED = frozenset({LoggerKind.REFERENCE})
"""Kinds whose memory names its records as they are broadcast: what was heard dates what was not."""


def open_session(kind: LoggerKind, request: MemoryRequest) -> MemorySession:
    """Return a new conversation; raises KeyError for a kind without a memory that can be read."""
    return MEMORIES[kind](request)
