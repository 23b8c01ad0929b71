"""The alarm: flags breaches at the hub while they happen, over HTTP, ahead of the log.

It judges after each segment and at least once a domain minute (deadlines pass without a reading). A flag is on the
disk before it is posted, and posted until the hub has answered or holds the trigger's segment anyway.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import ssl
from collections import deque
from contextlib import suppress
from itertools import islice

import httpx

from gateway.client import AsyncHubClient, BusyError, NoHubError, NotKnownError, ProblemError, UnreachableError
from gateway.client.calls import flag_breach as flag_breach_at_hub
from gateway.clock import Clock
from gateway.core.configuration import Configuration
from gateway.core.errors import InputError
from gateway.core.flags import flag_breach
from gateway.core.judgement import ConsignmentJudge
from gateway.core.records import ClockCorrection
from gateway.mqtt import backoff_s
from gateway.vehicle.memos import FlagState, StoredFlag
from gateway.vehicle.outbox import Sealed
from gateway.vehicle.redater import Redater
from gateway.vehicle.settings import HubSettings
from gateway.vehicle.storage import Storage
from gateway.vehicle.warning import EarlyWarning, FlagBook, JudgeFactory

log = logging.getLogger(__name__)

JUDGE_INTERVAL_S = 60
"""Domain seconds between judgements when nothing is sealed."""
POST_TIMEOUT_S = 10.0
"""Real seconds for the hub to answer; it needs milliseconds, a mobile network seconds."""
POST_PAUSE_MAX_S = 60.0
"""Longest real pause between attempts; the log, which carries the same news, is tried in parallel."""
HISTORY_PAGE = 100
"""Segments read back at once: of 50 loggers 2 MiB in memory, while three days of them would be 80."""
ANSWER_BYTES_MAX = 64 << 10
"""The hub answers a flag with 60 bytes; a page of somebody else's network is not read to its end."""
ANSWER_MAX = 500
"""Characters kept of a refusal."""
_PUT_RIGHT = frozenset({"became trusted", "stepped"})
_SERVER_ERROR = 500


def make_hub_client(settings: HubSettings, token: str) -> httpx.AsyncClient:
    """A client for the hub's API, with a token but for enrolment; raises InputError for a ca_file that is none.

    Proxies of the environment are ignored: the route to the hub is a setting.
    """
    verify: ssl.SSLContext | bool = True
    if settings.ca_file is not None:
        try:
            verify = ssl.create_default_context(cafile=settings.ca_file)
        except OSError as error:
            raise InputError("hub.ca_file", f"no certificates: {error}", where=str(settings.ca_file)) from error
    return httpx.AsyncClient(
        base_url=settings.url,
        headers={"Authorization": f"Bearer {token}"} if token else {},
        timeout=POST_TIMEOUT_S,
        trust_env=False,
        verify=verify,
    )


def pause_s(failures: int, asked_s: float, rng: random.Random) -> float:
    """Return the real seconds until the next attempt: with jitter, and never before the hub asks for it."""
    return asked_s + backoff_s(failures, POST_PAUSE_MAX_S, rng)


class Alarm:
    """Judges, flags, posts."""

    def __init__(
        self,
        gateway: str,
        client: httpx.AsyncClient,
        storage: Storage,
        clock: Clock,
        *,
        make_judge: JudgeFactory = ConsignmentJudge,
        rng: random.Random | None = None,
    ) -> None:
        self.warning: EarlyWarning | None = None
        self.flagged = 0
        """Breaches found since the start."""
        self.failure = ""
        """Why the hub was not reached last; empty after an answer."""
        self._gateway = gateway
        self._hub = AsyncHubClient(client, answer_bytes_max=ANSWER_BYTES_MAX)
        self._storage = storage
        self._clock = clock
        self._make_judge = make_judge
        self._rng = rng or random.Random()  # noqa: S311  jitter, no secret
        self._configuration: Configuration | None = None
        self._book = FlagBook()
        self._latest: Sealed | None = None
        self._sealed: deque[Sealed] = deque()  # emptied after each segment, so never more than the disk is fast
        self._news = asyncio.Event()
        self._flags = asyncio.Event()
        self._is_redated = False
        self._behind_ms = 0

    def adopt(self, configuration: Configuration) -> None:
        """Judge by this configuration from now on."""
        self._configuration = configuration
        self._news.set()

    def take(self, sealed: Sealed) -> None:
        """There is a new segment."""
        self._sealed.append(sealed)
        self._news.set()
        for record in sealed.content.records:
            if isinstance(record, ClockCorrection) and record.clock_trusted and record.source in _PUT_RIGHT:
                self._is_redated = True
                self._behind_ms = max(self._behind_ms, record.at_ms - record.before_ms)

    async def run(self) -> None:
        """Judge and post for ever."""
        known = [await self._storage.disk.run(self._storage.memos.flags, state) for state in FlagState]
        self._book = FlagBook(stored.flag for stored_flags in known for stored in stored_flags)
        self._flags.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._judge_for_ever(), name="alarm judge")
            tasks.create_task(self._post_for_ever(), name="alarm post")

    # --- judging

    async def _judge_for_ever(self) -> None:
        judged_by: Configuration | None = None
        while True:
            self._news.clear()
            if self._configuration is not None and (self._configuration is not judged_by or self._is_redated):
                judged_by, self._is_redated = self._configuration, False
                await self._begin(judged_by)
            while self._sealed:
                self._latest = sealed = self._sealed.popleft()
                if self.warning is not None:
                    self.warning.add(sealed.content.observations)
            try:
                await self._judge()
            except sqlite3.Error as error:
                log.error("a breach could not be noted and is judged again: %s", error)  # noqa: TRY400  the reason says it
            with suppress(TimeoutError):
                async with asyncio.timeout(JUDGE_INTERVAL_S / self._clock.rate):
                    await self._news.wait()

    async def _begin(self, configuration: Configuration) -> None:
        """Judge anew under a configuration, from all that is sealed since its first load."""
        warning = EarlyWarning(configuration, self._make_judge)
        since_ms = warning.since_ms
        if since_ms is not None:
            # What was sealed before the clock was put right carries times that much too early.
            history = self._storage.outbox.contents(since_ms - self._behind_ms)
            dater = Redater()
            while page := await self._storage.disk.run(list, islice(history, HISTORY_PAGE)):
                for sealed in page:
                    warning.add(dater.take(sealed))
                self._latest = page[-1]
            warning.add(dater.redated())
        self.warning = warning

    async def _judge(self) -> None:
        if self.warning is None or self._latest is None or self._configuration is None:
            return
        now_ms = self._clock.now_ms()
        for judgement, breach in self.warning.judge(now_ms):
            flag = flag_breach(
                breach,
                judgement,
                gateway=self._gateway,
                config_version=self._configuration.version,
                position=self._latest.position,
            )
            ends_ms = max(breach.triggered_at_ms, now_ms if breach.ended_at_ms is None else breach.ended_at_ms)
            if not self._book.knows(flag, ends_ms):
                await self._storage.disk.run(self._storage.memos.add_flag, StoredFlag(flag, self._latest.sequence))
                log.warning("breach: %s, item %s, rule %s", flag.consignment, flag.item, flag.rule)
                self.flagged += 1
                self._flags.set()
            self._book.enter(flag, ends_ms)

    # --- posting

    async def _post_for_ever(self) -> None:
        failures = 0
        while True:
            await self._flags.wait()
            self._flags.clear()
            while (asked_s := await self._post_waiting()) is not None:
                failures += 1
                await asyncio.sleep(pause_s(failures, asked_s, self._rng))
            failures = 0

    async def _post_waiting(self) -> float | None:
        """Post what waits; None when that is done, else the seconds that the hub asks to be left alone for."""
        for stored in await self._storage.disk.run(self._storage.memos.flags, FlagState.WAITING):
            if self._storage.outbox.is_acknowledged(stored.sequence):
                await self._settle(stored, FlagState.PASSED, "")
                continue
            try:
                accepted = await self._hub.ask(flag_breach_at_hub(stored.flag))
            except BusyError as error:
                self._report(f"the hub answered {error}")
                return error.retry_after_s
            except (UnreachableError, NoHubError, NotKnownError) as error:
                self._report(str(error))
                return 0.0
            except ProblemError as error:
                if error.status >= _SERVER_ERROR:
                    self._report(f"the hub answered {error}")
                    return 0.0
                log.error("the hub refused the flag %s for good: %s", stored.flag.key, error)  # noqa: TRY400  it says why
                await self._settle(stored, FlagState.REFUSED, str(error)[:ANSWER_MAX])
            else:
                self.failure = ""
                await self._settle(stored, FlagState.DELIVERED, f"breach {accepted.id}")
        self.failure = ""
        return None

    async def _settle(self, stored: StoredFlag, state: FlagState, answer: str) -> None:
        await self._storage.disk.run(self._storage.memos.settle_flag, stored.flag.key, state, answer)

    def _report(self, reason: str) -> None:
        if reason != self.failure:
            log.warning("a breach could not be flagged yet: %s", reason)
        self.failure = reason
