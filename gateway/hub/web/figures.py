"""Numbers and moments as people read them. Times carry their offset: on some autumn nights 02:30 comes twice."""

from __future__ import annotations

from gateway.hub.times import to_oslo

MINUTES_IN_HOUR = 60
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def celsius(value: float | None) -> str:
    """Return "9.6 °C"."""
    return "–" if value is None else f"{_number(value, 1)} °C"


def threshold(value: float) -> str:
    """Return a limit with no more digits than it has: "8 °C", "−0.5 °C"."""
    return f"{value:g}".replace("-", "−") + " °C"


def duration(minutes: float) -> str:
    """Return "35 min", "4 h 20 min" or "3 d 2 h"; under a minute "20 s"."""
    if 0 < minutes < 1:
        return f"{round(minutes * 60)} s"
    whole = round(minutes)
    hours, rest = divmod(whole, MINUTES_IN_HOUR)
    if not hours:
        return f"{whole} min"
    days, hours_rest = divmod(hours, 24)
    if days >= 2:  # noqa: PLR2004  "26 h" is clearer than "1 d 2 h"
        return f"{days} d {hours_rest} h" if hours_rest else f"{days} d"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def percent(fraction: float) -> str:
    """Return "98 %", never "100 %" for less than all and never "0 %" for more than nothing."""
    value = fraction * 100
    if 99 < value < 100:  # noqa: PLR2004  what the docstring says
        return f"{min(value, 99.9):.1f} %"
    if 0 < value < 1:
        return f"{max(value, 0.1):.1f} %"
    return f"{value:.0f} %"


def count(number: int, name: str) -> str:
    """Return "1 gap", "2 gaps"."""
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def moment(at_ms: int) -> str:
    """Return "24 Oct 2026 10:05 +02:00"."""
    return f"{day(at_ms)} {clock_time(at_ms)} {offset(at_ms)}"


def clock_time(at_ms: int) -> str:
    """Return "10:05"."""
    return to_oslo(at_ms).strftime("%H:%M")


def day(at_ms: int) -> str:
    """Return "24 Oct 2026"."""
    local = to_oslo(at_ms)
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"


def offset(at_ms: int) -> str:
    """Return "+02:00"."""
    text = to_oslo(at_ms).strftime("%z")
    return f"{text[:3]}:{text[3:]}"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")
