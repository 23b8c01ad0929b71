"""Heat in a transport box.

Nodes: surroundings -> wall (UA) -> phase change material (PCM) <-> payload <-> air -> the logger, which lags.
A small part of the wall's heat goes straight to the air (seals and bridges). An open lid couples the air to the
surroundings: the air follows at once (0.03 kJ/K), the payload hardly moves (12 kJ/K with its PCM).

The PCM is calculated by its enthalpy, with 0 J at its melting point, all solid. Temperatures are °C, heat flows W.
Everything advances by one fixed step, so that a run is the same whenever it is asked.
"""

import math
from dataclasses import dataclass

STEP_S = 2.0
"""Far below the fastest node, the payload against its PCM (some minutes); the air is taken implicitly."""
WATER_J_PER_KG_K = 4186.0
WALL_W_PER_K = {"eps": 0.458, "pur": 0.393, "vip": 0.161, "bag": 0.9, "none": 3.0}
"""UA of a 30 cm cube of 40 mm EPS, 30 mm PUR, 25 mm VIP; a padded bag; a plain carrier."""


@dataclass(frozen=True)
class Pcm:
    """The cold packs, as they were put in. ``temperature_c`` None is the melting point."""

    mass_kg: float
    melts_at_c: float = 5.0
    latent_j_per_kg: float = 200_000.0
    specific_j_per_kg_k: float = 2000.0
    solid_fraction: float = 1.0
    temperature_c: float | None = None

    @property
    def latent_j(self) -> float:
        """Return the heat that melts all of it."""
        return self.mass_kg * self.latent_j_per_kg

    @property
    def heat_j_per_k(self) -> float:
        """Return its heat capacity while it does not melt."""
        return self.mass_kg * self.specific_j_per_kg_k

    @property
    def initial_enthalpy_j(self) -> float:
        """Return its enthalpy as it was put in."""
        if self.temperature_c is None or self.temperature_c == self.melts_at_c:
            return (1 - self.solid_fraction) * self.latent_j
        above_k = self.temperature_c - self.melts_at_c
        return above_k * self.heat_j_per_k + (self.latent_j if above_k > 0 else 0.0)

    def temperature_at(self, enthalpy_j: float) -> float:
        """Return the temperature that belongs to an enthalpy."""
        if enthalpy_j < 0:
            return self.melts_at_c + enthalpy_j / self.heat_j_per_k
        return self.melts_at_c + max(0.0, enthalpy_j - self.latent_j) / self.heat_j_per_k


@dataclass(frozen=True)
class BoxDesign:
    """A box with what is in it; conductances in W/K, heat capacities in J/K."""

    wall_w_per_k: float
    payload_kg: float = 2.0
    """Counted as water."""
    payload_c: float = 5.0
    pcm: Pcm | None = None
    logger_lag_s: float = 300.0
    lid_w_per_k: float = 3.0
    """Exchange of air through the open lid."""
    payload_air_w_per_k: float = 2.5
    pcm_payload_w_per_k: float = 20.0
    wall_air_share: float = 0.05
    air_j_per_k: float = 30.0

    @property
    def payload_j_per_k(self) -> float:
        """Return the payload's heat capacity."""
        return self.payload_kg * WATER_J_PER_KG_K


class Box:
    """The state of one box."""

    def __init__(self, design: BoxDesign) -> None:
        self.design = design
        self.payload_c = design.payload_c
        self.air_c = design.payload_c
        self.logger_c = design.payload_c
        self._enthalpy_j = design.pcm.initial_enthalpy_j if design.pcm else 0.0
        self._logger_share = 1 - math.exp(-STEP_S / design.logger_lag_s) if design.logger_lag_s > 0 else 1.0

    @property
    def pcm_c(self) -> float | None:
        """Return the temperature of the PCM, None without one."""
        return self.design.pcm.temperature_at(self._enthalpy_j) if self.design.pcm else None

    @property
    def solid_fraction(self) -> float:
        """Return how much of the PCM is solid, 0 without one."""
        pcm = self.design.pcm
        return 0.0 if pcm is None else max(0.0, min(1.0, 1 - self._enthalpy_j / pcm.latent_j))

    def step(self, surroundings_c: float, *, is_open: bool) -> None:
        """Advance by ``STEP_S``."""
        design = self.design
        wall_air = design.wall_w_per_k * design.wall_air_share
        to_air = wall_air + (design.lid_w_per_k if is_open else 0.0)
        through_wall_w = (design.wall_w_per_k - wall_air) * (surroundings_c - self._inner_c)
        from_air_w = design.payload_air_w_per_k * (self.air_c - self.payload_c)
        payload_w = from_air_w
        if design.pcm is None:
            payload_w += through_wall_w
        else:
            exchange_w = design.pcm_payload_w_per_k * (design.pcm.temperature_at(self._enthalpy_j) - self.payload_c)
            self._enthalpy_j += (through_wall_w - exchange_w) * STEP_S
            payload_w += exchange_w
        inertia = design.air_j_per_k / STEP_S
        self.air_c = (inertia * self.air_c + to_air * surroundings_c + design.payload_air_w_per_k * self.payload_c) / (
            inertia + to_air + design.payload_air_w_per_k
        )
        self.payload_c += payload_w * STEP_S / design.payload_j_per_k
        self.logger_c += (self.air_c - self.logger_c) * self._logger_share

    @property
    def _inner_c(self) -> float:
        """Return the temperature of what lines the wall: the PCM, or the payload where there is none."""
        pcm_c = self.pcm_c
        return self.payload_c if pcm_c is None else pcm_c
