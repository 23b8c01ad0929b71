"""The day, from the first reading to the account: what happens when, and what is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gateway.core.exposure import to_ms
from gateway.core.verdicts import Judgement, Verdict
from gateway.demo.board import Board, zone_of
from gateway.demo.company import Company
from gateway.demo.follower import Follower
from gateway.demo.mishaps import list_mishaps
from gateway.demo.reception import HubRefusedError, KnownAlert, KnownBreach, State
from gateway.demo.reckoning import Account, Custody, LoggerTruth, reckon
from gateway.demo.record import read_archived, read_sealed
from gateway.demo.report import Judged, Report
from gateway.demo.trip import Trip
from gateway.demo.truth import read_truth

DRAIN_WITHIN_S = 120.0
"""Real seconds for the rest of the memories and of the outbox once the trip is over; a second or two is usual."""
SETTLE_WITHIN_S = 30.0
"""Real seconds for the verdicts after the boxes were received."""
FOLLOW_S = 0.5
CHECK_S = 1.0


async def play(company: Company, board: Board) -> Report:
    """Play the whole day and return its account; raises ChildDied when a process ends by itself."""
    lead_s = max(0.0, company.timing.lead_s())
    board.tell(company.timing.clock().now_ms(), f"all processes are ready; the first reading comes in {lead_s:.0f} s")
    watch = asyncio.create_task(company.watch(), name="watch processes")
    story = asyncio.create_task(_tell(company, board), name="the day")
    try:
        await asyncio.wait({watch, story}, return_when=asyncio.FIRST_COMPLETED)
        if watch.done():
            _raise_first(watch)
        return await story
    finally:
        watch.cancel()
        story.cancel()
        await asyncio.gather(watch, story, return_exceptions=True)


def _raise_first(task: asyncio.Task[None]) -> None:
    """Raise what ended a task, out of its group."""
    error = task.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is not None:
        raise error


async def _tell(company: Company, board: Board) -> Report:
    follower = Follower(company, board)
    follow = asyncio.create_task(_follow(follower, board), name="follow")
    try:
        for mishap in list_mishaps(company.trip):
            await company.timing.until(mishap.at_ms)
            board.tell(mishap.at_ms, mishap.text)
            await mishap.act(company)
        await company.timing.until(company.timing.stop_ms)
        board.tell(company.timing.stop_ms, "arrived; waiting for what is still in memories and in the outbox")
        missing = await _drain(company, follower)
        await _receive(company, board)
        states = await _settle(company)
    finally:
        follow.cancel()
        await asyncio.gather(follow, return_exceptions=True)
    await follower.look()
    await company.vehicle.stop()  # its log can only be read when it has let go of it
    account = await asyncio.to_thread(_reckon, company)
    return _report(company, account, states, follower.breaches, follower.alerts, missing)


async def _follow(follower: Follower, board: Board) -> None:
    while True:
        try:
            await follower.look()
        except HubRefusedError as error:  # the table stands still for a moment; a hub that ended is told by the watch
            board.tell(follower.now_ms(), str(error))
        await asyncio.sleep(FOLLOW_S)


async def _drain(company: Company, follower: Follower) -> str:
    """Wait until the hub has what the memories hold; return what is missing when the time is over."""
    missing = "the vehicle was not asked"
    try:
        async with asyncio.timeout(DRAIN_WITHIN_S):
            while True:
                missing = await _find_missing(company, follower)
                if not missing:
                    return ""
                await asyncio.sleep(CHECK_S)
    except TimeoutError:
        return missing


async def _find_missing(company: Company, follower: Follower) -> str:
    await follower.look()
    if not follower.answers:
        return "the vehicle does not answer"
    if follower.waiting:
        return f"{follower.waiting} segments in the outbox"
    lost = (await asyncio.to_thread(_reckon_archive, company)).lost
    return f"{len(lost)} records in memories" if lost else ""


async def _receive(company: Company, board: Board) -> None:
    at = company.trip.clock.stop.isoformat()
    for consignment in company.trip.consignments:
        await company.reception.receive(consignment.code, at)
    board.tell(company.timing.stop_ms, "the laboratory has received the boxes")


async def _settle(company: Company) -> list[State]:
    """Wait until the hub's verdicts speak of the whole trip and every breach's alert has left; return them."""
    states: list[State] = []
    codes = [consignment.code for consignment in company.trip.consignments]
    try:
        async with asyncio.timeout(SETTLE_WITHIN_S):
            while True:
                before, states = states, [await company.reception.consignment(code) for code in codes]
                alerts = await company.reception.alerts()
                if states == before and all(map(_is_final, states)) and all(alert.sent_at_ms for alert in alerts):
                    return states
                await asyncio.sleep(CHECK_S)
    except TimeoutError:
        return states


def _is_final(state: State) -> bool:
    return state.behind_ms == 0 and bool(state.judgements)


def _reckon(company: Company) -> Account:
    """Compare truth, outbox and archive."""
    sealed = read_sealed(company.outbox, company.trip.demo.gateway)
    archived = read_archived(company.database_url, (box.logger.address for box in company.trip.boxes))
    return reckon(_truth(company), sealed, archived, list_custody(company.trip))


def _reckon_archive(company: Company) -> Account:
    """Compare truth and archive alone, while the vehicle has its log to itself."""
    archived = read_archived(company.database_url, (box.logger.address for box in company.trip.boxes))
    return reckon(_truth(company), {}, archived, list_custody(company.trip))


def _truth(company: Company) -> dict[str, LoggerTruth]:
    intervals = {box.logger.address: round(box.logger.memory_interval_s) for box in company.trip.boxes}
    return read_truth(company.truth, intervals)


def list_custody(trip: Trip) -> list[Custody]:
    """Return the whole trip for each logger: a box is in custody also while nothing is registered in it."""
    begins_ms, ends_ms = to_ms(trip.clock.start), to_ms(trip.clock.stop)
    return [Custody(box.logger.address, begins_ms, ends_ms) for box in trip.boxes]


def _report(
    company: Company,
    account: Account,
    states: Iterable[State],
    breaches: Iterable[KnownBreach],
    alerts: Iterable[KnownAlert],
    missing: str,
) -> Report:
    expected = {(e.consignment, e.item, e.examination): e.verdict for e in company.trip.demo.expected}
    return Report(
        account=account,
        judged=[_judge(versioned.judgement, expected) for state in states for versioned in state.judgements],
        breaches=list(breaches),
        alerts=[alert for alert in alerts if alert.kind == "breach"],
        rate=company.timing.rate,
        pages={box.code: f"{company.hub_url}/bench?code={box.code}" for box in company.trip.boxes},
        zone=zone_of(company.trip.clock.start),
        missing=missing,
        starts=company.vehicle.starts,
    )


def _judge(judgement: Judgement, expected: dict[tuple[str, str, str], Verdict]) -> Judged:
    return Judged(judgement, expected.get((judgement.consignment, judgement.item, judgement.examination)))
