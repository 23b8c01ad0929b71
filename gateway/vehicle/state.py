"""What the vehicle knows at this moment, for the driver's page and for whoever watches the process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from gateway.core.configuration import Configuration, Logger
from gateway.core.upkeep import calibration_need
from gateway.core.verdicts import Judgement
from gateway.vehicle.hearing import RadioHealth

STALE_S = 120
"""Domain seconds after which a temperature is no longer shown as the present one: ninety missed advertisements."""


class BoxWord(StrEnum):
    """How a box stands, worst last. Stale and unknown never look like ok."""

    OK = "ok"
    UNKNOWN = "unknown"
    STALE = "stale"
    WARN = "warn"
    BREACH = "breach"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class BoxView(_Part):
    """One box. `temperature_c` is the latest heard, calibrated; `age_s` is how long ago, in domain seconds.

    `faults` are those of its loggers that last: silent, stuck, out_of_range, battery_low; `needs` what their
    certificates ask for: not_calibrated, calibration_due (within 30 days), calibration_overdue.
    """

    code: str
    label: str
    temperature_c: float | None
    age_s: float | None
    state: BoxWord
    faults: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


class LinkView(_Part):
    """The line to the broker; `reason` says in words why it is down."""

    up: bool
    reason: str


class ClockState(_Part):
    """How it stands with the time: whether it is trusted, the bound on its error, who vouched for it and when.

    `reference` is ntp, chrony, gps or declared, empty if nobody did since power came; then `synchronised_s`, the
    domain seconds since, is None.
    """

    trusted: bool
    error_ms: int
    reference: str
    synchronised_s: int | None


class OutboxView(_Part):
    """Segments and bytes that the hub does not hold yet; counts since this start; why the disk refuses, if it does."""

    segments: int
    bytes: int
    stored_bytes: int
    sealed: int
    sent: int
    failure: str


class AdapterView(_Part):
    """One adapter: how it listens or why not, scans begun anew, times it was switched off and on."""

    name: str
    scanning: bool
    mode: str
    reason: str
    heard: int
    restarts: int
    resets: int
    is_down: bool


class RadioView(_Part):
    """All adapters together. `reason` says why one does not listen; steps taken against faults since this start."""

    scanning: bool
    mode: str
    reason: str
    heard: int
    foreign: int
    decoded: int
    malformed: int
    restarts: int
    resets: int
    service_restarts: int
    adapters: list[AdapterView]


class BackfillView(_Part):
    """Reading memories: stretches still missing, downloads, records that nothing else had."""

    missing: int
    reading: str
    reads: int
    failures: int
    records: int


class VehicleState(_Part):
    """Everything. `waiting` observations are not sealed yet; `breaches` were flagged since this start.

    `place` is where the vehicle stands, by name or number, if stops are recorded.
    """

    gateway: str
    at_ms: int
    clock_trusted: bool
    clock: ClockState
    place: str
    configuration: int
    boxes: list[BoxView]
    link: LinkView
    outbox: OutboxView
    radio: RadioView
    backfill: BackfillView
    waiting: int
    breaches: int
    counters: dict[str, int]


def view_radio(health: RadioHealth) -> RadioView:
    """Describe the radio."""
    return RadioView(
        scanning=health.scanning,
        mode=health.mode,
        reason=health.explain(),
        heard=health.heard,
        foreign=health.foreign,
        decoded=health.decoded,
        malformed=health.malformed.total(),
        restarts=health.restarts,
        resets=health.resets,
        service_restarts=health.service_restarts,
        adapters=[
            AdapterView(
                name=name,
                scanning=adapter.scanning,
                mode=adapter.mode,
                reason=adapter.reason,
                heard=adapter.heard,
                restarts=adapter.restarts,
                resets=adapter.resets,
                is_down=adapter.is_down,
            )
            for name, adapter in sorted(health.adapters.items())
        ],
    )


class Latest:
    """The latest measurement of each logger, as heard: (UTC ms, millidegrees raw)."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[int, int]] = {}

    def hear(self, logger: str, at_ms: int, temperature_mc: int) -> None:
        """Take a measurement."""
        self._heard[logger] = (at_ms, temperature_mc)

    def shift(self, moved_ms: int) -> None:
        """The clock was corrected by so much."""
        self._heard = {logger: (at_ms + moved_ms, mc) for logger, (at_ms, mc) in self._heard.items()}

    def of(self, loggers: Iterable[Logger]) -> tuple[int, float] | None:
        """The newest among some loggers, calibrated: (UTC ms, °C)."""
        known = [
            (*heard, logger.calibration.offset_c if logger.calibration else 0.0)
            for logger in loggers
            if (heard := self._heard.get(logger.address)) is not None
        ]
        if not known:
            return None
        at_ms, raw_mc, offset_c = max(known)
        return at_ms, round(raw_mc / 1000 + offset_c, 2)


def view_boxes(
    configuration: Configuration | None,
    latest: Latest,
    judgements: dict[str, tuple[Judgement, ...]],
    now_ms: int,
    faults_of: Callable[[str], Iterable[str]] = lambda _logger: (),
) -> list[BoxView]:
    """Describe each box that has a logger. `faults_of(logger)` tells the faults that last."""
    if configuration is None:
        return []
    views, now = [], datetime.fromtimestamp(now_ms / 1000, UTC)
    for box in configuration.boxes:
        loggers = [logger for logger in configuration.loggers if logger.box == box.code]
        if not loggers:
            continue
        heard = latest.of(loggers)
        age_s = None if heard is None else max(0.0, (now_ms - heard[0]) / 1000)
        views.append(
            BoxView(
                code=box.code,
                label=box.label,
                temperature_c=None if heard is None else heard[1],
                age_s=age_s,
                state=word_for(age_s, _carried(configuration, box.code, judgements)),
                faults=tuple(sorted({fault for logger in loggers for fault in faults_of(logger.address)})),
                needs=tuple(sorted({need for logger in loggers if (need := calibration_need(logger, now))})),
            )
        )
    return views


def word_for(age_s: float | None, judgements: Iterable[Judgement]) -> BoxWord:
    """Choose the word: a breach stays; what is not heard is stale; an excursion that lasts is a warning."""
    judged = list(judgements)
    if any(judgement.breaches for judgement in judged):
        return BoxWord.BREACH
    if age_s is None:
        return BoxWord.UNKNOWN
    if age_s > STALE_S:
        return BoxWord.STALE
    if any(excursion.ended_at_ms is None for judgement in judged for excursion in judgement.excursions):
        return BoxWord.WARN
    return BoxWord.OK


def _carried(
    configuration: Configuration, box: str, judgements: dict[str, tuple[Judgement, ...]]
) -> Iterable[Judgement]:
    for consignment in configuration.consignments:
        boxes = {item.code: {carriage.box for carriage in consignment.carriage_of(item)} for item in consignment.items}
        for judgement in judgements.get(consignment.code, ()):
            if box in boxes.get(judgement.item, ()):
                yield judgement
