"""A card that lies: whatever is altered in the outbox's file, the vehicle starts, sends the rest, names the lost."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.core.contents import Content
from gateway.keys import SigningKey
from gateway.vehicle.memos import FlagState
from gateway.vehicle.storage import Storage
from tests.simulation.disks import scratch_folder
from tests.simulation.reference_hub import ReferenceHub
from tests.vehicle.samples import BOOT, NOW, T0, VAN, observe

_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(b"k" * 32))
EVERYTHING = 1 << 30
LARGE = 7
"""Each seventh segment is too large for one page."""
SEGMENTS = 60
FLIPS = 120
PER_PAGE_MAX = 20
"""Small segments in one page, about."""
PAGE = 4096


def open_storage(folder: Path) -> Storage:
    return Storage.open(folder, VAN, _KEY, max_bytes=EVERYTHING, boot=BOOT)


def make_content(number: int) -> Content:
    rng = random.Random(number)  # noqa: S311  reproducible
    count = 900 if number % LARGE == 0 else 3
    return Content(
        tuple(
            observe(number * 1000 + place, temperature_mc=rng.randrange(-20_000, 40_000, 5)) for place in range(count)
        )
    )


@pytest.fixture(scope="module")
def original() -> Iterator[Path]:
    """A card after an unclean end: three epochs, the first acknowledged; half of it still in the write-ahead log."""
    root = scratch_folder()
    folder, frozen = root / "running", root / "frozen"
    hub = ReferenceHub(VAN, _KEY.public_bytes)
    for start in range(3):
        storage = open_storage(folder)
        for number in range(start * SEGMENTS // 3, (start + 1) * SEGMENTS // 3):
            if start == 2 and number == SEGMENTS - 10:
                storage.database.execute("PRAGMA wal_checkpoint(PASSIVE)")
            storage.outbox.seal(make_content(number), sealed_at_ms=T0 + number, config_version=1)
        if start == 0:
            for row in storage.outbox.pending(EVERYTHING, -1, NOW):
                hub.take(row.data)
            storage.outbox.acknowledge(hub.ack())
        if start < 2:
            storage.close()
    shutil.copytree(folder, frozen)
    storage.close()
    yield frozen
    shutil.rmtree(root)


@pytest.fixture
def card(original: Path, tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Copies of that card; all but the last are thrown away."""
    folder = scratch_folder() / "card"

    def copy() -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(original, folder)
        return folder

    yield copy
    shutil.rmtree(folder.parent)


def numbers_sent(folder: Path) -> tuple[set[int], list[str]]:
    """Start the vehicle on the card and let a hub that holds nothing take what comes: (numbers, faults told)."""
    hub = ReferenceHub(VAN, _KEY.public_bytes, generation=2)
    storage = open_storage(folder)
    storage.memos.flags(FlagState.WAITING)
    storage.memos.missing()
    storage.memos.configuration()
    storage.outbox.seal(Content((observe(10**6),)), sealed_at_ms=T0, config_version=1)
    storage.outbox.acknowledge(hub.ack())  # a restored hub, so that everything is asked for
    for _ in range(20):
        for row in storage.outbox.pending(EVERYTHING, -1, NOW):
            hub.take(row.data)
        storage.outbox.acknowledge(hub.ack())
        if not storage.outbox.depth().segments:
            break
    else:
        pytest.fail("something waits for ever")
    storage.close()
    return {number // 1000 for number in hub.numbers()}, hub.faults()


def assert_named(folder: Path, *, lost_at_most: int, what: str) -> None:
    sent, faults = numbers_sent(folder)
    missing = set(range(SEGMENTS)) - sent
    assert 1000 in sent, f"{what}: nothing new can be sealed"
    assert not missing or faults, f"{what}: {sorted(missing)} are missing and nobody says so"
    assert len(missing) <= lost_at_most, f"{what}: {sorted(missing)} are missing"


def test_an_intact_card_loses_nothing(card: Callable[[], Path]) -> None:
    sent, faults = numbers_sent(card())
    assert sent == {*range(SEGMENTS), 1000}
    assert faults == []


def test_a_byte_flipped_anywhere_costs_one_page_at_most(card: Callable[[], Path]) -> None:
    rng = random.Random(1)  # noqa: S311  reproducible
    for _ in range(FLIPS):
        folder = card()
        name = rng.choice(["outbox.db", "outbox.db-wal"])
        data = bytearray((folder / name).read_bytes())
        place = rng.randrange(len(data))
        data[place] ^= rng.randrange(1, 256)
        (folder / name).write_bytes(data)
        assert_named(folder, lost_at_most=PER_PAGE_MAX, what=f"byte {place} of {name}")


def test_every_page_zeroed_in_turn(card: Callable[[], Path]) -> None:
    pages = (card() / "outbox.db").stat().st_size // PAGE
    for page in range(pages):
        folder = card()
        with (folder / "outbox.db").open("r+b") as file:
            file.seek(page * PAGE)
            file.write(bytes(PAGE))
        assert_named(folder, lost_at_most=PER_PAGE_MAX, what=f"page {page}")


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_file_cut_short(card: Callable[[], Path], kept: float) -> None:
    folder = card()
    path = folder / "outbox.db"
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * kept))
    assert_named(folder, lost_at_most=SEGMENTS, what=f"cut to {kept}")
    assert kept == 0.99 or list(folder.glob("outbox.db.unreadable-*")), "the damaged file is kept"


def test_a_write_ahead_log_that_is_gone(card: Callable[[], Path]) -> None:
    folder = card()
    (folder / "outbox.db-wal").unlink()
    sent, faults = numbers_sent(folder)
    assert {*range(SEGMENTS - 10)} <= sent
    assert "outbox_damaged" in faults


def test_a_write_ahead_log_cut_short(card: Callable[[], Path]) -> None:
    folder = card()
    path = folder / "outbox.db-wal"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    sent, _ = numbers_sent(folder)
    assert {*range(SEGMENTS - 10)} <= sent


def test_a_watermark_raised_by_a_flipped_bit_is_not_believed(card: Callable[[], Path]) -> None:
    folder = card()
    connection = sqlite3.connect(folder / "outbox.db")
    connection.execute("UPDATE epochs SET acknowledged = 20")
    connection.commit()
    connection.close()
    storage = open_storage(folder)
    assert storage.outbox.depth().segments >= SEGMENTS * 2 // 3
    storage.close()


def test_damage_met_while_running_is_survived(card: Callable[[], Path]) -> None:
    folder = card()
    storage = open_storage(folder)
    storage.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    storage.database.execute("PRAGMA cache_size = 0")
    data = bytearray((folder / "outbox.db").read_bytes())
    rng = random.Random(3)  # noqa: S311  reproducible
    for page in range(8, len(data) // PAGE, 3):
        data[page * PAGE : page * PAGE + 100] = rng.randbytes(100)
    (folder / "outbox.db").write_bytes(data)
    for _ in range(3):
        try:
            storage.outbox.pending(EVERYTHING, -1, NOW)
        except sqlite3.DatabaseError:
            break
    storage.disk.close()
    with suppress(sqlite3.Error):
        storage.database.close()
    assert_named(folder, lost_at_most=SEGMENTS, what="while running")
