"""Compare the signals that a real BlueZ gave with those of the fake. usage: python -m tests.bluez.compare TRACE"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

from tests.bluez import story
from tests.bluez.story import Event, Trace


async def play_on_the_fake(folder: Path) -> Trace:
    """Play the story on the fake BlueZ, in a process of its own."""
    address = f"unix:path={folder}/bus"
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": address, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    arguments = ("--bus", address, "--shim-dir", str(folder / "bin"))
    with mock.patch.dict(os.environ, environment):
        async with story.simulated_loggers(*arguments, truth=folder / "truth.jsonl"):
            return await story.play()


def differences(real: Trace, fake: Trace) -> list[str]:
    """Say where the fake tells another story: other events in a scene, or turning points in another order."""
    found = []
    for scene in {**real, **fake}:
        one, other = _without_known(real.get(scene, [])), _without_known(fake.get(scene, []))
        found += [f"{scene}: only the real one: {' '.join(event)}" for event in one if event not in other]
        found += [f"{scene}: only the fake: {' '.join(event)}" for event in other if event not in one]
        if not found and _turning_points(one) != _turning_points(other):
            found.append(f"{scene}: another order: real {_turning_points(one)}, fake {_turning_points(other)}")
    return found


def _without_known(events: list[Event]) -> list[Event]:
    """Leave out what differs for a known reason.

    Name      the virtual link carries no scan responses, so there the name is known only after a connection
    Battery1  BlueZ reads a battery service by itself and shows it once more; nothing here looks at it
    """
    return [
        [part for part in event if event[0] != "added" or part != "Name"]
        for event in events
        if event[2] != "Battery1" and event[3:] != ["Alias", "Name"]
    ]


def _turning_points(events: list[Event]) -> list[str]:
    """The order that a client may rely on; BlueZ shows devices and services in the order of its tables."""
    told = []
    for event in events:
        states = [part for part in event[3:] if "=" in part or part == "-RSSI"]
        point = " ".join([event[2], *states]) if states else f"{event[2]} {event[0]}" if "Gatt" in event[2] else ""
        if point and point not in told:
            told.append(point)
    first_added = next((place for place, point in enumerate(told) if point.endswith("added")), 0)
    added = sorted(point for point in told if point.endswith("added"))
    rest = [point for point in told if not point.endswith("added")]
    return [*rest[:first_added], *added, *rest[first_added:]]


def main() -> int:
    """Print the differences; the status says whether there are any."""
    real = story.load(Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        fake = asyncio.run(play_on_the_fake(Path(folder)))
    found = differences(real, fake)
    for line in found:
        print(line)  # noqa: T201  its job
    events = sum(map(len, real.values()))
    print(f"signals: {events} kinds of events in {len(real)} scenes, {len(found)} differences")  # noqa: T201  its job
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
