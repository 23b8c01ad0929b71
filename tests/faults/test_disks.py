"""Disks that fill up, or turn read-only while they are in use: what is intact goes on, what is dropped is named."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.core.contents import Content, decode_content
from gateway.core.segments import Segment, check_segment, parse_segment
from gateway.keys import SigningKey, VerifyKey, load_or_create_key
from gateway.vehicle.storage import BALLAST, Storage
from tests.faults.mounts import Card, NoMountError, fill, small_disk
from tests.faults.rounds import begun, count_heard, failure_of, finish, until
from tests.vehicle.samples import BOOT, NOW, T0, VAN, observe
from tests.waiting import until_found

READINGS = 60
SEGMENTS = 5000
SMALL_BYTES = 4 << 20


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Path]:
    try:
        with small_disk(tmp_path / "card", SMALL_BYTES) as folder:
            yield folder
    except NoMountError as error:
        pytest.skip(str(error))


def open_storage(folder: Path, key: SigningKey) -> Storage:
    return Storage.open(folder, VAN, key, max_bytes=1 << 30, boot=BOOT)


def seal(storage: Storage, numbers: range) -> None:
    rng = random.Random(1)  # noqa: S311  readings that cannot be packed much
    for number in numbers:
        readings = tuple(
            observe(counter, temperature_mc=rng.randrange(-20_000, 20_000))
            for counter in range(READINGS * number, READINGS * (number + 1))
        )
        storage.outbox.seal(Content(readings), sealed_at_ms=T0 + number, config_version=1)


def read_stored(storage: Storage, key: SigningKey) -> list[Segment]:
    segments = [parse_segment(VAN, row.data) for row in storage.outbox.pending(1 << 40, -1, NOW)]
    for segment in segments:
        check_segment(segment, VerifyKey(key.public_bytes).check)
    return segments


def test_on_a_full_card_the_oldest_payloads_go_and_every_signed_header_stays(card: Path, tmp_path: Path) -> None:
    """`max_bytes` promises more than the card has: others wrote on it, or nobody reckoned."""
    key = load_or_create_key(tmp_path / "gateway.key")
    storage = open_storage(card, key)
    seal(storage, range(SEGMENTS))
    assert storage.outbox.disk_full > 1
    segments = read_stored(storage, key)
    assert [segment.header.offset for segment in segments] == list(range(SEGMENTS))
    dropped = [segment.body is None for segment in segments]
    assert dropped == sorted(dropped, reverse=True)
    assert sum(dropped) == storage.outbox.dropped_payloads > 1000
    assert dropped.count(False) > 500
    newest = decode_content(segments[-1].body or b"").observations
    assert [observation.counter for observation in newest] == list(
        range(READINGS * (SEGMENTS - 1), READINGS * SEGMENTS)
    )
    storage.close()


def test_a_vehicle_starts_on_a_card_without_a_free_byte(card: Path, tmp_path: Path) -> None:
    key = load_or_create_key(tmp_path / "gateway.key")
    storage = open_storage(card, key)
    seal(storage, range(500))
    storage.close()
    filler = fill(card)
    again = open_storage(card, key)
    seal(again, range(500, 1500))
    assert not (card / BALLAST).exists(), "it has been given up"
    assert len(read_stored(again, key)) == 1500
    filler.unlink()
    again.outbox.trim(0)
    assert (card / BALLAST).exists()
    again.close()
    storage = open_storage(card, key)
    seal(storage, range(1500, 1600))
    assert not storage.outbox.disk_full
    assert len(read_stored(storage, key)) == 1600
    storage.close()


async def test_a_hub_and_a_vehicle_whose_disks_fill_on_the_way_lose_nothing(tmp_path: Path) -> None:
    def mount(folder: Path, stack: AsyncExitStack) -> None:
        for side, size_bytes in (("vehicle", 4 << 20), ("hub", 8 << 20)):
            stack.enter_context(small_disk(folder / side, size_bytes))

    try:
        async with begun(tmp_path, mount) as company:
            folder, timing = company.folder, company.timing
            await timing.until(timing.start_ms + 20 * 60_000)
            filler = fill(folder / "hub")
            await timing.until(timing.start_ms + 45 * 60_000)
            await until_found(lambda: "the database does not answer" in (folder / "hub.log").read_text())
            filler.unlink()
            await timing.until(timing.start_ms + 60 * 60_000)
            filler = fill(folder / "vehicle")
            await timing.until(timing.start_ms + 100 * 60_000)
            filler.unlink()
            await finish(company)
            assert count_heard(company, 65, 100) > 0, "what was heard meanwhile was kept, not fetched again"
    except NoMountError as error:
        pytest.skip(str(error))


async def test_a_card_that_turns_read_only_on_the_way_loses_nothing(tmp_path: Path) -> None:
    """As after an error of the card: the process goes on, says so, and is started again on the repaired card."""
    cards: list[Card] = []

    def mount(folder: Path, stack: AsyncExitStack) -> None:
        cards.append(Card(folder / "card.img", folder / "vehicle"))
        stack.callback(cards[-1].unmount)

    try:
        async with begun(tmp_path, mount) as company:
            timing, card = company.timing, cards[-1]
            await timing.until(timing.start_ms + 30 * 60_000)
            card.abort()
            await until(lambda: failure_of(company))
            await timing.until(timing.start_ms + 60 * 60_000)
            await until(lambda: failure_of(company))  # still
            await company.vehicle.kill()
            card.unmount()
            card.mount()
            await company.start_vehicle()
            account = await finish(company)
            assert account.backfilled > 0
    except NoMountError as error:
        pytest.skip(str(error))
