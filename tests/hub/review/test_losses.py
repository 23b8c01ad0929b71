"""Loggers that fall silent while a breach runs; what happens when somebody says that they are lost, and found."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from gateway.core.configuration import Logger
from gateway.core.errors import InputError
from gateway.hub.breaches.lifecycle import NotNowError, ReviewState
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.record.archive import Archive
from gateway.hub.review.alerts import StoredAlert, read_alerts
from gateway.hub.review.competence import NotYoursError
from gateway.hub.review.desk import Review, ReviewDesk
from gateway.hub.review.losses import Losses, UnknownLoggerError
from gateway.hub.signals.alerts import AlertKind
from tests.hub.review.reviewing import DOCTOR, PHARMACIST, QUALITY
from tests.hub.samples import MINUTE_MS
from tests.hub.test_vigils import Depot
from tests.hub.vans import LOGGER, START_MS, Van, observe

LAST_MS = START_MS + 1_170_000


class Scene(Depot):
    """A loaded box that was too warm when it was heard last, at LAST_MS."""

    def __init__(self, store: Store, van: Van) -> None:
        super().__init__(store, van)
        self.register()
        self.hear(0, 1200, 12.0)
        self.desk = ReviewDesk(store, self.clock.now_ms)
        self.losses = Losses(store, Archive(store), self.clock.now_ms)

    def pass_by(self, minutes: int, *, heard: bool = True) -> None:
        """Let time pass in which the vehicle sends, but nothing of the box."""
        self.clock.now += minutes * MINUTE_MS
        if heard:
            with self.store.write() as connection:
                connection.execute(update(schema.gateways).values(received_at_ms=self.clock.now))
        self.watch.patrol()

    def waiting(self) -> list[StoredAlert]:
        with self.store.read() as connection:
            found = read_alerts(connection, waiting=True)
        return [alert for alert in found if alert.kind is AlertKind.LOGGER_LOST]

    def review(self) -> Review:
        return self.desk.review(1)


@pytest.fixture
def scene(store: Store, van: Van) -> Scene:
    return Scene(store, van)


def test_a_running_breach_whose_logger_is_silent_asks_once_and_suggests_the_ending(scene: Scene) -> None:
    scene.pass_by(58)
    assert (scene.waiting(), scene.review().suggested) == ([], None)
    scene.pass_by(2)
    scene.pass_by(1)
    (told,) = scene.waiting()
    assert (told.about["box"], told.about["loggers"], told.about["silent_since_ms"]) == ("BOX-1", [LOGGER], LAST_MS)
    assert (told.about["breaches"], scene.review().suggested) == ([1], "logger_lost")
    scene.deliver(observe(1200 + 3700, 12.0))
    scene.pass_by(3)
    assert (scene.waiting(), scene.review().suggested) == ([], None)


def test_a_silent_vehicle_is_another_matter(scene: Scene) -> None:
    scene.pass_by(61, heard=False)
    assert scene.waiting() == []


def test_a_lost_logger_ends_what_runs_with_that_reason_until_it_is_found(scene: Scene) -> None:
    scene.pass_by(61)
    with pytest.raises(NotYoursError, match="sample"):
        scene.losses.lose(LOGGER, PHARMACIST, "gone")
    with pytest.raises(UnknownLoggerError):
        scene.losses.lose("nobody", QUALITY, "gone")
    with pytest.raises(InputError, match="reason"):
        scene.losses.lose(LOGGER, QUALITY, " ")
    lost = scene.losses.lose(LOGGER, QUALITY, "left at the ward")
    assert (lost.breaches, scene.losses.all()[0].who) == ((1,), "quality")
    with pytest.raises(NotNowError):
        scene.losses.lose(LOGGER, QUALITY, "again")
    scene.pass_by(1)
    review = scene.review()
    assert (review.standing.state, review.running, review.ending) == (ReviewState.CLOSED, False, "logger_lost")
    assert scene.waiting() == []
    found = scene.losses.find(LOGGER, QUALITY, "it was under the seat")
    review = scene.review()
    assert (found.breaches, review.standing.state, review.ending) == ((1,), ReviewState.OPEN, None)
    assert (review.standing.closed_at_ms, scene.losses.all()) == (None, [])
    with pytest.raises(NotNowError, match="not lost"):
        scene.losses.find(LOGGER, QUALITY, "again")
    with scene.store.read() as connection:
        acts = connection.execute(select(schema.audit).where(schema.audit.c.subject == f"logger {LOGGER}")).all()
    assert [(act.act, act.reason) for act in acts][1:] == [
        ("lose_logger", "left at the ward"),
        ("find_logger", "it was under the seat"),
    ]


def test_who_investigates_keeps_it_and_needs_no_further_ending(scene: Scene) -> None:
    scene.desk.acknowledge(1, DOCTOR)
    scene.desk.begin(1, QUALITY)
    scene.desk.conclude(1, QUALITY, "unknown", "none")
    scene.losses.lose(LOGGER, QUALITY, "broken")
    review = scene.review()
    assert (review.standing.state, review.running, review.ending) == (ReviewState.IN_REVIEW, False, "logger_lost")
    assert scene.desk.close(1, QUALITY).standing.state is ReviewState.CLOSED
    assert scene.losses.find(LOGGER, QUALITY, "repaired").breaches == (1,)
    assert scene.review().standing.state is ReviewState.OPEN


def test_another_logger_in_the_box_tells_how_it_goes_on(scene: Scene) -> None:
    scene.registry.put_logger(Logger(address="C0:FF:EE:00:00:02", box="BOX-1"), "test")
    assert scene.losses.lose(LOGGER, QUALITY, "broken").breaches == ()
    assert scene.review().standing.state is ReviewState.OPEN
    assert scene.losses.lose("C0:FF:EE:00:00:02", QUALITY, "broken too").breaches == (1,)
