"""What a calibration that was found out of tolerance does to the verdicts given since the last good one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gateway.core.configuration import Calibration, Configuration, Consignment, Logger
from gateway.core.judgement import judge_consignment
from gateway.core.observations import Observation
from gateway.core.verdicts import Judgement


@dataclass(frozen=True, slots=True)
class Change:
    """One examination's judgement as it is, and as the calibration found would make it."""

    before: Judgement
    after: Judgement


def verdicts_that_change(
    consignment: Consignment,
    configuration: Configuration,
    observations: Collection[Observation],
    logger: str,
    found: Calibration,
    now_ms: int,
) -> list[Change]:
    """List the judgements of a consignment that would differ if `logger` had been as `found` all along.

    Nothing is changed: the verdicts given stay as they are, and whoever reads the list decides.
    """
    corrected = configuration.model_copy(
        update={
            "loggers": tuple(
                _as_found(entry, found) if entry.address == logger else entry for entry in configuration.loggers
            )
        }
    )
    before = judge_consignment(consignment, configuration, observations, now_ms)
    after = judge_consignment(consignment, corrected, observations, now_ms)
    return [Change(*pair) for pair in zip(before, after, strict=True) if pair[0].verdict != pair[1].verdict]


def _as_found(logger: Logger, found: Calibration) -> Logger:
    former = tuple(past.model_copy(update={"calibration": found}) for past in logger.former)
    return logger.model_copy(update={"calibration": found, "former": former})
