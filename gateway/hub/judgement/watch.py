"""The watch: judges what changed, keeps verdicts and breaches in line with the archive, and lets nothing wait.

It takes dirty marks, and once a domain minute everything under way, since deadlines pass by themselves. Judging
runs in a thread; each consignment is judged at most once in SPACING_S real seconds, however much arrives.

Any number of processes share the marks: a consignment is judged under a claim, from reading its mark to the commit,
and others pass over it meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, update
from sqlalchemy.exc import InterfaceError, OperationalError

from gateway.clock import Clock
from gateway.core.configuration import Consignment
from gateway.core.errors import ForgottenError
from gateway.core.exposure import to_ms
from gateway.core.judgement import ConsignmentJudge
from gateway.core.observations import Observation
from gateway.core.standby import counted, is_vigil
from gateway.core.verdicts import Judgement
from gateway.hub.audit.acts import count_acts
from gateway.hub.breaches.keeping import HUB, lock_breaches, read_covered, read_known, reconcile
from gateway.hub.breaches.vigils import renew_vigils
from gateway.hub.database.patience import keep_trying
from gateway.hub.database.schema import hub_state
from gateway.hub.database.store import Claim, Store
from gateway.hub.judgement.folds import Folds, MakeJudge, prune_folds
from gateway.hub.judgement.losses import settle_losses, tell_losses
from gateway.hub.judgement.redating import Redating
from gateway.hub.judgement.silence import Left, find_left, settle_silences, tell_silences
from gateway.hub.judgement.turns import Turns, read_waiting
from gateway.hub.judgement.verdict_history import read_rows, save_judgements
from gateway.hub.record.archive import Archive
from gateway.hub.record.quarantine import set_aside
from gateway.hub.registry.configurations import Case, Configurations
from gateway.hub.registry.registry import Registry
from gateway.hub.signals.dirty import MARGIN_MS, Mark, clear_mark, mark_clean, read_marks, read_marks_of
from gateway.hub.signals.events import Bell

log = logging.getLogger(__name__)

SPACING_S = 0.4
"""Real seconds between two judgements of one consignment: faster than anyone reads, and a bound on the work."""
PATROL_S = 60
"""Domain seconds between looks at everything under way: deadlines are stated in minutes."""
PATROL_REAL_S = 1.0
"""The same in real seconds at least, where domain time runs fast."""
IDLE_S = 2.0
"""Real seconds after which marks are looked for unasked: another process may have set them."""
LOOKED_AT = 500
"""Marks read to find a batch that no other process has claimed: enough for ten."""
BATCH = 50
"""Consignments judged between two commits; a commit's cost is shared, and a stop waits for no more."""
CASES_KEPT = 500
"""Consignments whose documents are kept in memory."""


@dataclass(frozen=True, slots=True)
class _Finding:
    mark: Mark
    judgements: Sequence[Judgement]
    received: bool
    fault: str = ""


class Watch:
    """Judges. `judge_marked` blocks and is for one thread at a time; `run` calls it.

    name       of this one among several that share the marks: it takes its own first; "" is alone, or takes what comes
    is_behind  more was waiting than the last call judged
    """

    def __init__(
        self,
        store: Store,
        archive: Archive,
        registry: Registry,
        configurations: Configurations,
        clock: Clock,
        *,
        make_judge: MakeJudge = ConsignmentJudge,
        name: str = "",
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._archive = archive
        self._registry = registry
        self._configurations = configurations
        self._clock = clock
        self._turns = Turns(name, now_s) if name else None
        self._folds = Folds(make_judge, name)
        self._cases: OrderedDict[str, tuple[int, Case]] = OrderedDict()
        self._acts = 0
        self._patrolled_at_ms: int | None = None
        self._redating = Redating(store, archive, clock.now_ms)
        self.is_behind = False

    async def run(self, work: Bell, done: Bell) -> None:
        """Judge for ever: when `work` rings, and now and then. Rings `done` after each commit."""
        loop = asyncio.get_running_loop()
        patrol_every_s = max(PATROL_REAL_S, PATROL_S / self._clock.rate)
        patrolled_at_s = loop.time() - patrol_every_s
        while True:
            heard, began_s = work.rings, loop.time()
            if began_s - patrolled_at_s >= patrol_every_s:
                patrolled_at_s = began_s
                judged = await keep_trying(self.patrol, "consignments under way wait")
            else:
                judged = await keep_trying(self.judge_marked, "changed consignments wait")
            if judged:
                done.ring()
            if self.is_behind:
                continue
            await asyncio.sleep(max(0.0, SPACING_S - (loop.time() - began_s)))
            if judged < BATCH:
                await work.wait(heard, min(IDLE_S, max(0.0, patrolled_at_s + patrol_every_s - loop.time())))

    def patrol(self) -> int:
        """Mark what is under way, if no other process has just done so, and judge; return how many."""
        now_ms = self._clock.now_ms()
        # A clock that stands still (a demonstration that has ended) would never make a patrol due.
        stands = self._patrolled_at_ms == now_ms
        self._patrolled_at_ms = now_ms
        with self._store.write() as connection:
            if self._store.is_embedded or stands or _take_turn(connection, now_ms, self._patrol_ms):
                mark_clean(connection, [*self._registry.under_way(), *renew_vigils(connection, now_ms)], now_ms)
                tell_silences(connection, find_left(connection, now_ms), self._is_heard_since, now_ms)
                settle_silences(connection, self._is_heard_since, now_ms)
                prune_folds(connection, now_ms)
                tell_losses(connection, self._observed, now_ms)
                settle_losses(connection, self._observed, now_ms)
        return self.judge_marked()

    def _is_heard_since(self, left: Left) -> bool:
        return bool(self._observed(left.logger, left.since_ms + 1))

    def _observed(self, logger: str, since_ms: int) -> Sequence[Observation]:
        return self._archive.observations(logger, since_ms, self._clock.now_ms() + 1)

    def _choose(self, connection: Connection) -> list[str]:
        if self._turns is None:
            return [mark.consignment for mark in read_marks(connection, LOOKED_AT)]
        waiting = read_waiting(connection, LOOKED_AT)
        for one in filter(self._turns.is_others, waiting):
            self._folds.leave(one.consignment)
        return self._turns.choose(waiting)

    def judge_marked(self) -> int:
        """Judge the consignments marked longest; return how many. Times that became known are put right first."""
        self._redating.work()
        with self._store.read() as connection:
            self._folds.forget_redated(connection)
            waiting = self._choose(connection)
        self.is_behind = False
        if not waiting:
            return 0
        with self._store.claim("consignment", waiting, BATCH) as claim:
            with self._store.read() as connection:
                # Another process may have judged some between the two looks.
                marks = read_marks_of(connection, claim.names)
                self._folds.prepare(connection, claim.names)
                covered = read_covered(connection, *claim.names)
                self._acts = count_acts(connection)
            self._judge(marks, covered, claim)
        # What was marked that long ago has not been judged since: no need to wait for the spacing.
        spacing_ms = SPACING_S * 1000 * self._clock.rate
        self.is_behind = len(marks) == BATCH and self._clock.now_ms() - marks[-1].marked_at_ms > spacing_ms
        return len(marks)

    @property
    def _patrol_ms(self) -> int:
        return round(1000 * max(PATROL_S, PATROL_REAL_S * self._clock.rate))

    def _judge(self, marks: Sequence[Mark], covered: frozenset[int], claim: Claim) -> None:
        findings = [self._find_safely(mark) for mark in marks]
        now_ms = self._clock.now_ms()
        if not findings:
            return
        with claim.write() as connection:
            codes = [finding.mark.consignment for finding in findings]
            lock_breaches(connection, codes)
            judged = [
                (judgement, finding.received)
                for finding in findings
                for judgement in finding.judgements
                if not is_vigil(judgement.consignment)  # nobody asks for the verdict on what may not be there
            ]
            save_judgements(connection, read_rows(connection, codes), judged, now_ms)
            known = read_known(connection, codes)
            for finding in findings:
                for judgement in finding.judgements:
                    subject = (judgement.consignment, judgement.item, judgement.examination)
                    if judgement.breaches or subject in known:
                        reconcile(connection, judgement, covered, now_ms)
                if finding.fault:
                    code = finding.mark.consignment
                    set_aside(
                        connection,
                        source="judging",
                        gateway=HUB,
                        code="not_judged",
                        reason=finding.fault,
                        data=code.encode(),
                        now_ms=now_ms,
                    )
            received = [finding.mark.consignment for finding in findings if finding.received]
            self._folds.save(connection, codes, received, now_ms)
            for finding in sorted(findings, key=lambda finding: finding.mark.consignment):
                clear_mark(connection, finding.mark, now_ms)

    def _find(self, mark: Mark) -> _Finding:
        case = self._case(mark.consignment)
        if case is None:  # a gateway flagged something that is not registered here (yet)
            return _Finding(mark, (), received=False)
        try:
            found = self._go_on(case)
        except ForgottenError:  # something is late: all of it again
            self._folds.forget(mark.consignment)
            found = self._go_on(case)
        return _Finding(mark, tuple(map(counted, found)), received=case.consignment.received_at is not None)

    def _go_on(self, case: Case) -> tuple[Judgement, ...]:
        folded = self._folds.find(case)
        now_ms = self._clock.now_ms()
        span = carried_span(case.consignment, now_ms)
        if span is not None:
            loggers = {logger.address for logger in case.configuration.loggers}
            until_ms = span[1] + MARGIN_MS
            passed = folded.passed(until_ms)
            news = self._archive.news(loggers, span[0] - MARGIN_MS, until_ms, folded.seen, passed)
            folded.take(news.observations, news.places, until_ms)
        return folded.judge.judgements(now_ms)

    def _case(self, code: str) -> Case | None:
        """Return what is needed to judge; read again only if anybody has acted since: an act may change anything."""
        known = self._cases.get(code)
        if known is not None and known[0] == self._acts and not is_vigil(code):  # a vigil is renewed by nobody's act
            return known[1]
        case = self._configurations.case(code)
        if case is None or case.readings_removed:
            self._cases.pop(code, None)
            return None
        self._cases[code] = (self._acts, case)
        self._cases.move_to_end(code)
        if len(self._cases) > CASES_KEPT:
            self._cases.popitem(last=False)
        return case

    def _find_safely(self, mark: Mark) -> _Finding:
        try:
            return self._find(mark)
        except (OperationalError, InterfaceError):  # the database's fault: tried again
            raise
        except Exception as error:  # one consignment that cannot be judged must not keep the others from it
            log.exception("consignment %s cannot be judged", mark.consignment)
            self._folds.forget(mark.consignment)
            return _Finding(mark, (), received=False, fault=f"{type(error).__name__}: {error}")


def _take_turn(connection: Connection, now_ms: int, every_ms: int) -> bool:
    """Say whether a patrol is due, and note that it is made. A tenth early is due, so that none is passed over."""
    last = hub_state.c.patrolled_at_ms
    due = (last <= now_ms - every_ms * 9 // 10) | (last > now_ms)
    return connection.execute(update(hub_state).where(due).values(patrolled_at_ms=now_ms)).rowcount > 0


def carried_span(consignment: Consignment, now_ms: int) -> tuple[int, int] | None:
    """Return from when to when any item was in a box, in UTC milliseconds; None if none was."""
    carried = [carriage for item in consignment.items for carriage in consignment.carriage_of(item)]
    if not carried:
        return None
    until_ms = now_ms if consignment.received_at is None else to_ms(consignment.received_at)
    ends = [until_ms if carriage.ends is None else to_ms(carriage.ends) for carriage in carried]
    return min(to_ms(carriage.begins) for carriage in carried), max(ends)
