"""One profile of each kind, and courses of readings, for properties that hold whatever the label says."""

from __future__ import annotations

import os

from hypothesis import settings
from hypothesis import strategies as st

from gateway.core.profiles import Profile
from tests.core.trips import COLD, MILD, ROOM, make_profile, with_life, with_limit

examples = settings(max_examples=int(os.environ.get("COLDCHAIN_EXAMPLES", "60")))
"""Few, for slow machines. COLDCHAIN_EXAMPLES is more."""

HOT_BAND = {"name": "hot", "from_c": 25, "to_c": 40}
LIMITS = [
    {"name": "hot-limit", "above_c": 8, "single": "30 min", "cumulative": "60 min"},
    {"name": "cold-limit", "below_c": 2, "inclusive": True, "single": "20 min", "cumulative": "40 min"},
]
FORBIDDEN = [{"name": "freezing", "below_c": 0, "dwell": "0 s"}, {"name": "heat", "above_c": 30, "dwell": "15 min"}]

MONOTONE = {
    "alternative": with_life(
        "alternative",
        (COLD, MILD, HOT_BAND),
        mixing="approved",
        allowances=[
            {"band": "cold", "life": "24 h"},
            {"band": "mild", "life": "6 h"},
            {"band": "hot", "life": "1 h"},
        ],
    ),
    "alternative with a hole": with_life(
        "alternative", (COLD, ROOM), allowances=[{"band": "cold", "life": "24 h"}, {"band": "room", "life": "4 h"}]
    ),
    "nested": with_life(
        "nested", (COLD, MILD), total="4 h", bands=["cold", "mild"], within=[{"band": "mild", "life": "1 h"}]
    ),
    "q10": with_life("q10", (), reference_c=5, reference_life="24 h", q10=3, valid_from_c=2, valid_to_c=30),
    "arrhenius": with_life(
        "arrhenius",
        (),
        reference_c=5,
        reference_life="24 h",
        activation_energy_kj_mol=83.144,
        valid_from_c=0,
        valid_to_c=30,
    ),
}
"""Labels that are harsher the warmer it is."""

SPECIMENS: dict[str, Profile] = {
    **MONOTONE,
    "limit": with_limit(above_c=8, single="30 min"),
    "limits": make_profile(limits=LIMITS),
    "forbidden": make_profile(forbidden=FORBIDDEN),
    "bands": make_profile(bands=[COLD, ROOM], outside_tolerance="10 min"),
    "sequential": with_life(
        "sequential", steps=[{"band": "cold", "life": "24 h"}, {"band": "room", "life": "12 h", "dwell": "25 min"}]
    ),
    "independent": with_life(
        "independent", (COLD, MILD), allowances=[{"band": "cold", "life": "30 h"}, {"band": "mild", "life": "8 h"}]
    ),
    "storage": with_life(
        "alternative", ({**COLD, "storage": True}, MILD), allowances=[{"band": "mild", "life": "6 h"}]
    ),
    "muted": make_profile(limits=LIMITS, start_delay="7 min", muted_phases=["at_origin"]),
    "rich": make_profile(
        bands=[COLD, MILD],
        limits=LIMITS,
        forbidden=FORBIDDEN,
        lives=[
            {
                "kind": "alternative",
                "name": "one",
                "allowances": [{"band": "cold", "life": "24 h"}, {"band": "mild", "life": "6 h"}],
            },
            {
                "kind": "sequential",
                "name": "two",
                "steps": [{"band": "cold", "life": "24 h"}, {"band": "mild", "life": "12 h", "dwell": "12 min"}],
            },
            {
                "kind": "q10",
                "name": "three",
                "reference_c": 5,
                "reference_life": "24 h",
                "q10": 3,
                "valid_from_c": 2,
                "valid_to_c": 30,
            },
        ],
    ),
}

names = st.sampled_from(list(SPECIMENS))
uncertainties = st.sampled_from([0.0, 0.2, 0.5, 1.0])

near_limits = st.sampled_from([-1, -0.5, 0, 1.9, 2, 2.1, 7.5, 7.9, 8, 8.1, 8.5, 14.9, 15, 25, 25.1, 30, 30.1])
temperatures = near_limits | st.integers(-100, 400).map(lambda tenths: tenths / 10)
"""Not only anything, but often what lies at a limit."""
pauses = st.sampled_from([0.5, 1, 5, 9.5, 10, 10.5, 11, 30, 120])
"""Minutes between readings: below, at and beyond what is a gap."""
steps = st.sampled_from([0.5, 1, 5, 10])
"""Minutes between readings, never a gap."""


def courses(between: st.SearchStrategy[float], max_size: int = 40) -> st.SearchStrategy[list[tuple[float, float]]]:
    """(minute, °C) in order of time."""

    def timed(pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
        minute, course = 0.0, []
        for pause, temperature_c in pairs:
            course.append((minute, temperature_c))
            minute += pause
        return course

    return st.lists(st.tuples(between, temperatures), min_size=1, max_size=max_size).map(timed)
