"""Follows the day: asks vehicle and hub how things stand, shows it, and tells what is new."""

from __future__ import annotations

import asyncio

import httpx
from pydantic import BaseModel, ConfigDict

from gateway.demo.board import VERDICT_WORDS, Board, BoxView, Snapshot
from gateway.demo.company import Company
from gateway.demo.reception import KnownAlert, KnownBreach, Summary

ASK_WITHIN_S = 5.0


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Box(_Answer):
    code: str
    temperature_c: float | None
    age_s: float | None


class _Outbox(_Answer):
    segments: int


class _Backfill(_Answer):
    missing: int


class _Vehicle(_Answer):
    at_ms: int
    boxes: tuple[_Box, ...]
    outbox: _Outbox
    backfill: _Backfill


class Follower:
    """Keeps the latest that vehicle and hub have said."""

    def __init__(self, company: Company, board: Board) -> None:
        self.breaches: list[KnownBreach] = []
        self.alerts: list[KnownAlert] = []
        self._company = company
        self._board = board
        self._clock = company.timing.clock()
        self._vehicle: _Vehicle | None = None
        self._answers = False
        self._heard: dict[str, tuple[float, int]] = {}
        self._summaries: list[Summary] = []
        self._archived = 0
        self._looking = asyncio.Lock()
        self._box_of = {
            (consignment.code, item.code): carriage.box
            for consignment in company.trip.consignments
            for item in consignment.items
            for carriage in consignment.carriage_of(item)
        }
        self._labels = {box.code: box.label for box in company.trip.registered_boxes()}

    @property
    def waiting(self) -> int:
        """Segments in the vehicle's outbox, as it last said; 0 before it did."""
        return 0 if self._vehicle is None else self._vehicle.outbox.segments

    @property
    def missing(self) -> int:
        """Stretches that the vehicle has still to fetch from memories."""
        return 0 if self._vehicle is None else self._vehicle.backfill.missing

    @property
    def answers(self) -> bool:
        """Whether the vehicle answered when it was last asked."""
        return self._answers

    def now_ms(self) -> int:
        """Domain time."""
        return self._clock.now_ms()

    async def look(self) -> None:
        """Ask both, and show it. A vehicle without power does not answer; a hub that does not is an error."""
        async with self._looking:  # two looks at once would tell the same news twice
            await self._ask_vehicle()
            await self._ask_hub()
            self._board.show(self._snapshot())

    async def _ask_vehicle(self) -> None:
        self._answers = False
        if not self._company.vehicle.is_running:
            return
        try:
            async with httpx.AsyncClient(timeout=ASK_WITHIN_S, trust_env=False) as client:
                answer = await client.get(f"{self._company.vehicle_url}/api/v1/state")
        except httpx.HTTPError:
            return
        if answer.is_error:
            return
        self._vehicle = _Vehicle.model_validate(answer.json())
        self._answers = True
        for box in self._vehicle.boxes:
            if box.temperature_c is not None and box.age_s is not None:
                self._heard[box.code] = (box.temperature_c, self._vehicle.at_ms - round(box.age_s * 1000))

    async def _ask_hub(self) -> None:
        reception = self._company.reception
        before, known = {alert.id for alert in self.alerts}, self._summaries
        self._summaries = await reception.consignments()
        self.breaches = await reception.breaches()
        self.alerts = await reception.alerts()
        self._archived = await reception.archived_segments()
        for alert in self.alerts:
            if alert.id not in before:
                self._tell_alert(alert)
        self._tell_verdicts(known)

    def _tell_alert(self, alert: KnownAlert) -> None:
        breach = next((breach for breach in self.breaches if breach.id == alert.breach), None)
        if breach is None:
            self._board.tell(alert.created_at_ms, f"alert: {alert.kind}")
            return
        box = self._box_of.get((breach.consignment, breach.item), "")
        what = f"{box} {breach.item} {breach.examination}: {breach.rule}"
        delay_s = (alert.created_at_ms - breach.triggered_at_ms) / 1000
        self._board.tell(
            alert.created_at_ms, f"{alert.kind}: {what}, alert after {delay_s / self._company.timing.rate:.1f} s"
        )

    def _tell_verdicts(self, known: list[Summary]) -> None:
        before = {summary.code: summary.verdict for summary in known}
        for summary in self._summaries:
            if summary.verdict is not None and before.get(summary.code) not in {None, summary.verdict}:
                self._board.tell(self._clock.now_ms(), f"{summary.code}: {VERDICT_WORDS[summary.verdict.value]}")

    def _snapshot(self) -> Snapshot:
        active = [breach for breach in self.breaches if breach.is_active]
        return Snapshot(
            at_ms=self._clock.now_ms(),
            boxes=[self._view(box.code, active) for box in self._company.trip.boxes],
            waiting=self.waiting,
            missing=self.missing,
            archived=self._archived,
            is_link_up=self._company.is_link_up,
            is_vehicle_up=self._company.vehicle.is_running,
            breaches=len(active),
            alerts=sum(alert.kind == "breach" for alert in self.alerts),
        )

    def _view(self, code: str, breaches: list[KnownBreach]) -> BoxView:
        temperature_c, heard_at_ms = self._heard.get(code, (None, None))
        carried = {consignment for (consignment, _), box in self._box_of.items() if box == code}
        return BoxView(
            code=code,
            label=self._labels.get(code, ""),
            temperature_c=temperature_c,
            heard_at_ms=heard_at_ms,
            verdicts=tuple(
                summary.verdict.value
                for summary in self._summaries
                if summary.code in carried and summary.verdict is not None
            ),
            breaches=tuple(
                breach.rule for breach in breaches if self._box_of.get((breach.consignment, breach.item)) == code
            ),
        )
