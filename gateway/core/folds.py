"""Folds: what the judge of a consignment remembers, and how it goes on from it in another process.

Each logger has a record; each profile over a part of an exposure has a fold, shared by all items of which the same is
asked. In order it folds on; where something came late, it folds again from the start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec

from gateway.core.assignments import Tenure
from gateway.core.errors import ForgottenError
from gateway.core.evaluator import Evaluator, State
from gateway.core.exposure import Stretch
from gateway.core.lanes import calibration_by_box, with_uncertainty
from gateway.core.logger_records import Kept, LoggerRecord
from gateway.core.observations import Observation
from gateway.core.profiles import Profile
from gateway.core.readings import Reading

ADDED_AT_ONCE = 4096
"""Observations in memory as objects while they are added, of however many: a segment's."""

Source = tuple[str, float]
"""A logger and what is added to what it says, by one of its certificates."""

_Tagged = tuple[Tenure, Sequence[Reading]]
"""Who measured what, in order of time."""


class _KeptFold(msgspec.Struct, array_like=True):
    state: State
    latest_ms: int


class _Kept(msgspec.Struct, array_like=True):
    records: list[Kept]
    folds: list[_KeptFold]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


class Fold:
    """One profile over its part of the exposure, with one lane of loggers for each box."""

    def __init__(self, profile: Profile, stage: Sequence[Stretch], lane: tuple[Tenure, ...]) -> None:
        self.lane = lane
        self.sources = {source_of(tenure) for tenure in lane}
        self.evaluator = Evaluator(
            profile,
            with_uncertainty(stage, lane),
            uncertainty_by_box_c={},
            calibration_by_box=calibration_by_box(lane),
        )
        self.restart()

    def restart(self) -> None:
        """Begin again."""
        self.resume(self.evaluator.begin(), -1)

    def resume(self, state: State, latest_ms: int) -> None:
        """Go on from a state."""
        self.state, self.latest_ms = state, latest_ms
        self._closed: tuple[int, State] | None = None

    def push(self, runs: Iterable[_Tagged]) -> None:
        """Take readings in order of time."""
        for tenure, readings in runs:
            self.evaluator.push(self.state, tenure.box, readings)
            self.latest_ms = max(self.latest_ms, readings[-1].at_ms)
            self._closed = None

    def close(self, until_ms: int) -> State:
        """Return the state with the exposure covered up to `until_ms`, to be read only: several items share it."""
        if self._closed is None or self._closed[0] != until_ms:
            self._closed = until_ms, self.evaluator.close(self.state, until_ms)
        return self._closed[1]


class Folds:
    """All folds of one consignment."""

    def __init__(self) -> None:
        self._folds: dict[tuple[str, tuple[Stretch, ...], tuple[Tenure, ...]], Fold] = {}
        self._records: dict[Source, LoggerRecord] = {}
        self._records_of: dict[str, list[LoggerRecord]] = {}

    def fold(self, profile: Profile, stage: tuple[Stretch, ...], lane: tuple[Tenure, ...]) -> Fold:
        """Return the fold of a profile, the same for all that ask the same; to be called before anything is added."""
        key = profile.id, stage, lane
        if key not in self._folds:
            fold = self._folds[key] = Fold(profile, stage, lane)
            for logger, offset_c in fold.sources:
                self._put_record(logger, offset_c, LoggerRecord(offset_c))
        return self._folds[key]

    def add(self, observations: Iterable[Observation]) -> None:
        """Take observations: any order, any number of times."""
        coming = iter(observations)
        while batch := list(islice(coming, ADDED_AT_ONCE)):
            by_logger: defaultdict[str, list[Observation]] = defaultdict(list)
            for observation in batch:
                by_logger[observation.logger].append(observation)
            for logger, several in by_logger.items():
                for record in self._records_of.get(logger, ()):
                    record.add(several)

    def update(self) -> None:
        """Fold what is new; fold again from the start where something came late."""
        news = {source: record.take_news() for source, record in self._records.items()}
        for fold in self._folds.values():
            fresh = {source: news[source] for source in fold.sources}
            in_order = _in_order(fold.lane, {source: several or () for source, several in fresh.items()})
            is_late = bool(in_order) and in_order[0][1][0].at_ms <= fold.latest_ms
            if is_late or any(readings is None for readings in fresh.values()):
                fold.restart()
                in_order = _in_order(fold.lane, {source: self._records[source].readings() for source in fold.sources})
            fold.push(in_order)

    def conflicts(self, tenure: Tenure) -> Sequence[int]:
        """Return when a logger contradicted itself; see LoggerRecord.conflicts."""
        return self._records[source_of(tenure)].conflicts

    def keep(self) -> bytes:
        """Return all that is needed to go on from here with what comes after, in order."""
        self.update()
        records = [record.keep(logger) for (logger, _), record in self._records.items()]
        return _encode(_Kept(records, [_KeptFold(fold.state, fold.latest_ms) for fold in self._folds.values()]))

    def resume(self, data: bytes) -> None:
        """Go on from what was kept of the same folds, made from the same documents by the same version of the program.

        Raises ForgottenError for anything else; what is late later raises it too. Then begin with a new judge.
        """
        try:
            kept = _decode(data)
        except msgspec.MsgspecError as error:
            raise ForgottenError(str(error)) from error
        if len(kept.folds) != len(self._folds) or {(k.logger, k.offset_c) for k in kept.records} != set(self._records):
            raise ForgottenError("what was kept is of something else")
        self._records.clear()
        self._records_of.clear()
        for record in kept.records:
            self._put_record(record.logger, record.offset_c, LoggerRecord(record.offset_c, kept=record))
        for fold, known in zip(self._folds.values(), kept.folds, strict=True):
            fold.resume(known.state, known.latest_ms)

    def _put_record(self, logger: str, offset_c: float, record: LoggerRecord) -> None:
        if (logger, offset_c) not in self._records:
            self._records[logger, offset_c] = record
            self._records_of.setdefault(logger, []).append(record)


def source_of(tenure: Tenure) -> Source:
    """Return whose readings count in a tenure, and how they are corrected."""
    return tenure.logger, tenure.offset_c


def _in_order(lane: Sequence[Tenure], readings: dict[Source, Sequence[Reading]]) -> list[_Tagged]:
    """Return who measured what, in order of time, of the times when it was in its box."""
    runs = [(tenure, _covered(tenure, readings[source_of(tenure)])) for tenure in lane]
    runs = [(tenure, several) for tenure, several in runs if several]
    if len(runs) < 2:  # noqa: PLR2004  nothing to put in order
        return runs
    tagged = [(tenure, reading) for tenure, several in runs for reading in several]
    tagged.sort(key=lambda pair: (pair[1].at_ms, pair[0].logger))
    return [(tenure, (reading,)) for tenure, reading in tagged]


def _covered(tenure: Tenure, readings: Sequence[Reading]) -> Sequence[Reading]:
    if not readings or (tenure.covers(readings[0].at_ms) and tenure.covers(readings[-1].at_ms)):
        return readings
    return [reading for reading in readings if tenure.covers(reading.at_ms)]
