"""What must hold while everything goes wrong, and what must be so when it has ended."""

from __future__ import annotations

from collections import Counter

import msgspec
from sqlalchemy import select

from gateway.core.judgement import judge_consignment
from gateway.core.observations import Observation, Source
from gateway.core.verdicts import Judgement
from gateway.hub.breaches.keeping import BreachState, read_breaches
from gateway.hub.database import schema
from gateway.hub.judgement.verdict_history import read_current
from gateway.hub.judgement.watch import carried_span
from gateway.hub.proof.verification import verify_store
from gateway.hub.signals.alerts import AlertKind
from gateway.hub.signals.dirty import MARGIN_MS
from tests.simulation.loggers import Logger
from tests.simulation.machines import HubMachine, VehicleMachine


def check_at_any_time(vehicle: VehicleMachine, hub: HubMachine) -> None:
    """What was sealed is on the card or at the hub, and nothing anywhere is anything that no logger ever said."""
    at_hub = hub.observations()
    lost = vehicle.sealed - at_hub - vehicle.on_card()
    assert not lost, f"{len(lost)} sealed observations are lost, {min(lost, key=lambda o: o.measured_at_ms)}"
    _check_values(vehicle, at_hub)


def check_completed(vehicle: VehicleMachine, hub: HubMachine, consignment: str) -> None:
    """Nothing is lost, doubled or altered; the verdict is what the archive says; one breach, one alert."""
    at_hub = hub.observations()
    lost = vehicle.sealed - at_hub
    assert vehicle.sealed or vehicle.given_up, "nothing was ever sealed: the simulation does not simulate"
    assert not lost, f"{len(lost)} sealed observations never arrived, {min(lost, key=lambda o: o.measured_at_ms)}"
    _check_values(vehicle, at_hub)
    _check_repetitions(vehicle, hub)
    _check_continuity(vehicle, hub)
    report = verify_store(hub.store)
    assert report.is_proven, report.findings
    _check_verdicts(vehicle, hub, consignment)
    _check_alerts(hub, consignment)


def _check_values(vehicle: VehicleMachine, observations: set[Observation]) -> None:
    loggers = {logger.address: logger for logger in vehicle.loggers}
    for observation in observations:
        assert _is_true(loggers[observation.logger], observation), f"no logger ever said {observation}"


def _is_true(logger: Logger, observation: Observation) -> bool:
    if observation.source is Source.LIVE:
        return (observation.counter, observation.temperature_mc) in logger.told
    return observation.temperature_mc % 10 == 0 and observation.temperature_mc in logger.remembered


def _check_repetitions(vehicle: VehicleMachine, hub: HubMachine) -> None:
    """An observation is in the archive once, unless its segment was sealed again on its way."""
    counted = Counter(o for logger in vehicle.loggers for o in hub.disk.observations(logger.address))
    repeated = [observation for observation, times in counted.items() if times > 1]
    assert not repeated or vehicle.has_resealed, f"{len(repeated)} observations came twice, {repeated[0]}"


def _check_continuity(vehicle: VehicleMachine, hub: HubMachine) -> None:
    """Each start goes on where the one before ended: a log that nobody touched is neither doubted nor refused."""
    if vehicle.is_card_another or vehicle.has_resealed or hub.backup is not None:
        return
    doubts = schema.alerts.c.kind.in_((AlertKind.LOG_FORKED, AlertKind.LOG_RESTARTED))
    with hub.store.read() as connection:
        doubted = connection.execute(select(schema.alerts.c.kind, schema.alerts.c.document).where(doubts)).all()
        kept = schema.quarantine.c
        refused = connection.execute(select(kept.code, kept.reason).where(kept.source == "log")).all()
    assert not doubted, f"an untouched log is doubted: {doubted[0]}"
    assert not refused, f"an untouched log is refused: {refused[0]}"


def _check_verdicts(vehicle: VehicleMachine, hub: HubMachine, consignment: str) -> None:
    case = hub.configurations.case(consignment)
    assert case is not None
    now_ms = hub.clock.now_ms()
    hub.watch.patrol()  # what is due to be dated is, by the same
    carried = carried_span(case.consignment, now_ms)
    assert carried is not None
    observations = {
        observation
        for logger in vehicle.loggers
        for observation in hub.disk.dated(logger.address)
        if carried[0] - MARGIN_MS <= observation.measured_at_ms < carried[1] + MARGIN_MS
    }
    expected = judge_consignment(case.consignment, case.configuration, observations, now_ms)
    with hub.store.read() as connection:
        found = {one.judgement.item: one.judgement for one in read_current(connection, consignment)}
    for judgement in expected:
        assert _telling(found[judgement.item]) == _telling(judgement), f"a wrong verdict on {judgement.item}"


def _telling(judgement: Judgement) -> dict[str, object]:
    """All but the moment of judging, after which a received consignment does not change."""
    document = msgspec.to_builtins(judgement)
    assert isinstance(document, dict)
    return {name: value for name, value in document.items() if name != "through_ms"}


def _check_alerts(hub: HubMachine, consignment: str) -> None:
    alerts = schema.alerts
    with hub.store.read() as connection:
        breaches = read_breaches(connection, consignment=consignment)
        rows = connection.execute(select(alerts.c.kind, alerts.c.breach_id, alerts.c.occasion, alerts.c.sent_at_ms))
        told = Counter((row.breach_id, row.kind, row.occasion) for row in rows if row.breach_id is not None)
        current = [one.judgement for one in read_current(connection, consignment)]
        unsent = connection.execute(select(alerts.c.id).where(alerts.c.sent_at_ms.is_(None))).all()
    assert not unsent, "an alert was never sent"
    assert set(told.values()) <= {1}, f"a breach alerted twice: {told}"
    active = Counter((b.item, b.rule, b.kind) for b in breaches if b.state is BreachState.CONFIRMED)
    waiting = [b for b in breaches if b.state is BreachState.PROVISIONAL]
    assert not waiting, f"provisional for ever: {waiting}"
    assert active == Counter((j.item, b.rule, b.kind) for j in current for b in j.breaches)
    alerted = {breach_id for breach_id, kind, _ in told if kind == AlertKind.BREACH}
    for breach in breaches:
        is_withdrawn = breach.state in (BreachState.SUPERSEDED, BreachState.NOT_CONFIRMED)
        if is_withdrawn and breach.merged_into is None and breach.id in alerted:
            assert any(i == breach.id and kind == AlertKind.RETRACTION for i, kind, _ in told), "never retracted"
    for item in {j.item for j in current if j.breaches}:
        assert alerted & {b.id for b in breaches if b.item == item}, f"no alert for the breach of {item}"
