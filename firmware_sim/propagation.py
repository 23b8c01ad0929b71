"""Radio between a box and the receiver: path loss by distance and metal, fading, and a receiver's limit.

Log-distance model: 40 dB over the first metre at 2.4 GHz, then 10 x exponent dB for each tenfold distance (2 in the
open; 1.6 to 3 inside a vehicle), a fixed loss for each metal wall, a shadowing that is drawn once for each logger,
and a fading for each packet. What a receiver makes of a packet falls from all to nothing within some decibels of its
sensitivity. The figures are plausible ones from text books, not measured in a van.
"""

import math
import random
from dataclasses import dataclass

FIRST_METRE_DB = 40.0
EXPONENT = 2.2
METAL_WALL_DB = 17.0
SHADOWING_DB = 4.0
FADING_DB = 3.0
SENSITIVITY_DBM = -95.0
"""Half of the packets of this strength are received."""
STEEPNESS_DB = 1.5
TX_POWER_DBM = 4.0


@dataclass(frozen=True)
class Path:
    """What lies between a logger and the receiver."""

    distance_m: float
    metal_walls: int = 0
    exponent: float = EXPONENT
    shadowing_db: float = SHADOWING_DB

    def mean_dbm(self) -> float:
        """Return the strength that is received on average, without shadowing."""
        loss_db = FIRST_METRE_DB + 10 * self.exponent * math.log10(max(self.distance_m, 0.1))
        return TX_POWER_DBM - loss_db - METAL_WALL_DB * self.metal_walls


class Reception:
    """One logger at one receiver; ``randomness`` decides shadowing, fading and luck."""

    def __init__(self, path: Path, randomness: random.Random) -> None:
        self._random = randomness
        self._level_dbm = path.mean_dbm() + randomness.gauss(0, path.shadowing_db)

    def receive(self) -> int | None:
        """Return the strength of the next packet in dBm, None where it is lost."""
        rssi = self._level_dbm + self._random.gauss(0, FADING_DB)
        return round(rssi) if self._random.random() < chance(rssi) else None


def chance(rssi_dbm: float) -> float:
    """Return how probably a packet of this strength is received."""
    return 1 / (1 + math.exp(-(rssi_dbm - SENSITIVITY_DBM) / STEEPNESS_DB))
