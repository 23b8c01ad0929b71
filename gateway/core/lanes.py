"""Lanes: the loggers that speak for a box, one at a time, through every change of loggers and certificates. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from gateway.core.assignments import Tenure
from gateway.core.configuration import Calibration
from gateway.core.exposure import Stretch, to_ms
from gateway.core.figures import CalibrationSpan, CalibrationSpans


def lane_choices(stage: Sequence[Stretch], tenures: Mapping[str, Sequence[Tenure]]) -> list[tuple[Tenure, ...]]:
    """Return one choice of a lane for each box; with several loggers in a box, each is judged and the worst wins."""
    spans: dict[str, list[Stretch]] = {}
    for stretch in stage:
        if stretch.box is not None:
            spans.setdefault(stretch.box, []).append(stretch)
    lanes = [
        lanes_of(
            [
                tenure
                for tenure in tenures.get(box, ())
                if any(tenure.overlaps(stretch.begins_ms, stretch.ends_ms) for stretch in stretches)
            ]
        )
        for box, stretches in sorted(spans.items())
    ]
    most = max(map(len, lanes), default=0)
    return [
        tuple(tenure for several in lanes if several for tenure in several[min(place, len(several) - 1)])
        for place in range(max(1, most))
    ]


def lanes_of(tenures: Sequence[Tenure]) -> list[tuple[Tenure, ...]]:
    """Return the lanes in which a box's loggers measured side by side; each lane has one logger at a time.

    A logger that replaces another goes on in its lane. Where a lane has nobody of its own while the box has, it has
    the first who is there: each lane speaks for the box as long as anybody does, and everybody is in some lane.
    """
    lanes: list[list[Tenure]] = []
    for tenure in sorted(tenures, key=lambda tenure: (tenure.from_ms, tenure.logger)):
        free = next((lane for lane in lanes if _is_over(lane[-1], tenure.from_ms)), None)
        if free is None:
            lanes.append([tenure])
        else:
            free.append(tenure)
    return [tuple(_filled(lane, lanes)) for lane in lanes] if len(lanes) > 1 else [tuple(lane) for lane in lanes]


def calibration_by_box(lane: Sequence[Tenure]) -> dict[str, CalibrationSpan | CalibrationSpans]:
    """Return when readings of each box count as calibrated."""
    spans: dict[str, list[CalibrationSpan]] = {}
    for tenure in lane:
        if tenure.calibration is not None:
            spans.setdefault(tenure.box, []).append(_calibration_span(tenure, tenure.calibration))
    return {
        box: several[0] if len(several) == 1 else CalibrationSpans(tuple(several)) for box, several in spans.items()
    }


def with_uncertainty(stage: Sequence[Stretch], lane: Sequence[Tenure]) -> list[Stretch]:
    """Return the stage cut where another logger, or another certificate, takes over."""
    pieces = []
    for stretch in stage:
        there = [tenure for tenure in lane if tenure.box == stretch.box]
        cuts = {cut for tenure in there for cut in (tenure.from_ms, tenure.until_ms) if cut is not None}
        inner = [cut for cut in sorted(cuts) if stretch.begins_ms < cut and not _is_past(stretch, cut)]
        bounds = [stretch.begins_ms, *inner]
        for begins_ms, ends_ms in zip(bounds, [*inner, stretch.ends_ms], strict=True):
            calibration = next((tenure.calibration for tenure in there if tenure.covers(begins_ms)), None)
            uncertainty_c = None if calibration is None else calibration.uncertainty_c
            pieces.append(replace(stretch, begins_ms=begins_ms, ends_ms=ends_ms, uncertainty_c=uncertainty_c))
    return pieces


def _is_past(stretch: Stretch, at_ms: int) -> bool:
    return stretch.ends_ms is not None and stretch.ends_ms <= at_ms


def _calibration_span(tenure: Tenure, calibration: Calibration) -> CalibrationSpan:
    due_ms = to_ms(calibration.due_at)
    return CalibrationSpan(
        max(tenure.from_ms, to_ms(calibration.calibrated_at)),
        due_ms if tenure.until_ms is None else min(tenure.until_ms, due_ms),
    )


def _is_over(tenure: Tenure, at_ms: int) -> bool:
    return tenure.until_ms is not None and tenure.until_ms <= at_ms


def _filled(own: Sequence[Tenure], lanes: Sequence[Sequence[Tenure]]) -> list[Tenure]:
    everybody = [tenure for lane in lanes for tenure in lane]
    cuts = {tenure.from_ms for tenure in everybody}
    cuts |= {tenure.until_ms for tenure in everybody if tenure.until_ms is not None}
    bounds: list[int | None] = [*sorted(cuts), None]
    pieces: list[tuple[Tenure, Tenure]] = []  # whole, and the part of it in this lane
    for begins_ms, ends_ms in pairwise(bounds):
        if begins_ms is None:
            break
        there = next((tenure for tenure in (*own, *everybody) if tenure.covers(begins_ms)), None)
        if there is None:
            continue
        if pieces and pieces[-1][0] is there and pieces[-1][1].until_ms == begins_ms:
            begins_ms = pieces.pop()[1].from_ms  # noqa: PLW2901  the piece goes on
        pieces.append((there, replace(there, from_ms=begins_ms, until_ms=ends_ms)))
    return [piece for _, piece in pieces]
