"""The loggers that can be simulated, by their maker."""

from firmware_sim.makers.table import MAKERS, Maker

__all__ = ["MAKERS", "Maker"]
