"""What a calibration that was found out of tolerance does to verdicts given since the last good one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.core.configuration import Calibration, Configuration, Consignment
from gateway.core.exposure import exposure_of
from gateway.core.judgement import judge_consignment
from gateway.core.observations import Observation
from gateway.core.verdicts import Judgement


@dataclass(frozen=True, slots=True)
class Change:
    """One examination's judgement as it was, and as the new calibration makes it."""

    before: Judgement
    after: Judgement


def verdicts_that_change(
    consignments: Iterable[Consignment],
    configuration: Configuration,
    observations_of: Callable[[Consignment], Iterable[Observation]],
    logger: str,
    found: Calibration,
    now_ms: int,
) -> list[Change]:
    """List the judgements that differ if `logger` had been as `found` all along.

    Only consignments that rode in the logger's box are judged again. The verdicts given stay as they are; whoever reads
    the list decides. Raises KeyError if no such logger is enrolled.
    """
    enrolled = {entry.address: entry for entry in configuration.loggers}[logger]
    corrected = configuration.model_copy(
        update={
            "loggers": tuple(
                entry.model_copy(update={"calibration": found}) if entry is enrolled else entry
                for entry in configuration.loggers
            )
        }
    )
    changes: list[Change] = []
    for consignment in consignments:
        if not _rode_in(consignment, enrolled.box):
            continue
        observations = list(observations_of(consignment))
        before = judge_consignment(consignment, configuration, observations, now_ms)
        after = judge_consignment(consignment, corrected, observations, now_ms)
        changes.extend(Change(*pair) for pair in zip(before, after, strict=True) if pair[0].verdict != pair[1].verdict)
    return changes


def _rode_in(consignment: Consignment, box: str) -> bool:
    return any(stretch.box == box for item in consignment.items for stretch in exposure_of(consignment, item))
