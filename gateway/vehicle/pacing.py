"""How much of the log is under way at once, and how long a silence is patience. Pure: seconds come in.

A hub to which two hundred vehicles come back at once answers each of them late. Who takes that for loss and sends
everything again makes it later still, until it does nothing but set duplicates aside. So a vehicle begins with little,
doubles it as long as answers come, waits three times as long as answers took, and after a stall goes back to little.
"""

from __future__ import annotations

from dataclasses import dataclass, field

WINDOW_FIRST = 8 * 1024
"""Bytes sent before the first answer: nine segments of 50 loggers; of 200 vehicles what a hub takes in seconds."""
PATIENCE_FACTOR = 3
"""Times the last answer's delay: a commit of the hub that takes twice as long is no loss."""


@dataclass(slots=True)
class Pace:
    """The pace on one connection.

    window_max               bytes under way at most
    stall_s, stall_max_s     shortest and longest patience
    """

    window_max: int
    stall_s: float
    stall_max_s: float
    window_bytes: int = field(init=False)
    """How much may be under way."""
    patience_s: float = field(init=False)
    """Without progress for so long, it is sent again."""

    def __post_init__(self) -> None:
        self.window_bytes = min(WINDOW_FIRST, self.window_max)
        self.patience_s = self.stall_s

    def moved(self, waited_s: float) -> None:
        """An answer came after so long."""
        self.window_bytes = min(2 * self.window_bytes, self.window_max)
        self.patience_s = min(max(self.stall_s, PATIENCE_FACTOR * waited_s), self.stall_max_s)

    def stalled(self) -> None:
        """No answer came."""
        self.window_bytes = min(WINDOW_FIRST, self.window_max)
        self.patience_s = min(2 * self.patience_s, self.stall_max_s)
