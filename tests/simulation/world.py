"""One run: a vehicle with its loggers, a broker, a hub; faults until the calm; then everything must complete."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest import mock

from gateway.core.configuration import Box, Consignment
from gateway.core.configuration import Logger as Enrolled
from gateway.core.exposure import to_ms
from tests.core.trips import START, calibrated, make_profile
from tests.simulation.checks import check_at_any_time, check_completed
from tests.simulation.disks import REFUSALS, Fault
from tests.simulation.loggers import Excursion, Logger
from tests.simulation.machines import HubMachine, VehicleMachine
from tests.simulation.network import Broker, Road
from tests.simulation.plans import Plan, draw_plan
from tests.simulation.story import Story, StoryHandler
from tests.simulation.virtual_loop import VirtualLoop

START_MS = to_ms(START)
SETTLE_S = 6 * 3600.0
"""After the calm everything completes within so long; the longest pauses are of minutes."""
LOOK_S = 300.0
CHECKS = 10
CONSIGNMENT = "SEND-1"
PROFILE = make_profile(
    limits=[
        {"name": "warm", "above_c": 8, "single": "45 min", "cumulative": "2 h"},
        {"name": "frozen", "below_c": 0, "single": "10 min"},
    ]
)

_RARELY = (
    "gateway.hub.judgement.watch.PATROL_S",
    "gateway.hub.judgement.watch.IDLE_S",
    "gateway.hub.replication.exchange.LOOK_S",
    "gateway.hub.signals.dispatch.IDLE_S",
    "gateway.vehicle.alarm.JUDGE_INTERVAL_S",
)
_SOMETIMES = (
    "gateway.hub.judgement.watch.SPACING_S",
    "gateway.vehicle.backfill.POLL_S",
    "gateway.vehicle.timekeeping.LOOK_S",
)
"""Looks that are taken unasked are further apart here: days pass, and the bells are what matters."""


@dataclass
class Outcome:
    """What became of one seed."""

    plan: Plan
    story: Story
    failure: str = ""
    sealed: int = 0
    given_up: int = 0
    boots: int = 0


def run_seed(seed: int) -> Outcome:
    """Run one seed on virtual time; never raises, but tells."""
    plan, story = draw_plan(seed), Story()
    outcome = Outcome(plan, story)
    loop = VirtualLoop()
    story.now_s = loop.time
    handler, root = StoryHandler(story), logging.getLogger("gateway")
    level, propagates = root.level, root.propagate
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    root.propagate = False
    world = World(plan, story)
    try:
        with ExitStack() as patches:
            for name in _RARELY:
                patches.enter_context(mock.patch(name, max(600.0, plan.calm_s / 40)))
            for name in _SOMETIMES:
                patches.enter_context(mock.patch(name, max(10.0, plan.calm_s / 2000)))
            loop.run_until_complete(world.run())
    except Exception as error:  # noqa: BLE001  whatever went wrong is the outcome
        outcome.failure = f"{type(error).__name__}: {error}"
        story.tell("check", outcome.failure)
        story.lines.extend(_trace(error))
    finally:
        world.discard(loop)
        root.removeHandler(handler)
        root.setLevel(level)
        root.propagate = propagates
        loop.close()
    if world.is_built:
        outcome.sealed, outcome.given_up = len(world.vehicle.sealed), world.vehicle.given_up
        outcome.boots = world.vehicle.boots
    return outcome


def _trace(error: BaseException) -> list[str]:
    import traceback  # noqa: PLC0415  only for a failure

    return "".join(traceback.format_exception(error)).splitlines()


class World:
    """Everything that exists in one run."""

    def __init__(self, plan: Plan, story: Story) -> None:
        self.plan = plan
        self.story = story
        self.rng = random.Random(f"world {plan.seed}")  # noqa: S311  reproducible
        self.is_built = False

    async def run(self) -> None:
        self._build()
        self.story.tell("plan", str(self.plan))
        self.hub.start()
        self.vehicle.switch_on()
        tasks = [asyncio.create_task(each) for each in (*self._faults(), self._check_now_and_then())]
        ended = asyncio.create_task(asyncio.sleep(self.plan.calm_s))
        await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._calm_down()
        await self._complete()
        check_completed(self.vehicle, self.hub, CONSIGNMENT)

    def discard(self, loop: VirtualLoop) -> None:
        """End what is left over."""
        for task in (left := asyncio.all_tasks(loop)):
            task.cancel()
        with suppress(Exception):
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        if self.is_built:
            self.vehicle.card.discard()
            self.hub.disk.discard()

    # --- what there is

    def _build(self) -> None:
        plan, rng = self.plan, self.rng
        self.broker = Broker(
            random.Random(f"broker {plan.seed}"),  # noqa: S311  reproducible
            self.story,
            loss=plan.loss,
            repetition=plan.repetition,
            delay_s=plan.delay_s,
            forgets=plan.broker_forgets,
        )
        self.roads = {name: Road(name) for name in ("vehicle", "hub")}
        self.loggers = [
            Logger(f"C0:FF:EE:00:00:{number:02X}", f"BOX-{number}", self._excursions(), phase=rng.uniform(0, 6))
            for number in range(1, plan.loggers + 1)
        ]
        addresses = [logger.address for logger in self.loggers]
        self.hub = HubMachine(START_MS, self.broker, self.roads["hub"], self.story, loggers=addresses)
        self._register()
        self.vehicle = VehicleMachine(
            plan,
            START_MS,
            self.loggers,
            self.broker,
            self.roads["vehicle"],
            self.hub,
            self.story,
            random.Random(f"vehicle {plan.seed}"),  # noqa: S311  reproducible
        )
        self.is_built = True

    def _excursions(self) -> tuple[Excursion, ...]:
        found = []
        for _ in range(self.plan.excursions):
            begins_s = self.rng.uniform(0, self.plan.calm_s)
            length_s = self.rng.choice([600, 1800, 3600, 5400])
            found.append(Excursion(begins_s, begins_s + length_s, self.rng.choice([9.5, 14.0, -1.5])))
        return tuple(found)

    def _register(self) -> None:
        registry = self.hub.registry
        registry.put_profile(PROFILE, "test")
        for logger in self.loggers:
            registry.put_box(Box(code=logger.box), "test")
            registry.put_logger(Enrolled(address=logger.address, box=logger.box, calibration=calibrated(0.2)), "test")
        items = [
            {
                "code": f"TUBE-{logger.box}",
                "kind": "sample",
                "examinations": [{"code": "K", "profile": PROFILE.id}],
                "carriage": [{"box": logger.box, "begins": START + timedelta(minutes=2)}],
            }
            for logger in self.loggers
        ]
        registry.put_consignment(Consignment.model_validate({"code": CONSIGNMENT, "items": items}), "test")

    # --- what goes wrong

    def _faults(self) -> list[Coroutine[None, None, None]]:
        faults = self.plan.faults
        return [
            self._now_and_then(faults.network_cut, self._cut_the_vehicles_road),
            self._now_and_then(faults.hub_network_cut, self._cut_the_hubs_road),
            self._now_and_then(faults.broker_restart, self._restart_the_broker),
            self._now_and_then(faults.power_cut, self._cut_power),
            self._now_and_then(faults.hub_kill, self._kill_the_hub),
            self._now_and_then(faults.hub_restore, self._restore_the_hub),
            self._now_and_then(faults.disk_refusal, self._refuse_the_vehicle),
            self._now_and_then(faults.hub_disk_refusal, self._refuse_the_hub),
            self._now_and_then(faults.bit_rot, self._rot_a_bit),
            self._now_and_then(faults.clock_step, self._step_the_clock),
            self._now_and_then(faults.card_copy, self._put_a_copy_back),
            self._now_and_then(faults.card_swap, self._replace_the_card),
            self._now_and_then(faults.radio_silence, self._silence_a_logger),
        ]

    async def _now_and_then(self, mean_s: float | None, strike: Callable[[random.Random], Awaitable[None]]) -> None:
        name = strike.__name__
        rng = random.Random(f"{name} {self.plan.seed}")  # noqa: S311  reproducible
        while mean_s is not None:
            await asyncio.sleep(rng.expovariate(1 / mean_s))
            await strike(rng)
        await asyncio.Event().wait()

    async def _cut_the_vehicles_road(self, rng: random.Random) -> None:
        await self._cut_road("vehicle", rng)

    async def _cut_the_hubs_road(self, rng: random.Random) -> None:
        await self._cut_road("hub", rng)

    async def _cut_road(self, name: str, rng: random.Random) -> None:
        self.story.tell("network", f"the {name}'s road is cut")
        self._open_road(name, is_open=False)
        await asyncio.sleep(rng.choice([5, 600, self.plan.calm_s / 4]))
        self._open_road(name, is_open=True)
        self.story.tell("network", f"the {name}'s road is open")

    def _open_road(self, name: str, *, is_open: bool) -> None:
        self.roads[name].is_open = is_open
        if name in self.broker.clients:
            self.broker.clients[name].look()

    async def _restart_the_broker(self, rng: random.Random) -> None:
        self.broker.restart()
        await asyncio.sleep(rng.choice([1, 300]))
        self.broker.rise()

    async def _cut_power(self, rng: random.Random) -> None:
        await self.vehicle.cut_power()
        await asyncio.sleep(rng.choice([20, 900, self.plan.calm_s / 6]))
        if not self.vehicle.is_on:
            self.vehicle.switch_on()

    async def _kill_the_hub(self, rng: random.Random) -> None:
        if not self.hub.is_on:
            return
        await self.hub.kill()
        await asyncio.sleep(rng.choice([5, 1800]))
        if not self.hub.is_on:
            self.hub.restart()

    async def _restore_the_hub(self, rng: random.Random) -> None:
        self.hub.back_up()
        await asyncio.sleep(rng.uniform(120, self.plan.calm_s / 3))
        if self.hub.is_on and self.hub.backup is not None:
            await self.hub.kill()
            self.hub.restore(self.hub.backup)
            if self.plan.max_bytes < 1 << 30 or self.vehicle.is_card_another:
                self.vehicle.accept_losses("the hub went back, and the card does not hold everything")

    async def _refuse_the_vehicle(self, rng: random.Random) -> None:
        if self.vehicle.is_on and self.vehicle.boots:
            reason = rng.choice(REFUSALS)
            self.story.tell("card", f"refuses: {reason}")
            self.vehicle.refuse(Fault(rng.randint(1, 20), reason, repetitions=rng.choice([1, 30, 300])))
            await asyncio.sleep(rng.choice([10, 1200]))
            self.vehicle.refuse(None)

    async def _refuse_the_hub(self, rng: random.Random) -> None:
        reason = rng.choice(REFUSALS)
        self.story.tell("hubdisk", f"refuses: {reason}")
        self.hub.disk.fail(Fault(rng.randint(1, 60), reason, repetitions=rng.choice([1, 20, 200])))
        await asyncio.sleep(rng.choice([10, 1200]))
        self.hub.disk.fail(None)

    async def _rot_a_bit(self, rng: random.Random) -> None:
        self.vehicle.rot(rng)

    async def _step_the_clock(self, rng: random.Random) -> None:
        step_ms = rng.choice([-3_600_000, -5000, 5000, 3_600_000])
        self.story.tell("vehicle", f"the clock steps by {step_ms} ms")
        self.vehicle.clock.error_ms += step_ms
        await asyncio.sleep(rng.uniform(60, 3600))
        self.vehicle.clock.error_ms = 0
        self.vehicle.clock.is_trusted = True

    async def _put_a_copy_back(self, rng: random.Random) -> None:
        image = self.vehicle.card.copy()
        self.story.tell("card", "copied")
        await asyncio.sleep(rng.uniform(60, self.plan.calm_s / 3))
        if self.vehicle.is_on:
            await self.vehicle.stop()
            self.vehicle.card.restore(image)
            self.story.tell("card", "the copy is put back")
            self.vehicle.is_card_another = True
            self.vehicle.accept_losses("the card is an older copy")
            self.vehicle.switch_on()

    async def _replace_the_card(self, rng: random.Random) -> None:
        if self.vehicle.is_on:
            await self.vehicle.stop()
            self.vehicle.card.replace()
            self.story.tell("card", "replaced")
            self.vehicle.is_card_another = True
            self.vehicle.accept_losses("the card was replaced")
            await asyncio.sleep(rng.uniform(10, 100))
            if not self.vehicle.is_on:
                self.vehicle.switch_on()

    async def _silence_a_logger(self, rng: random.Random) -> None:
        logger = rng.choice(self.loggers)
        logger.present = False
        self.story.tell("radio", f"{logger.address} is out of reach")
        await asyncio.sleep(rng.choice([120, 1200, self.plan.calm_s / 5]))
        logger.present = True

    # --- what must hold

    async def _check_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self.plan.calm_s / CHECKS)
            check_at_any_time(self.vehicle, self.hub)

    async def _calm_down(self) -> None:
        """All faults end."""
        self.story.tell("world", "calm from here on")
        self.broker.is_calm = True
        self.broker.rise()
        for name in self.roads:
            self._open_road(name, is_open=True)
        for logger in self.loggers:
            logger.present = True
        self.hub.disk.fail(None)
        self.vehicle.refuse(None)
        if not self.hub.is_on:
            self.hub.restart()
        if not self.vehicle.is_on:
            self.vehicle.switch_on()
        self.vehicle.clock.error_ms = 0
        self.vehicle.clock.is_trusted = True
        await asyncio.sleep(600)

    async def _complete(self) -> None:
        """The consignment arrives; what is still on its way arrives too."""
        received = START + timedelta(milliseconds=math.floor(asyncio.get_running_loop().time() * 1000))
        self.hub.registry.receive(CONSIGNMENT, received, "test")
        self.story.tell("world", "the consignment is received")
        ends_s = asyncio.get_running_loop().time() + SETTLE_S
        for logger in self.loggers:
            logger.present = False  # the engine is off: nothing new is heard
        while asyncio.get_running_loop().time() < ends_s:
            await asyncio.sleep(LOOK_S)
            unsealed = self.vehicle.vehicle.state().waiting
            if not unsealed and not self.vehicle.outbox.depth().segments and not self.hub.has_marks():
                return
        raise AssertionError(f"not complete after {SETTLE_S} s: {unsealed} unsealed, {self.vehicle.outbox.depth()}")


def describe(outcome: Outcome) -> dict[str, Any]:
    """One line of a report."""
    return {"seed": outcome.plan.seed, "failure": outcome.failure, "sealed": outcome.sealed, "boots": outcome.boots}
