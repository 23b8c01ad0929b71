"""Certificates: what is added to what a logger said, by time, without reading each logger's document each time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from gateway.core.assignments import offset_at, tenures_of
from gateway.core.configuration import Logger
from gateway.hub.database.schema import loggers

KNOWN_MAX = 200_000
"""Loggers whose certificates are remembered, at some 1 KiB each; beyond that all are read again."""
_ASKED_MAX = 500

_DOCUMENTS = select(loggers.c.address, loggers.c.document).where(
    loggers.c.address.in_(bindparam("addresses", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Offsets of one logger in °C; `offsets_c[n]` counts from `begins_ms[n]` on, the first also before it."""

    begins_ms: Sequence[int]
    offsets_c: Sequence[float]

    def offset_c(self, at_ms: int) -> float:
        """Return the offset of a moment."""
        return self.offsets_c[max(0, bisect_right(self.begins_ms, at_ms) - 1)]


NONE = Certificates((0,), (0.0,))
"""Of a logger that nobody has enrolled."""


class Drawer:
    """Certificates as they were read last. A document is looked at again only if it has changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Certificates]] = {}

    def read(self, connection: Connection, addresses: Iterable[str]) -> dict[str, Certificates]:
        """Return the certificates of those loggers that are enrolled."""
        asked = sorted(set(addresses))
        found = {}
        for start in range(0, len(asked), _ASKED_MAX):
            for address, document in connection.execute(_DOCUMENTS, {"addresses": asked[start : start + _ASKED_MAX]}):
                known = self._known.get(address)
                if known is None or known[0] != document:
                    if len(self._known) >= KNOWN_MAX:
                        self._known.clear()
                    known = (document, certificates_of(Logger.model_validate_json(document)))
                    self._known[address] = known
                found[address] = known[1]
        return found


def certificates_of(logger: Logger) -> Certificates:
    """Return the offsets of a logger, as `offset_at` has them."""
    begins_ms = sorted({0, *(tenure.from_ms for tenure in tenures_of(logger))})
    offsets_c = [offset_at(logger, at_ms) for at_ms in begins_ms]
    changes = [n for n in range(len(begins_ms)) if n == 0 or offsets_c[n] != offsets_c[n - 1]]
    return Certificates([begins_ms[n] for n in changes], [offsets_c[n] for n in changes])
