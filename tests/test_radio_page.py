"""The table of docs/radio.md names tests that exist, and its numbers are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.vehicle import adapters, download, radio, recovery
from gateway.vehicle.settings import RadioSettings

ROOT = Path(__file__).parents[1]
PAGE = " ".join((ROOT / "docs" / "radio.md").read_text(encoding="utf-8").split())
NAMED = sorted(set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)))


def test_failures_are_named() -> None:
    assert len(NAMED) >= 20


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_named_test_exists(file: str, test: str) -> None:
    (path,) = (ROOT / "tests").rglob(file)
    assert f"def {test}(" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    [
        f"looked at every {radio.LOOK_S:g} s",
        f"after {RadioSettings().silence_s:g} s (`radio.silence_s`)",
        f"{adapters.PROBE_S:g} s of active scanning",
        f"pauses doubling up to {adapters.RESTART_MAX_S:g} s",
        f"once in {adapters.STEP_RECORDED_APART_S / 60:g} min",
        (
            f"after {recovery.RESET_AFTER_S:g} s of trouble; again after {recovery.RESET_APART_S:g} s, doubling up to "
            f"{recovery.RESET_APART_MAX_S / 60:g} min"
        ),
        (
            f"after {recovery.SERVICE_AFTER_S:g} s; again after {recovery.SERVICE_APART_S / 60:g} min, doubling up to "
            f"{recovery.SERVICE_APART_MAX_S / 3600:g} h"
        ),
        f"for {radio.MISSING_S:g} s",
        f"connecting | {radio.CONNECT_TIMEOUT_S:g} s",
        f"without an answer | {download.GATT_TIMEOUT_S:g} s",
        f"without a notification | {download.IDLE_TIMEOUT_S:g} s",
        f"a whole download | {download.DOWNLOAD_TIMEOUT_S:g} s",
        f"disconnecting | {radio.DISCONNECT_TIMEOUT_S:g} s",
    ],
)
def test_a_number_is_the_codes(text: str) -> None:
    assert text in PAGE


def test_two_loggers_at_once() -> None:
    assert RadioSettings().connections == 2
