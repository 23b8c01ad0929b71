"""Names that the profiles of the library and of the demonstration give to their bands, limits and lives, in words."""

from __future__ import annotations

from gateway.language.speech import N_, Speech

NAMES: dict[str, str] = {
    "after-4-h": N_("after 4 h"),
    "ambient": N_("ambient temperature"),
    "carried": N_("as it is carried"),
    "cold": N_("cold"),
    "freeze": N_("frost"),
    "freezing": N_("freezing"),
    "frozen": N_("frozen"),
    "heat": N_("heat"),
    "heat-10": N_("heat, 10 °C"),
    "heat-30": N_("heat, 30 °C"),
    "heat-45": N_("heat, 45 °C"),
    "high": N_("too high"),
    "hot": N_("heat"),
    "ice": N_("ice"),
    "ice-slurry": N_("ice slurry"),
    "in-use": N_("in use"),
    "low": N_("too low"),
    "microbiological": N_("microbiological"),
    "out": N_("out of the refrigerator"),
    "out-of-refrigerator": N_("out of the refrigerator"),
    "physico-chemical": N_("physico-chemical"),
    "refrigerated": N_("refrigerated"),
    "refrigerator": N_("refrigerator"),
    "room": N_("room temperature"),
    "shelf-life": N_("shelf life"),
    "storage": N_("storage"),
    "to-formalin": N_("to formalin"),
    "to-incubator": N_("to the incubator"),
    "use-before": N_("use before"),
    "warm": N_("warm"),
    "warm-2-h": N_("warm, 2 h"),
}
"""Name → words. A test holds it against the profiles that come with the program."""


def say_name(name: str, speech: Speech) -> str:
    """Return the name of a band, a limit or a life in words; one that a hospital gave stays as it was written."""
    return speech.gettext(NAMES[name]) if name in NAMES else name
