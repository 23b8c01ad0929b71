"""Bundling: a digest instead of a flood. Pure.

So many messages may go to one channel within a window. While there is room for all, each alert is a message of its own;
otherwise the last free place takes all that wait as one message, and what comes then waits for the next free place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GATHERED_MAX = 100
"""Alerts in one digest: more than anybody reads, and 20 KB of text."""


@dataclass(frozen=True, slots=True)
class Bundled:
    """What leaves now, each tuple a message; the rest waits until `again_ms` (None where nothing does)."""

    messages: tuple[tuple[int, ...], ...]
    again_ms: int | None


def bundle(due: Sequence[int], made_at_ms: Sequence[int], now_ms: int, *, most: int, window_ms: int) -> Bundled:
    """Return the messages to make of the deliveries `due`, oldest first; `made_at_ms` are those made before."""
    recent = sorted(at_ms for at_ms in made_at_ms if at_ms > now_ms - window_ms)
    room = most - len(recent)
    if not due:
        return Bundled((), None)
    if room <= 0:
        # So many of them have to grow old that one place becomes free.
        return Bundled((), recent[len(recent) - most] + window_ms)
    if len(due) <= room - 1 or (len(due) == 1 and room == 1):
        return Bundled(tuple((one,) for one in due), None)
    alone, together = due[: room - 1], due[room - 1 :]
    first, rest = together[:GATHERED_MAX], together[GATHERED_MAX:]
    messages = (*((one,) for one in alone), tuple(first))
    return Bundled(messages, now_ms + window_ms if rest else None)
