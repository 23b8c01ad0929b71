from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.importers.files import read_recording
from gateway.importers.recording import Recording

ROOT = Path(__file__).parents[2]
RECORDINGS = Path(os.environ.get("COLDCHAIN_RECORDINGS", ROOT.parent / "shared" / "recordings"))

Q_TAG = "RCPJ00010_02_202211090128.txt"
FRIDGE_TAG_UL = "100800001215_202304201410.txt"
FRIDGE_TAG_2 = "130400191542_202302140605.txt"


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Recording]:
    """Read a real recording; the test is skipped where the recordings are not at hand."""

    def read(name: str) -> Recording:
        return read_recording(recording_path(name))

    return read


@pytest.fixture(scope="session")
def path_of() -> Callable[[str], Path]:
    return recording_path


def recording_path(name: str) -> Path:
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(f"no recording {name} in {RECORDINGS}; COLDCHAIN_RECORDINGS says where they are")
    return path
