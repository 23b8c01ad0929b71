"""A short round with the demonstration's processes, and what must be true of it at the end, whatever happened."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from gateway.core.exposure import to_ms
from gateway.core.observations import Source
from gateway.demo.company import Company, TooLateError, assemble
from gateway.demo.reckoning import Account, Custody, reckon
from gateway.demo.record import read_archived, read_sealed
from gateway.demo.timing import Timing
from gateway.demo.trip import Trip, load_trip
from gateway.demo.truth import read_truth
from gateway.hub.database.store import open_store
from gateway.hub.proof.verification import verify_store

ROUND = Path(__file__).with_name("round.toml")
LEADS_S = (12.0, 40.0, 120.0, 300.0)
WAIT_S = 240
"""For anything that has to happen; it takes seconds, unless the machine is busy with something else."""


@asynccontextmanager
async def begun(
    folder: Path, prepare: Callable[[Path, AsyncExitStack], None], scenario: Path = ROUND
) -> AsyncIterator[Company]:
    """Start a round in `folder`; `prepare` is called with the folder that the processes get, before they start."""
    trip = await load_trip(scenario)
    for attempt, lead_s in enumerate(LEADS_S):
        async with AsyncExitStack() as stack:
            attempted = folder / f"attempt-{attempt}"
            attempted.mkdir()
            prepare(attempted, stack)
            timing = Timing.ahead(trip.clock.start, trip.clock.stop, trip.clock.rate, lead_s)
            try:
                company = await stack.enter_async_context(assemble(trip, scenario, timing, attempted, 1))
            except TooLateError:
                continue
            yield company
            return
    raise TooLateError("the machine is too slow to start a round in five minutes")


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait for what processes do; the limit only ends a test that has failed."""
    async with asyncio.timeout(WAIT_S):
        while not await condition():  # noqa: ASYNC110  other processes have no event
            await asyncio.sleep(0.2)


async def ask_vehicle(company: Company) -> dict[str, object]:
    """The vehicle's state; empty while it does not answer."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5, verify=False) as client:  # noqa: S501  no TLS: nothing to read
            answer = await client.get(f"{company.vehicle_url}/api/v1/state")
            state: dict[str, object] = answer.json()
            return state
    except httpx.HTTPError:
        return {}


async def failure_of(company: Company) -> str:
    """Why the vehicle's disk refuses; empty while it does not, or nobody answers."""
    outbox = (await ask_vehicle(company)).get("outbox", {})
    return str(outbox.get("failure", "")) if isinstance(outbox, dict) else ""


async def finish(company: Company) -> Account:
    """Wait for the end of the round and until everything has arrived; check all of it and return the account."""
    await company.timing.until(company.timing.stop_ms)
    missing = ""

    async def is_complete() -> bool:
        nonlocal missing
        missing = await _find_missing(company)
        return not missing

    try:
        await until(is_complete)
    except TimeoutError:
        raise AssertionError(missing) from None
    breaches, alerts = await company.reception.breaches(), await company.reception.alerts()
    lasting = [(breach.item, breach.rule) for breach in breaches if breach.state == "confirmed"]
    assert lasting == [("VACCINE-3", "warm")]
    assert Counter(a.breach for a in alerts if a.kind == "breach") == {breach.id: 1 for breach in breaches}
    assert await company.vehicle.stop() == 0
    account = _reckon(company, with_outbox=True)
    assert (account.lost, account.duplicated, account.altered) == ((), (), ())
    assert account.delivered >= account.recorded > 0  # on a full card what was acknowledged goes
    store = open_store(company.database_url)
    try:
        assert verify_store(store).is_proven
    finally:
        store.close()
    return account


async def _find_missing(company: Company) -> str:
    outbox = (await ask_vehicle(company)).get("outbox")
    if not isinstance(outbox, dict) or outbox["segments"]:
        return f"the vehicle's outbox: {outbox}"
    lost = (await asyncio.to_thread(_reckon, company, with_outbox=False)).lost
    if lost:
        return str(lost)
    alerts = await company.reception.alerts()
    confirmed = [breach for breach in await company.reception.breaches() if breach.state == "confirmed"]
    return "" if confirmed and all(alert.sent_at_ms for alert in alerts) else "no confirmed breach with its alert"


def count_heard(company: Company, begin_min: int, end_min: int) -> int:
    """How many readings of these minutes of the round the hub has as they were heard, not from a memory."""
    begin_ms, end_ms = (company.timing.start_ms + minutes * 60_000 for minutes in (begin_min, end_min))
    archived = read_archived(company.database_url, [box.logger.address for box in company.trip.boxes])
    return sum(one.source is Source.LIVE and begin_ms <= one.measured_at_ms < end_ms for one in archived.values())


def list_custody(trip: Trip) -> list[Custody]:
    """Since when each logger answers for something: what its memory holds from before is nobody's."""
    carried = [
        carriage
        for consignment in trip.consignments
        for item in consignment.items
        for carriage in consignment.carriage_of(item)
    ]
    address = {box.code: box.logger.address for box in trip.boxes}
    ends_ms = to_ms(trip.clock.stop)
    return [Custody(address[carriage.box], to_ms(carriage.begins), ends_ms) for carriage in carried]


def _reckon(company: Company, *, with_outbox: bool) -> Account:
    intervals = {box.logger.address: round(box.logger.memory_interval_s) for box in company.trip.boxes}
    sealed = read_sealed(company.outbox, company.trip.demo.gateway) if with_outbox else {}
    archived = read_archived(company.database_url, intervals)
    return reckon(read_truth(company.truth, intervals), sealed, archived, list_custody(company.trip))
