"""Short codes of the record that people read as words."""

from __future__ import annotations

from gateway.language.speech import N_, Speech

_CLOCKS = {
    "ntp": N_("a time server (NTP)"),
    "chrony": N_("a time server (chrony)"),
    "gps": N_("GPS"),
    "declared": N_("whoever set it up"),
}


def say_clock(reference: str | None, speech: Speech) -> str:
    """Return who vouches for a vehicle's time; "–" where nobody does."""
    if not reference:
        return "–"
    return speech.gettext(_CLOCKS[reference]) if reference in _CLOCKS else reference
