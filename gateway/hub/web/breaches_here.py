"""What has broken, and what is wanted, of the consignments on the bench: for whoever a message sent there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.breaches.lifecycle import ReviewState
from gateway.hub.database.schema import alerts, users, vigils
from gateway.hub.notification.facts import read_story
from gateway.hub.notification.wording import say_alert
from gateway.hub.review.alerts import StoredAlert, check_alert_is_theirs, read_alert, to_alert
from gateway.hub.review.competence import NotYoursError
from gateway.hub.review.decisions import Decision
from gateway.hub.review.queue import QueuedBreach, read_unclosed
from gateway.hub.signals.alerts import OPEN, AlertKind, read_open
from gateway.hub.web.bench import BenchView
from gateway.hub.web.quality.queue import to_line
from gateway.hub.web.quality.words import STATES, say_life
from gateway.language import Speech
from gateway.language.speech import N_

SHOWN_MAX = 20
"""Of each of breaches and alerts: what fits a page that is there for something else. The queue has them all."""
_ABOUT_ITEMS = (AlertKind.NEW_SAMPLE.value, AlertKind.VERDICT_WORSENED.value)


@dataclass(frozen=True, slots=True)
class Matter:
    """A breach or an alert, in words.

    life          whether it runs, "" for an alert
    state         how far people are with it
    acknowledged  by whom and when, "" while nobody has
    is_offered    this reader may acknowledge it, now
    """

    id: int
    is_breach: bool
    consignment: str
    item: str
    title: str
    text: str
    life: str
    state: str
    acknowledged: str
    is_offered: bool


@dataclass(frozen=True, slots=True)
class Here:
    """What is not closed of all that the bench shows; `is_cut` where there is more of it than is shown."""

    breaches: Sequence[Matter]
    alerts: Sequence[Matter]
    is_cut: bool

    def of(self, consignment: str, item: str = "") -> Here:
        """Return what is about a consignment, or about one item of it and about none in particular."""
        breaches = list(_about(self.breaches, consignment, item))
        return Here(breaches, list(_about(self.alerts, consignment, item)), is_cut=self.is_cut)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.breaches or self.alerts)


NOTHING_HERE = Here((), (), is_cut=False)


def read_here(
    connection: Connection, caller: Caller, speech: Speech, view: BenchView, decisions: Iterable[Decision]
) -> Here:
    """Return what is not closed of what the bench shows; where nothing is registered, of the watch over a box.

    `decisions` are those in force: what they ask for is known by their numbers. Blocking.
    """
    codes = [found.code for found in view.found] or [view.code, *_watches(connection, view.box)]
    queued = read_unclosed(connection, codes, SHOWN_MAX + 1)
    stored = _read_alerts(connection, view, codes, decisions)
    acknowledged = [one.standing.acknowledged_by for one in queued] + [one.acknowledged_by for one in stored]
    names = _names(connection, {name for name in acknowledged if name})
    return Here(
        [_to_breach(one, caller, names, speech) for one in queued[:SHOWN_MAX]],
        [_to_alert(connection, one, caller, names, speech) for one in stored[:SHOWN_MAX]],
        is_cut=max(len(queued), len(stored)) > SHOWN_MAX,
    )


def _about(matters: Iterable[Matter], consignment: str, item: str) -> Iterator[Matter]:
    return (one for one in matters if one.consignment == consignment and (not item or one.item in {"", item}))


def _watches(connection: Connection, box: str) -> Sequence[str]:
    if not box:
        return ()
    return (
        connection.execute(select(vigils.c.code).where(vigils.c.box == box, vigils.c.ends_ms.is_(None))).scalars().all()
    )


def _read_alerts(
    connection: Connection, view: BenchView, codes: Collection[str], decisions: Iterable[Decision]
) -> list[StoredAlert]:
    """Return the open ones; and acknowledged ones that are about the decisions and verdicts shown, by their keys."""
    keys = [f"request:{one.id}" for one in decisions if one.new_sample]
    keys += [
        f"verdict:{found.code}:{item.code}:{examination.code}:{examination.version}"
        for found in view.found
        for item in found.items
        for examination in item.examinations
    ]
    waiting = OPEN & alerts.c.kind.in_(_ABOUT_ITEMS) & alerts.c.source.in_(codes)
    wanted = select(alerts).where(or_(waiting, alerts.c.key.in_(keys)), alerts.c.resolved_at_ms.is_(None))
    found = [to_alert(row) for row in connection.execute(wanted.order_by(alerts.c.id).limit(SHOWN_MAX + 1))]
    lost = [one.id for one in read_open(connection, AlertKind.LOGGER_LOST) if one.about["consignment"] in codes]
    return found + [read_alert(connection, number) for number in lost]


def _names(connection: Connection, accounts: Collection[str]) -> Mapping[str, str]:
    if not accounts:
        return {}
    rows = connection.execute(select(users.c.name, users.c.printed_name).where(users.c.name.in_(accounts)))
    return {row.name: row.printed_name for row in rows}


def _to_breach(queued: QueuedBreach, caller: Caller, names: Mapping[str, str], speech: Speech) -> Matter:
    line, breach, standing = to_line(queued, caller, speech), queued.breach, queued.standing
    return Matter(
        id=breach.id,
        is_breach=True,
        consignment=breach.consignment,
        item=breach.item,
        title=line.title,
        text=line.sentence,
        life=say_life(breach, speech, is_running=queued.is_running),
        state=line.state,
        acknowledged=_say_acknowledged(standing.acknowledged_by, standing.acknowledged_at_ms, names, speech),
        is_offered=line.is_offered,
    )


def _to_alert(
    connection: Connection, alert: StoredAlert, caller: Caller, names: Mapping[str, str], speech: Speech
) -> Matter:
    said = say_alert(read_story(connection, alert.id), speech)
    return Matter(
        id=alert.id,
        is_breach=False,
        consignment=str(alert.about["consignment"]),
        item=str(alert.about.get("item") or ""),
        title=said.title,
        text=said.text,
        life="",
        state=speech.gettext(STATES[ReviewState.OPEN]),
        acknowledged=_say_acknowledged(alert.acknowledged_by, alert.acknowledged_at_ms, names, speech),
        is_offered=alert.acknowledged_by is None and _is_theirs(connection, alert, caller),
    )


def _is_theirs(connection: Connection, alert: StoredAlert, caller: Caller) -> bool:
    try:
        check_alert_is_theirs(connection, alert, caller)
    except NotYoursError:
        return False
    return caller.may(Right.ACKNOWLEDGE_ALERTS)


def _say_acknowledged(who: str | None, at_ms: int | None, names: Mapping[str, str], speech: Speech) -> str:
    if who is None or at_ms is None:
        return ""
    said = speech.gettext(N_("Acknowledged by {name}, {moment}."))
    return said.format(name=names.get(who, who), moment=speech.moment(at_ms))
