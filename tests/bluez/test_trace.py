"""The fake BlueZ gives the signals that a real one gave to the same story (recorded by `make test-bluez`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bluez import story
from tests.bluez.compare import differences, play_on_the_fake
from tests.bluez.story import Trace

REAL = story.load(story.HERE / "bluez-5.82.json")


async def test_the_fake_tells_the_story_of_a_real_one(tmp_path: Path) -> None:
    assert differences(REAL, await play_on_the_fake(tmp_path)) == []


def altered(scene: str, change: str) -> Trace:
    events = [list(event) for event in REAL[scene]]
    if change == "less":
        events = [event for event in events if not any("=" in part for part in event)]
    elif change == "more":
        events.append(["removed", "adapter/box2", "Device1"])
    else:
        events.reverse()
    return {**REAL, scene: events}


@pytest.mark.parametrize("change", ["less", "more", "reversed"])
@pytest.mark.parametrize("scene", ["connect", "notify"])
def test_a_difference_is_seen(scene: str, change: str) -> None:
    assert differences(REAL, altered(scene, change))
    assert differences(REAL, REAL) == []
