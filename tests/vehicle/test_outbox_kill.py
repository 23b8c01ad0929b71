"""A real process is killed while it seals; what it reported as sealed is there afterwards."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.core.contents import decode_content
from gateway.core.segments import parse_segment
from gateway.keys import SigningKey, load_or_create_key
from gateway.vehicle.database import open_database
from gateway.vehicle.outbox import Outbox
from tests.vehicle.samples import BOOT, NOW, VAN

_CHILD = """
import sys
from pathlib import Path
from gateway.keys import load_or_create_key
from gateway.vehicle.database import open_database
from gateway.vehicle.outbox import Outbox
from tests.vehicle.samples import BOOT, T0, VAN, content

folder = Path(sys.argv[1])
outbox = Outbox(open_database(folder / "outbox.db"), VAN, load_or_create_key(folder / "gateway.key"), boot=BOOT)
for number in range(int(sys.argv[2]), 1 << 30):
    outbox.seal(content(number), sealed_at_ms=T0 + number, config_version=1)
    print(number, flush=True)
"""


def kill_while_sealing(folder: Path, first: int, reports: int) -> int:
    """Let a process seal from `first` on, kill it after some reports, return the last number it reported."""
    with subprocess.Popen(  # noqa: S603  our own child
        [sys.executable, "-c", _CHILD, str(folder), str(first)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        reported = [int(process.stdout.readline()) for _ in range(reports)]
        process.kill()
        reported += [int(line) for line in process.stdout.read().splitlines() if line]
    return reported[-1]


@pytest.mark.parametrize("reports", [1, 17])
def test_what_was_reported_as_sealed_survives_sigkill(tmp_path: Path, reports: int) -> None:
    key: SigningKey = load_or_create_key(tmp_path / "gateway.key")
    first = kill_while_sealing(tmp_path, 0, reports)
    second = kill_while_sealing(tmp_path, first + 2, reports)
    with closing(open_database(tmp_path / "outbox.db")) as database:
        outbox = Outbox(database, VAN, key, boot=BOOT)
        segments = [parse_segment(VAN, row.data) for row in outbox.pending(1 << 30, -1, NOW)]
    numbers = [decode_content(s.body).observations[0].counter for s in segments if s.body is not None]
    assert outbox.corrupt_segments == 0
    assert len({s.header.epoch for s in segments}) == 2
    assert numbers == sorted(set(numbers))
    perhaps_sealed_never_reported = {first + 1, second + 1}
    assert set(numbers) - perhaps_sealed_never_reported == set(range(second + 1)) - perhaps_sealed_never_reported
    assert all(later.header.previous == earlier.hash for earlier, later in pairwise(segments))
