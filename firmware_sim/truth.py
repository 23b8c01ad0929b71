"""The truth file: what the simulated loggers really did, one JSON object a line.

First line::

    {"kind": "run", "seed": 1, "start_ms": ..., "shift_ms": 0}

``start_ms`` is the domain time at which the scenario began; ``shift_ms`` how far that is from the start that the
file names (0 when the clock of the run begins where the scenario does).

One line for each measurement, in the order of time for each logger::

    {"kind": "measurement", "logger": "C0:..", "n": 70001, "counter": 4466, "at_ms": ..., "temperature_mc": 5165,
     "boot": 0}

``n`` is the measurement number that never wraps and begins at 0 with each ``boot``, ``counter`` is the one that is
advertised (a RuuviTag's is n modulo 65535; null where a maker has none), ``at_ms`` is domain time (milliseconds since
1970 UTC), ``temperature_mc`` the advertised value in thousandths of a degree, null where the sensor gave none.

One line for each record that went into a logger's memory, right after its measurement (same ``n``, same time)::

    {"kind": "memory", "logger": "C0:..", "n": 70001, "at_ms": ..., "temperature_cc": 517, "boot": 0}

``temperature_cc`` is the value as the log serves it, in hundredths of a degree. The time that the log serves is the
reader's, in whole seconds, and bears the logger's drift.

And what happened to a box, ``event`` being lid_opened, lid_closed, carried_away, brought_back or logger_died::

    {"kind": "box", "box": "BOX-3", "logger": "C0:..", "event": "carried_away", "at_ms": ...}

And what went wrong with a logger, ``fault`` being reboot, brown_out, jump, or the name of a fault of the scenario with
_begins or _ends::

    {"kind": "fault", "logger": "C0:..", "fault": "stuck_begins", "at_ms": ...}

Every line is handed to the operating system before the measurement is advertised, so the file is complete even when
the simulator is killed.
"""

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from firmware_sim.firmware import Measurement


class TruthFile:
    """Writes the truth to a file, which is made anew."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._file.close()

    def begin(self, seed: int, start_ms: int, shift_ms: int) -> None:
        """Write the first line."""
        self._write({"kind": "run", "seed": seed, "start_ms": start_ms, "shift_ms": shift_ms})
        self.flush()

    def tell_measurement(self, logger: str, measurement: Measurement) -> None:
        """Write a measurement, and the record that it left in the logger's memory."""
        number, at_ms, take = measurement.number, measurement.at_ms, measurement.take
        self._write(
            {
                "kind": "measurement",
                "logger": logger,
                "n": number,
                "counter": take.counter,
                "at_ms": at_ms,
                "temperature_mc": take.temperature_mc,
                "boot": measurement.boot,
            }
        )
        if take.kept_cc is not None:
            line = {"kind": "memory", "logger": logger, "n": number, "at_ms": at_ms, "temperature_cc": take.kept_cc}
            self._write(line | {"boot": measurement.boot})

    def tell_event(self, box: str, logger: str, event: str, at_ms: int) -> None:
        """Write what happened to a box."""
        self._write({"kind": "box", "box": box, "logger": logger, "event": event, "at_ms": at_ms})

    def tell_fault(self, logger: str, fault: str, at_ms: int) -> None:
        """Write what went wrong with a logger."""
        self._write({"kind": "fault", "logger": logger, "fault": fault, "at_ms": at_ms})

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()

    def _write(self, line: dict[str, object]) -> None:
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
