"""Turns: which of the marked consignments a watch takes, where several share the marks.

Whoever has a consignment's fold in memory goes on from it; any other would read and fold again what the first has
folded already. So a watch takes its own, and what nobody has; another's only after it has waited, since that one may
be busy, or dead.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from gateway.hub.database.schema import dirty, folds
from gateway.hub.database.store import Store

PATIENCE_S = 3.0
"""Real seconds for which nothing is seen to be done for a marked consignment before another watch than its keeper
takes it: several times what a keeper needs for a batch, and as late as a verdict may be after a watch was killed."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A marked consignment: since when, and who has saved its fold when (None: nobody yet)."""

    consignment: str
    marked_at_ms: int
    keeper: str | None
    saved_at_ms: int | None


class Turns:
    """What one watch takes, and what it has seen wait.

    name   no two watches have the same
    now_s  real seconds, from anywhere
    """

    def __init__(self, name: str, now_s: Callable[[], float]) -> None:
        self._name = name
        self._now_s = now_s
        self._seen: dict[str, tuple[Waiting, float]] = {}

    def is_others(self, one: Waiting) -> bool:
        """Whether another watch has saved its fold last."""
        return one.keeper not in (None, self._name)

    def choose(self, waiting: Sequence[Waiting]) -> list[str]:
        """Return the consignments to be claimed, in the order of `waiting`."""
        now_s = self._now_s()
        seen: dict[str, tuple[Waiting, float]] = {}
        for one in filter(self.is_others, waiting):
            known = self._seen.get(one.consignment)
            # A mark that is set anew, or a fold that is saved, shows that its keeper is at work.
            seen[one.consignment] = known if known is not None and known[0] == one else (one, now_s)
        self._seen = seen
        return [
            one.consignment
            for one in waiting
            if one.consignment not in seen or now_s - seen[one.consignment][1] >= PATIENCE_S
        ]


def name_watch(store: Store) -> str:
    """Return a name for a watch over a store; none where it has the store for itself."""
    return "" if store.is_embedded else secrets.token_hex(8)


def read_waiting(connection: Connection, limit: int) -> list[Waiting]:
    """Return the consignments marked longest."""
    rows = connection.execute(
        select(dirty.c.consignment, dirty.c.marked_at_ms, folds.c.keeper, folds.c.saved_at_ms)
        .outerjoin(folds, folds.c.consignment == dirty.c.consignment)
        .order_by(dirty.c.marked_at_ms, dirty.c.consignment)
        .limit(limit)
    )
    return [Waiting(*row) for row in rows]
