"""The life of a breach as people see it. Pure: one table, and what is not in it is refused.

Whether the breach still runs is another matter (its excursion lasts, or has ended), and so is how far it is
established (provisional, confirmed, withdrawn).

============  ============  ============  ============  ============
event         open          acknowledged  in_review     closed
============  ============  ============  ============  ============
acknowledge   acknowledged
assign        open          acknowledged  in_review
comment       open          acknowledged  in_review     closed
begin                       in_review
conclude                                  in_review
close                                     closed
sign                                                    closed
reopen                                                  in_review
withdraw      closed        closed        in_review     closed
restore       open          open          in_review     open
lose          closed        closed        in_review     closed
find          open          acknowledged  in_review     open
============  ============  ============  ============  ============

`withdraw` and `restore` come from the watch: late data has removed the breach, or brought it back. Somebody who is
at it meanwhile keeps it and closes it. `lose` and `find` come with what somebody says of the logger: nothing more will
come of it, or it is found again.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.core.errors import ColdchainError


class ReviewState(StrEnum):
    """How far people are with a breach."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    IN_REVIEW = "in_review"
    CLOSED = "closed"


class ReviewEvent(StrEnum):
    """What happens to a breach under review."""

    ACKNOWLEDGE = "acknowledge"
    ASSIGN = "assign"
    COMMENT = "comment"
    BEGIN = "begin"
    CONCLUDE = "conclude"
    CLOSE = "close"
    SIGN = "sign"
    REOPEN = "reopen"
    WITHDRAW = "withdraw"
    RESTORE = "restore"
    LOSE = "lose"
    FIND = "find"


class NotNowError(ColdchainError):
    """What was asked contradicts how things stand by now."""


_O, _A, _R, _C = ReviewState
_NEXT: dict[ReviewEvent, dict[ReviewState, ReviewState]] = {
    ReviewEvent.ACKNOWLEDGE: {_O: _A},
    ReviewEvent.ASSIGN: {_O: _O, _A: _A, _R: _R},
    ReviewEvent.COMMENT: {_O: _O, _A: _A, _R: _R, _C: _C},
    ReviewEvent.BEGIN: {_A: _R},
    ReviewEvent.CONCLUDE: {_R: _R},
    ReviewEvent.CLOSE: {_R: _C},
    ReviewEvent.SIGN: {_C: _C},
    ReviewEvent.REOPEN: {_C: _R},
    ReviewEvent.WITHDRAW: {_O: _C, _A: _C, _R: _R, _C: _C},
    ReviewEvent.RESTORE: {_O: _O, _A: _O, _R: _R, _C: _O},
    ReviewEvent.LOSE: {_O: _C, _A: _C, _R: _R, _C: _C},
    ReviewEvent.FIND: {_O: _O, _A: _A, _R: _R, _C: _O},
}


_INDIRECT = frozenset({ReviewEvent.WITHDRAW, ReviewEvent.RESTORE, ReviewEvent.LOSE, ReviewEvent.FIND})
"""What nobody does to a breach directly."""


def next_state(state: ReviewState, event: ReviewEvent) -> ReviewState:
    """Return where an event leads; raises NotNowError if it cannot happen now."""
    found = _NEXT[event].get(state)
    if found is None:
        raise NotNowError(f"the breach is {state.replace('_', ' ')}: {event} is not possible now")
    return found


def possible_events(state: ReviewState) -> tuple[ReviewEvent, ...]:
    """Return what people can do in a state."""
    return tuple(event for event in ReviewEvent if event not in _INDIRECT and state in _NEXT[event])
