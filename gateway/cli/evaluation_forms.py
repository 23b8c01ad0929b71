"""An evaluation as a document (JSON), as rows (CSV), and as text. Times carry their offset from UTC."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from typing import Any

from gateway.cli.evaluation import Evaluation
from gateway.core.verdicts import Excursion, Verdict
from gateway.importers.comparison import Counted, Difference
from gateway.importers.local_time import local_text
from gateway.importers.recording import AlarmKind, DeviceLimit, Recording, Side
from gateway.language import Language, speech_of
from gateway.language.reasons import say_reason
from gateway.language.speech import plain

_MINUTE_MS = 60_000
_CALIBRATED_HINT = "(--calibrated, if its certificate was checked)"
_SHOWN_MAX = 60
"""Lines of one table in the text form; all of them are in JSON and CSV."""

CSV_FIELDS = (
    "file",
    "serial",
    "profile",
    "verdict",
    "reasons",
    "readings",
    "begins",
    "ends",
    "min_c",
    "max_c",
    "mean_c",
    "mkt_c",
    "monitored_fraction",
    "rule",
    "start",
    "trigger",
    "end",
    "minutes",
    "extreme_c",
)


def to_document(evaluation: Evaluation) -> dict[str, Any]:
    """Return everything as JSON has it. Temperatures °C, times ISO 8601 with offset, durations minutes."""
    recording, judgement = evaluation.recording, evaluation.judgement
    figures, zone = judgement.figures, recording.zone
    document: dict[str, Any] = {
        "file": evaluation.file,
        "device": recording.device,
        "serial": recording.serial,
        "firmware": recording.firmware,
        "interval_s": recording.interval_s,
        "start_delay_s": recording.start_delay_s,
        "time_zone": recording.zone_name,
        "begins": _time(recording.begins_ms, zone),
        "ends": _time(recording.ends_ms, zone),
        "notes": list(recording.notes),
        "profile": evaluation.profile.id,
        "profile_version": evaluation.profile.version,
        "uncertainty_c": evaluation.uncertainty_c,
        "readings": figures.readings,
        "repeated": recording.repeated,
        "min_c": figures.min_c,
        "min_at": _time(figures.min_at_ms, zone),
        "max_c": figures.max_c,
        "max_at": _time(figures.max_at_ms, zone),
        "mean_c": _rounded(figures.mean_c),
        "mkt_c": _rounded(figures.mkt_c),
        "mkt_energy_kj_mol": evaluation.profile.mkt_activation_energy_kj_mol,
        "excursions": [_excursion(excursion, zone) for excursion in judgement.excursions],
        "cumulative": {rule: _rounded(minutes) for rule, minutes in judgement.cumulative_minutes.items()},
        "breaches": [
            {
                "rule": breach.rule,
                "kind": breach.kind,
                "start": _time(breach.started_at_ms, zone),
                "trigger": _time(breach.triggered_at_ms, zone),
                "end": _time(breach.ended_at_ms, zone),
                "minutes": _rounded(breach.minutes),
                "extreme_c": breach.extreme_c,
                "proven": breach.proven,
            }
            for breach in judgement.breaches
        ],
        "gaps": [_span(gap.begins_ms, gap.ends_ms, zone) for gap in judgement.gaps],
        "sensor_silent": [_span(gap.begins_ms, gap.ends_ms, zone) for gap in recording.missing],
        "monitored_fraction": _rounded(figures.monitored_fraction, 6),
        "unmonitored_minutes": _rounded(figures.unmonitored_ms / _MINUTE_MS),
        "lives": [
            {
                "name": life.name,
                "spent": _rounded(life.spent, 6),
                "spent_possible": _rounded(life.spent_possible, 6),
                "left_now_h": _rounded(life.left_now_h),
                "left_planned_h": _rounded(life.left_planned_h),
            }
            for life in judgement.lives
        ],
        "verdict": judgement.verdict,
        "reasons": [
            {
                "code": reason.code,
                "verdict": reason.verdict,
                "text": plain(say_reason(reason, speech_of(Language.EN, zone))),
                "parameters": dict(reason.parameters),
            }
            for reason in judgement.reasons
        ],
    }
    if evaluation.comparison is not None:
        document["device_comparison"] = _comparison(evaluation)
    return document


def to_rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """Yield a row for each excursion, at least one: what is the same for the file stands in each."""
    document = to_document(evaluation)
    same = {field: document[field] for field in CSV_FIELDS if field in document and field != "reasons"}
    same["reasons"] = " ".join(dict.fromkeys(reason["code"] for reason in document["reasons"]))
    if not document["excursions"]:
        yield same
    for excursion in document["excursions"]:
        yield same | excursion


def to_lines(evaluation: Evaluation) -> Iterator[str]:
    """Yield the lines that a person reads."""
    recording, judgement, zone = evaluation.recording, evaluation.judgement, evaluation.recording.zone
    yield evaluation.file
    yield from _device_lines(recording)
    for note in recording.notes:
        yield f"  note        {note}"
    yield f"  judged by   {evaluation.profile.title}, uncertainty {evaluation.uncertainty_c:g} °C"
    yield from _figure_lines(evaluation)
    yield from _table("excursions", [_excursion_cells(excursion, zone) for excursion in judgement.excursions])
    if judgement.cumulative_minutes:
        sums = ", ".join(f"{rule} {minutes:g} min" for rule, minutes in judgement.cumulative_minutes.items())
        yield f"  in all      {sums}"
    yield from _table(
        "gaps",
        [
            [_short(gap.begins_ms, zone), "to", _short(gap.ends_ms, zone), _duration(gap.ends_ms - gap.begins_ms)]
            for gap in judgement.gaps
        ],
    )
    for life in judgement.lives:
        left = "" if life.left_now_h is None else f", {life.left_now_h:.1f} h left at the last temperature"
        yield f"  life        {life.name}: {life.spent:.1%} spent{left}"
    if evaluation.comparison is not None:
        yield from _table(
            "device      alarm, ours beside it (minutes; start; trigger)",
            [_difference_cells(difference, zone) for difference in evaluation.comparison.differences],
        )
        yield from _device_figures(evaluation)
    yield f"  verdict     {judgement.verdict.replace('_', ' ').upper()}"
    for reason in judgement.reasons:
        hint = f" {_CALIBRATED_HINT}" if reason.code == "not_calibrated" else ""
        yield f"    {_weight(reason.verdict):<18}{plain(say_reason(reason, speech_of(Language.EN, zone)))}{hint}"


def _excursion(excursion: Excursion, zone: tzinfo) -> dict[str, Any]:
    return {
        "rule": excursion.rule,
        "start": _time(excursion.started_at_ms, zone),
        "trigger": _time(excursion.triggered_at_ms, zone),
        "end": _time(excursion.ended_at_ms, zone),
        "minutes": _rounded(excursion.minutes),
        "extreme_c": excursion.extreme_c,
    }


def _span(begins_ms: int, ends_ms: int, zone: tzinfo) -> dict[str, Any]:
    return {
        "begins": _time(begins_ms, zone),
        "ends": _time(ends_ms, zone),
        "minutes": _rounded((ends_ms - begins_ms) / _MINUTE_MS),
    }


def _comparison(evaluation: Evaluation) -> dict[str, Any]:
    comparison, zone = evaluation.comparison, evaluation.recording.zone
    if comparison is None:
        return {}
    device, ours = evaluation.recording.figures, comparison.judgement.figures
    return {
        "alarms": [
            {
                "alarm": difference.limit.number,
                "limit": limit_text(difference.limit),
                "day": None if difference.day is None else difference.day.isoformat(),
                "device": _counted(difference.device, zone),
                "ours": _counted(difference.ours, zone),
                "difference_minutes": _rounded(difference.minutes),
                "tolerance_minutes": _rounded(difference.tolerance_min),
                "agrees": difference.agrees,
                "same_alarm": difference.same_alarm,
            }
            for difference in comparison.differences
        ],
        "figures": {
            "device": {
                "min_c": device.min_c,
                "max_c": device.max_c,
                "mean_c": device.mean_c,
                "mkt_c": device.mkt_c,
                "mkt_energy_kj_mol": device.mkt_energy_kj_mol,
            },
            "ours": {
                "min_c": ours.min_c,
                "max_c": ours.max_c,
                "mean_c": _rounded(ours.mean_c),
                "mkt_c": _rounded(ours.mkt_c),
            },
        },
    }


def _counted(counted: Counted | None, zone: tzinfo) -> dict[str, Any] | None:
    if counted is None:
        return None
    return {
        "minutes": _rounded(counted.minutes),
        "start": _time(counted.started_at_ms, zone),
        "trigger": _time(counted.triggered_at_ms, zone),
        "end": _time(counted.ended_at_ms, zone),
    }


def limit_text(limit: DeviceLimit) -> str:
    """Say what a device's alarm was configured with."""
    side = ">" if limit.side is Side.HIGH else "<"
    count = "at a time" if limit.kind is AlarmKind.SINGLE else "in all"
    return f"{side}{limit.limit_c:g} °C {limit.allowed_min} min {count}"


def _weight(verdict: Verdict) -> str:
    """Name what a reason leads to; what leads to nothing is a note."""
    return "note" if verdict is Verdict.ACCEPT else verdict.replace("_", " ")


def _device_lines(recording: Recording) -> Iterator[str]:
    about = [recording.device, f"serial {recording.serial}" if recording.serial else ""]
    about.append(f"firmware {recording.firmware}" if recording.firmware else "")
    about.append(f"every {_duration(recording.interval_s * 1000)}" if recording.interval_s else "")
    about.append(f"times in {recording.zone_name}")
    yield f"  logger      {', '.join(part for part in about if part)}"


def _figure_lines(evaluation: Evaluation) -> Iterator[str]:
    recording, zone = evaluation.recording, evaluation.recording.zone
    figures = evaluation.judgement.figures
    begins_ms, ends_ms = recording.begins_ms, recording.ends_ms
    if begins_ms is not None and ends_ms is not None:
        yield (
            f"  readings    {figures.readings}, {_short(begins_ms, zone)} to {_short(ends_ms, zone)}"
            f" ({_duration(ends_ms - begins_ms)}), {figures.monitored_fraction:.1%} monitored"
        )
    values = [
        f"{name} {value:.1f} °C"
        for name, value in (("min", figures.min_c), ("max", figures.max_c), ("mean", figures.mean_c))
        if value is not None
    ]
    if figures.mkt_c is not None:
        energy = evaluation.profile.mkt_activation_energy_kj_mol
        values.append(f"MKT {figures.mkt_c:.1f} °C (ΔH {energy:g} kJ/mol, for information)")
    yield f"  measured    {', '.join(values)}"


def _excursion_cells(excursion: Excursion, zone: tzinfo) -> list[str]:
    return [
        excursion.rule,
        _short(excursion.started_at_ms, zone),
        "to",
        _short(excursion.ended_at_ms, zone),
        f"{excursion.minutes:g} min",
        f"{excursion.extreme_c:g} °C",
        "within what is allowed at a time"
        if excursion.triggered_at_ms is None
        else f"too long from {_short(excursion.triggered_at_ms, zone)}",
    ]


def _difference_cells(difference: Difference, zone: tzinfo) -> list[str]:
    return [
        difference.limit.number if difference.day is None else f"{difference.day} {difference.limit.number}",
        limit_text(difference.limit),
        _counted_text(difference.device, zone, "not listed"),
        _counted_text(difference.ours, zone, "the summary does not tell"),
        "" if difference.minutes is None else f"{difference.minutes:+g} min (±{difference.tolerance_min:g})",
        "agrees" if difference.agrees and difference.same_alarm else _disagreement(difference),
    ]


def _disagreement(difference: Difference) -> str:
    """Say what differs. The device may have seen a break, or a dip, between two logged readings."""
    if not difference.agrees:
        return "DIFFERS"
    alarming = "the device" if difference.ours is None or difference.ours.triggered_at_ms is None else "ours"
    return f"agrees, at the threshold: only {alarming} alarms"


def _counted_text(counted: Counted | None, zone: tzinfo, otherwise: str) -> str:
    if counted is None:
        return otherwise
    times = [_short(at_ms, zone) for at_ms in (counted.started_at_ms, counted.triggered_at_ms) if at_ms is not None]
    return "; ".join([f"{counted.minutes:g} min", *times])


def _device_figures(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.comparison is None:
        return
    device, ours = evaluation.recording.figures, evaluation.comparison.judgement.figures
    pairs = [
        f"{name} {theirs:.1f} / {own:.1f} °C"
        for name, theirs, own in (
            ("min", device.min_c, ours.min_c),
            ("max", device.max_c, ours.max_c),
            ("mean", device.mean_c, ours.mean_c),
            ("MKT", device.mkt_c, ours.mkt_c),
        )
        if theirs is not None and own is not None
    ]
    if pairs:
        yield f"    {', '.join(pairs)} (device / ours)"


def _table(title: str, rows: list[list[str]]) -> Iterator[str]:
    if not rows:
        return
    yield f"  {title}"
    shown = rows[:_SHOWN_MAX]
    widths = [max(len(row[place]) for row in shown) for place in range(len(shown[0]))]
    for row in shown:
        yield "    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    if len(rows) > _SHOWN_MAX:
        yield f"    and {len(rows) - _SHOWN_MAX} more, all of them with --json or --csv"


def _time(at_ms: int | None, zone: tzinfo) -> str | None:
    return None if at_ms is None else local_text(at_ms, zone)


def _short(at_ms: int | None, zone: tzinfo) -> str:
    """Write a moment to the minute, with its offset."""
    if at_ms is None:
        return "–"
    text = local_text(at_ms, zone)
    return f"{text[:10]} {text[11:16]}{text[19:]}"


def _duration(duration_ms: int) -> str:
    minutes = duration_ms / _MINUTE_MS
    if minutes < 60:  # noqa: PLR2004  minutes of an hour
        return f"{minutes:g} min"
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)
