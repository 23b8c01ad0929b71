"""The outbox as fast as it seals, 50 readings in a segment: FOLDER. Prints how many it has promised, for ever."""  # noqa: INP001  a script

from __future__ import annotations

import sys
import time
from pathlib import Path

from gateway.core.contents import Content
from gateway.core.observations import Observation, Source
from gateway.keys import load_or_create_key
from gateway.vehicle.storage import Storage

EACH = 50

folder = Path(sys.argv[1])
storage = Storage.open(folder, "VAN-1", load_or_create_key(folder / "gateway.key"), max_bytes=1 << 30)
began_s, number = time.monotonic(), 0
while True:
    at_ms = 1_750_000_000_000 + number * 60_000
    readings = tuple(
        Observation(f"C0:FF:EE:00:00:{place:02X}", Source.LIVE, at_ms + place, True, number * 60_000, 60, 5000, number)
        for place in range(EACH)
    )
    storage.outbox.seal(Content(readings), sealed_at_ms=at_ms, config_version=1)
    number += 1
    print(number * EACH, time.monotonic() - began_s, flush=True)  # noqa: T201  read by the benchmark
