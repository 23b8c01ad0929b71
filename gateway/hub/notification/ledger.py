"""The ledger: deliveries planned and messages made, in the store, so that a crash between any two steps loses nothing.

An alert is *noticed* in the transaction that plans its deliveries; deliveries become messages, with the id under which
they leave, in one transaction; a message is marked sent after sending. So an alert may come twice, with one id.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, exists, func, insert, or_, select, update

from gateway.hub.breaches.keeping import BreachState
from gateway.hub.database.schema import alerts, breaches, deliveries, messages, notices, reviews
from gateway.hub.database.store import insert_or_skip, inserted_id
from gateway.hub.notification.bundling import bundle
from gateway.hub.notification.directory import read_policies, read_recipient, read_recipients
from gateway.hub.notification.facts import Story, read_story
from gateway.hub.notification.planner import MINUTE_MS, plan
from gateway.hub.notification.policies import Subject, choose_policy
from gateway.hub.notification.recipients import Recipient
from gateway.hub.signals.alerts import AlertKind
from gateway.mqtt import backoff_s

NOTICED_AT_ONCE = 200
"""Alerts planned in one transaction: half a second's work, and nobody's first alert waits for more."""
DUE_AT_ONCE = 2000
SENT_AT_ONCE = 500
_BEHIND = 1000
"""Alerts may be committed out of their order; none is so many behind."""
LONGEST_PAUSE_S = 600.0
"""Between two attempts: a server that is up again gets its messages within ten minutes."""
GIVEN_UP_MS = 24 * 60 * MINUTE_MS
"""After a day without success a message is failed: by then the alert is somebody else's."""
UNREACHED = 3
"""Attempts after which the next step does not wait any longer for somebody who cannot be reached."""
FAILURE_MAX = 200


class MessageState(StrEnum):
    """Where a message stands."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class DeliveryState(StrEnum):
    """Where a delivery stands; `taken` into a message, whose state then counts."""

    WAITING = "waiting"
    TAKEN = "taken"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Message:
    """What leaves. `made_at_ms` and `due_ms` (next attempt) are real time, `sent_at_ms` domain time."""

    id: int
    uid: str
    recipient: str
    channel: str
    state: MessageState
    made_at_ms: int
    due_ms: int
    attempts: int
    failure: str
    sent_at_ms: int | None


def has_work(connection: Connection, now_ms: int) -> bool:
    """Say whether `notice_alerts` or `make_messages` has anything to do."""
    due = select(deliveries.c.id).where(_is_due(now_ms)).limit(1)
    return bool(_read_unnoticed(connection, 1)) or connection.execute(due).first() is not None


def notice_alerts(connection: Connection, now_ms: int, zone: ZoneInfo) -> int:
    """Plan the deliveries of alerts that nobody was told of yet; return how many alerts."""
    waiting = _read_unnoticed(connection, NOTICED_AT_ONCE)
    if not waiting:
        return 0
    recipients, policies = read_recipients(connection), read_policies(connection)
    for alert_id in waiting:
        story = read_story(connection, alert_id)
        policy = choose_policy(policies, story.facts, zone)
        is_retraction = story.facts.subject is Subject.RETRACTION
        told = _told(connection, story) if is_retraction else frozenset[str]()
        planned = plan(story.facts, policy, recipients, acknowledged=_is_dealt_with(connection, alert_id), told=told)
        name = policy.name if policy is not None and planned else ""
        if not insert_or_skip(connection, notices, alert_id=alert_id, policy=name, planned_at_ms=now_ms):
            continue
        for one in planned:
            insert_or_skip(
                connection,
                deliveries,
                alert_id=alert_id,
                recipient=one.recipient,
                channel=one.channel,
                step=one.step,
                due_ms=one.due_ms,
                state=DeliveryState.WAITING,
            )
    return len(waiting)


def make_messages(connection: Connection, now_ms: int, real_ms: int, make_uid: Callable[[], str]) -> int:
    """Make messages of what is due, bounded for each channel; return how many."""
    _cancel_needless(connection, now_ms)
    query = select(deliveries).where(_is_due(now_ms)).order_by(deliveries.c.recipient, deliveries.c.channel)
    rows = connection.execute(query.order_by(deliveries.c.id).limit(DUE_AT_ONCE)).all()
    made = 0
    for (name, channel), group in groupby(rows, key=lambda row: (row.recipient, row.channel)):
        recipient, due = read_recipient(connection, name), [int(row.id) for row in group]
        if recipient is None or not recipient.is_reachable or recipient.channel(channel) is None:
            connection.execute(update(deliveries).where(deliveries.c.id.in_(due)).values(state=DeliveryState.CANCELLED))
            continue
        window_ms = recipient.window_min * MINUTE_MS
        before = _made_since(connection, name, channel, real_ms - window_ms, real_ms)
        bundled = bundle(due, before, real_ms, most=recipient.messages, window_ms=window_ms)
        for together in bundled.messages:
            values = {"recipient": name, "channel": channel, "made_at_ms": real_ms, "due_ms": real_ms}
            statement = insert(messages).values(uid=make_uid(), state=MessageState.WAITING, **values)
            message_id = inserted_id(connection.execute(statement))
            connection.execute(
                update(deliveries)
                .where(deliveries.c.id.in_(together))
                .values(state=DeliveryState.TAKEN, message_id=message_id)
            )
            made += 1
    return made


def read_due(connection: Connection, real_ms: int) -> list[Message]:
    """Return the messages to send now, one of each channel: that which waits longest since it became due."""
    due = (messages.c.state == MessageState.WAITING) & (messages.c.due_ms <= real_ms)
    channel = (messages.c.recipient, messages.c.channel)
    turn = func.row_number().over(partition_by=channel, order_by=(messages.c.due_ms, messages.c.id)).label("turn")
    first = select(messages, turn).where(due).subquery()
    query = select(first).where(first.c.turn == 1).order_by(first.c.due_ms, first.c.id).limit(SENT_AT_ONCE)
    return [to_message(row) for row in connection.execute(query)]


def read_contents(connection: Connection, message_id: int) -> tuple[Recipient | None, list[Story]]:
    """Return whom a message is for (None if removed meanwhile) and the alerts that it tells of, oldest first."""
    name = connection.execute(select(messages.c.recipient).where(messages.c.id == message_id)).scalar_one()
    ids = connection.execute(
        select(deliveries.c.alert_id).where(deliveries.c.message_id == message_id).order_by(deliveries.c.alert_id)
    ).scalars()
    return read_recipient(connection, name), [read_story(connection, alert_id) for alert_id in list(ids)]


def note_sent(connection: Connection, message: Message, now_ms: int) -> None:
    """Mark a message sent."""
    connection.execute(
        update(messages)
        .where(messages.c.id == message.id, messages.c.state == MessageState.WAITING)
        .values(state=MessageState.SENT, attempts=message.attempts + 1, failure="", sent_at_ms=now_ms)
    )


def note_lost(connection: Connection, message: Message, failure: str) -> None:
    """Mark a message failed for good."""
    connection.execute(
        update(messages)
        .where(messages.c.id == message.id, messages.c.state == MessageState.WAITING)
        .values(state=MessageState.FAILED, failure=failure[:FAILURE_MAX])
    )


def note_failure(
    connection: Connection, message: Message, failure: str, now_ms: int, real_ms: int, rng: random.Random
) -> None:
    """Have a message tried again later, or give it up; the next step does not wait for whom nothing reaches."""
    attempts = message.attempts + 1
    pause_ms = round(backoff_s(attempts + 2, LONGEST_PAUSE_S, rng) * 1000)  # from 1 to 2 s, doubling
    is_over = real_ms - message.made_at_ms >= GIVEN_UP_MS
    connection.execute(
        update(messages)
        .where(messages.c.id == message.id, messages.c.state == MessageState.WAITING)
        .values(
            state=MessageState.FAILED if is_over else MessageState.WAITING,
            attempts=attempts,
            failure=failure[:FAILURE_MAX],
            due_ms=real_ms + pause_ms,
        )
    )
    if attempts == UNREACHED:
        _hurry(connection, message, now_ms)


def read_messages(connection: Connection, state: MessageState | None, limit: int, before: int = 0) -> list[Message]:
    """Return messages, newest first; those that are not sent yet or never will be, without a state."""
    query = select(messages).order_by(messages.c.id.desc()).limit(limit)
    wanted = messages.c.state == state if state else messages.c.state != MessageState.SENT
    query = query.where(wanted, messages.c.id < before) if before else query.where(wanted)
    return [to_message(row) for row in connection.execute(query)]


def count_alerts_for_nobody(connection: Connection, since_ms: int) -> int:
    """Return how many alerts since a moment reached no recipient: nobody is registered, or policies miss them."""
    query = select(func.count()).select_from(notices.join(alerts, alerts.c.id == notices.c.alert_id))
    missed = query.where(notices.c.policy == "", notices.c.planned_at_ms >= since_ms)
    return int(connection.execute(missed.where(alerts.c.kind != AlertKind.RETRACTION)).scalar_one())


def to_message(row: Row[tuple[object, ...]]) -> Message:
    """Return the value of a row."""
    return Message(
        id=int(row.id),
        uid=row.uid,
        recipient=row.recipient,
        channel=row.channel,
        state=MessageState(row.state),
        made_at_ms=row.made_at_ms,
        due_ms=row.due_ms,
        attempts=row.attempts,
        failure=row.failure,
        sent_at_ms=row.sent_at_ms,
    )


def _read_unnoticed(connection: Connection, limit: int) -> list[int]:
    """Alerts to be planned: the oldest of each source, then the second of each. No source holds up another's first."""
    newest = connection.execute(select(func.max(notices.c.alert_id))).scalar() or 0
    turn = func.row_number().over(partition_by=alerts.c.source, order_by=alerts.c.id).label("turn")
    waiting = (
        select(alerts.c.id, turn)
        .where(alerts.c.id > newest - _BEHIND, ~exists().where(notices.c.alert_id == alerts.c.id))
        .subquery()
    )
    query = select(waiting.c.id).order_by(waiting.c.turn, waiting.c.id).limit(limit)
    return [int(found) for found in connection.execute(query).scalars()]


def _is_due(now_ms: int) -> ColumnElement[bool]:
    return (deliveries.c.state == DeliveryState.WAITING) & (deliveries.c.due_ms <= now_ms)


def _made_since(connection: Connection, recipient: str, channel: str, since_ms: int, real_ms: int) -> list[int]:
    """When messages were made. Where more than that still wait, as if they were made now: nothing piles up behind."""
    of_channel = (messages.c.recipient == recipient) & (messages.c.channel == channel)
    recent = select(messages.c.made_at_ms).where(of_channel, messages.c.made_at_ms > since_ms)
    made = list(connection.execute(recent).scalars())
    waiting = select(func.count()).where(of_channel, messages.c.state == MessageState.WAITING)
    return made + [real_ms] * (int(connection.execute(waiting).scalar_one()) - len(made))


def _told(connection: Connection, story: Story) -> frozenset[str]:
    """Who heard of the breach that is withdrawn, or is about to."""
    names = connection.execute(
        select(deliveries.c.recipient)
        .distinct()
        .join(alerts, alerts.c.id == deliveries.c.alert_id)
        .where(
            alerts.c.breach_id == story.breach,
            alerts.c.kind == AlertKind.BREACH,
            deliveries.c.state == DeliveryState.TAKEN,
        )
    ).scalars()
    return frozenset(names)


_WITHDRAWN = (BreachState.NOT_CONFIRMED, BreachState.SUPERSEDED)


def _is_dealt_with(connection: Connection, alert_id: int) -> bool:
    """Whether somebody has acknowledged the alert or its breach, or what it tells of is over or was withdrawn."""
    query = (
        select(alerts.c.id)
        .outerjoin(breaches, breaches.c.id == alerts.c.breach_id)
        .outerjoin(reviews, reviews.c.breach_id == breaches.c.id)
        .where(
            alerts.c.id == alert_id,
            or_(
                reviews.c.state != "open",
                breaches.c.state.in_(_WITHDRAWN),
                alerts.c.acknowledged_at_ms.is_not(None),
                alerts.c.resolved_at_ms.is_not(None),
            ),
        )
    )
    return connection.execute(query).first() is not None


def _cancel_needless(connection: Connection, now_ms: int) -> None:
    """Give up what is due and not needed any more: escalation of what was acknowledged, alerts of what is over."""
    told = (alerts.c.id == deliveries.c.alert_id) & (alerts.c.kind == AlertKind.BREACH)
    review = (reviews.c.breach_id == alerts.c.breach_id) & (reviews.c.state != "open")
    breach = (breaches.c.id == alerts.c.breach_id) & breaches.c.state.in_(_WITHDRAWN)
    acknowledged = select(alerts.c.id).join(reviews, review).where(told).correlate(deliveries).exists()
    withdrawn = select(alerts.c.id).join(breaches, breach).where(told).correlate(deliveries).exists()
    own = select(alerts.c.id).where(alerts.c.id == deliveries.c.alert_id).correlate(deliveries)
    taken = own.where(alerts.c.acknowledged_at_ms.is_not(None)).exists()
    over = own.where(alerts.c.resolved_at_ms.is_not(None)).exists()
    needless = ((acknowledged | taken) & (deliveries.c.step > 0)) | withdrawn | over
    connection.execute(update(deliveries).where(_is_due(now_ms), needless).values(state=DeliveryState.CANCELLED))


def _hurry(connection: Connection, message: Message, now_ms: int) -> None:
    """Bring forward the next step of alerts that have reached nobody yet."""
    ids = connection.execute(select(deliveries.c.alert_id).where(deliveries.c.message_id == message.id)).scalars()
    for alert_id in list(ids):
        there = (
            select(messages.c.id)
            .join(deliveries, deliveries.c.message_id == messages.c.id)
            .where(deliveries.c.alert_id == alert_id, messages.c.state == MessageState.SENT)
        )
        waiting = (deliveries.c.alert_id == alert_id) & (deliveries.c.state == DeliveryState.WAITING)
        step = connection.execute(select(func.min(deliveries.c.step)).where(waiting)).scalar()
        if step is None or connection.execute(there.limit(1)).first() is not None:
            continue
        later = deliveries.c.due_ms > now_ms
        connection.execute(update(deliveries).where(waiting, deliveries.c.step == step, later).values(due_ms=now_ms))
