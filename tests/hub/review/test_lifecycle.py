from __future__ import annotations

from itertools import product

import pytest

from gateway.hub.breaches.lifecycle import NotNowError, ReviewEvent, ReviewState, next_state, possible_events

OPEN, SEEN, WORK, DONE = ReviewState
TABLE = {
    (ReviewEvent.ACKNOWLEDGE, OPEN): SEEN,
    (ReviewEvent.ASSIGN, OPEN): OPEN,
    (ReviewEvent.ASSIGN, SEEN): SEEN,
    (ReviewEvent.ASSIGN, WORK): WORK,
    (ReviewEvent.COMMENT, OPEN): OPEN,
    (ReviewEvent.COMMENT, SEEN): SEEN,
    (ReviewEvent.COMMENT, WORK): WORK,
    (ReviewEvent.COMMENT, DONE): DONE,
    (ReviewEvent.BEGIN, SEEN): WORK,
    (ReviewEvent.CONCLUDE, WORK): WORK,
    (ReviewEvent.CLOSE, WORK): DONE,
    (ReviewEvent.SIGN, DONE): DONE,
    (ReviewEvent.REOPEN, DONE): WORK,
    (ReviewEvent.WITHDRAW, OPEN): DONE,
    (ReviewEvent.WITHDRAW, SEEN): DONE,
    (ReviewEvent.WITHDRAW, WORK): WORK,
    (ReviewEvent.WITHDRAW, DONE): DONE,
    (ReviewEvent.RESTORE, OPEN): OPEN,
    (ReviewEvent.RESTORE, SEEN): OPEN,
    (ReviewEvent.RESTORE, WORK): WORK,
    (ReviewEvent.RESTORE, DONE): OPEN,
    (ReviewEvent.LOSE, OPEN): DONE,
    (ReviewEvent.LOSE, SEEN): DONE,
    (ReviewEvent.LOSE, WORK): WORK,
    (ReviewEvent.LOSE, DONE): DONE,
    (ReviewEvent.FIND, OPEN): OPEN,
    (ReviewEvent.FIND, SEEN): SEEN,
    (ReviewEvent.FIND, WORK): WORK,
    (ReviewEvent.FIND, DONE): OPEN,
}


@pytest.mark.parametrize(("event", "state"), list(product(ReviewEvent, ReviewState)))
def test_every_event_in_every_state(event: ReviewEvent, state: ReviewState) -> None:
    expected = TABLE.get((event, state))
    if expected is None:
        with pytest.raises(NotNowError, match=event):
            next_state(state, event)
    else:
        assert next_state(state, event) is expected


@pytest.mark.parametrize("state", list(ReviewState))
def test_what_is_offered_is_what_is_possible_for_people(state: ReviewState) -> None:
    watched = {ReviewEvent.WITHDRAW, ReviewEvent.RESTORE, ReviewEvent.LOSE, ReviewEvent.FIND}
    assert set(possible_events(state)) == {event for event, of in TABLE if of is state} - watched
