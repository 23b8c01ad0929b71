"""The boxes of a scenario, each with its physics, asked for the surroundings of its logger at any time."""

import math
from datetime import datetime

from firmware_sim import physics, scenario, weather
from firmware_sim.firmware import Environment
from firmware_sim.physics import STEP_S
from firmware_sim.tables import Interval

MS_PER_STEP = STEP_S * 1000
_PA_PER_HPA = 100


class CarriedBox:
    """One box on its way; times are seconds since the scenario's start, and may only go forward."""

    def __init__(self, box: scenario.Box, place: weather.Place, start: datetime, air: scenario.Weather) -> None:
        self.code = box.code
        self._box = physics.Box(_design(box))
        self._place = place
        self._air = air
        self._open = [_span(interval, start) for interval in box.lid_open]
        self._away = [(*_span(away, start), away.temperature_c) for away in box.carried_away]
        self._steps = 0

    def at(self, seconds: float) -> Environment:
        """Return what the logger feels at this time, at the last whole step of the physics."""
        while (self._steps + 1) * STEP_S <= seconds:
            self._step()
        temperature_c = self._box.logger_c
        humidity = 100 * self._air.vapour_hpa / _saturation_hpa(temperature_c)
        return Environment(temperature_c, min(100.0, humidity), self._air.pressure_hpa * _PA_PER_HPA)

    @property
    def physics(self) -> physics.Box:
        """Return the state of the box at the last step."""
        return self._box

    def is_away(self, seconds: float) -> bool:
        """Tell whether the box is out of the radio's reach."""
        return any(begins <= seconds < ends for begins, ends, _ in self._away)

    def is_open(self, seconds: float) -> bool:
        """Tell whether its lid is open."""
        return any(begins <= seconds < ends for begins, ends in self._open)

    def _step(self) -> None:
        seconds = self._steps * STEP_S
        surroundings_c = self._place.at_step(self._steps)
        for begins, ends, temperature_c in self._away:
            if begins <= seconds < ends:
                surroundings_c = temperature_c
        self._box.step(surroundings_c, is_open=self.is_open(seconds))
        self._steps += 1


def build(trip: scenario.Scenario) -> list[CarriedBox]:
    """Return the boxes of a scenario, in its order."""
    start = trip.clock.start
    outside = _curve(trip.weather.curve, start)
    places = {
        name: weather.Place(
            _curve(place.curve, start) if place.curve else outside,
            heated_to_c=place.heated_to_c,
            starts_at_c=place.starts_at_c,
            lag_s=place.lag_min * 60,
        )
        for name, place in trip.places.items()
    }
    return [CarriedBox(box, places[box.place], start, trip.weather) for box in trip.boxes]


def _design(box: scenario.Box) -> physics.BoxDesign:
    return physics.BoxDesign(
        wall_w_per_k=box.wall_w_per_k or physics.WALL_W_PER_K[box.kind],
        payload_kg=box.payload.mass_kg,
        payload_c=box.payload.temperature_c,
        pcm=None if box.pcm is None else _pcm(box.pcm),
        logger_lag_s=box.logger.lag_s,
        lid_w_per_k=box.lid_w_per_k,
    )


def _pcm(pcm: scenario.Pcm) -> physics.Pcm:
    return physics.Pcm(
        mass_kg=pcm.mass_kg,
        melts_at_c=pcm.melts_at_c,
        latent_j_per_kg=pcm.latent_kj_per_kg * 1000,
        solid_fraction=pcm.solid_fraction,
        temperature_c=pcm.temperature_c,
    )


def _curve(points: list[scenario.CurvePoint], start: datetime) -> weather.Curve:
    return weather.Curve([((point.at - start).total_seconds(), point.temperature_c) for point in points])


def _span(interval: Interval, start: datetime) -> tuple[float, float]:
    return (interval.begins_at - start).total_seconds(), (interval.ends_at - start).total_seconds()


def _saturation_hpa(temperature_c: float) -> float:
    """Return the vapour pressure of saturated air over water (Magnus formula)."""
    return 6.112 * math.exp(17.62 * temperature_c / (243.12 + temperature_c))
