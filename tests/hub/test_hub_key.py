"""The hub's key hands over to another: who pinned the old one follows, and nobody else's change is believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from gateway.cli import main
from gateway.core.errors import EnvelopeError, InputError
from gateway.core.messages import open_envelope, sign_envelope
from gateway.core.succession import HUB, Successor, attach, hand_over
from gateway.hub.database import schema
from gateway.hub.database.store import open_store
from gateway.hub.proof.hub_key import CHANGES_FILE, load_hub_key, rotate_hub_key
from gateway.keys import PinnedKey, VerifyKey, make_key, save_key


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hub.key"


def test_whoever_pinned_an_earlier_key_follows_and_then_takes_the_earlier_no_more(file: Path) -> None:
    first = load_hub_key(file)
    told: list[bytes] = []
    pinned = PinnedKey(first.public_bytes, told.append)
    rotate_hub_key(file, 1)
    third = rotate_hub_key(file, 2)
    envelope = sign_envelope("ack", "VAN-1", b"payload", third.sign)
    assert open_envelope("ack", "VAN-1", envelope, pinned.check) == b"payload"
    assert told == [third.public_bytes]
    with pytest.raises(EnvelopeError):
        open_envelope("ack", "VAN-1", sign_envelope("ack", "VAN-1", b"payload", first.sign), pinned.check)


def test_a_stolen_earlier_key_leads_nobody_who_has_followed(file: Path) -> None:
    first = load_hub_key(file)
    second, thief = rotate_hub_key(file, 1), make_key()
    pinned = PinnedKey(first.public_bytes)
    assert pinned.check(second.sign(b"m"), b"m")
    stolen = hand_over(HUB, first.public_bytes, Successor(thief.public_bytes), 2, first.sign)
    assert not pinned.check(attach(thief.sign(b"m"), [stolen]), b"m")
    assert pinned.known == (second.public_bytes,)


def test_a_change_without_a_message_signed_by_the_new_key_moves_nothing(file: Path) -> None:
    first = load_hub_key(file)
    pinned = PinnedKey(first.public_bytes)
    second = rotate_hub_key(file, 1)
    assert not pinned.check(attach(make_key().sign(b"m"), second.changes), b"m")
    assert not pinned.check(second.sign(b"other"), b"m")
    assert not pinned.check(second.sign(b"m")[:-1], b"m")
    assert pinned.known == (first.public_bytes,)
    keeping = PinnedKey(first.public_bytes, keep_former=True)
    assert keeping.check(second.sign(b"m"), b"m")
    assert keeping.check(first.sign(b"m"), b"m")


def test_every_bit_of_what_is_attached_counts(file: Path) -> None:
    first = load_hub_key(file)
    signed = rotate_hub_key(file, 1).sign(b"m")
    for place in range(len(signed)):
        altered = bytearray(signed)
        altered[place] ^= 1
        pinned = PinnedKey(first.public_bytes)
        if pinned.check(bytes(altered), b"m"):
            # What the old key signed is whole: only MessagePack's own lengths can be written in other ways.
            assert pinned.known == (load_hub_key(file).public_bytes,)


def test_a_change_that_was_interrupted_is_finished_or_forgotten(file: Path) -> None:
    first = load_hub_key(file)
    save_key(file.with_name("hub.key.next"), make_key())
    assert load_hub_key(file).public_bytes == first.public_bytes, "not named by any change"
    assert not file.with_name("hub.key.next").exists()
    second = rotate_hub_key(file, 1)
    file.rename(file.with_name("hub.key.next"))
    save_key(file, first)  # as it was before the last step
    assert load_hub_key(file).public_bytes == second.public_bytes


def test_damaged_changes_are_named(file: Path) -> None:
    load_hub_key(file)
    file.with_name(CHANGES_FILE).write_bytes(b"\xff")
    with pytest.raises(InputError, match="damaged"):
        load_hub_key(file)


def test_the_command_changes_the_key_and_puts_it_on_record(tmp_path: Path) -> None:
    settings = tmp_path / "hub.toml"
    settings.write_text(f'data_dir = "{tmp_path / "hub"}"\n')
    open_store(f"sqlite:///{tmp_path / 'hub' / 'hub.sqlite3'}").close()
    key_file = tmp_path / "hub" / "hub.key"
    first = load_hub_key(key_file)
    result = CliRunner().invoke(main, ["hub", "rotate-key", "--settings", str(settings), "--reason", "yearly"])
    assert result.exit_code == 0, result.output
    second = load_hub_key(key_file)
    assert second.public_bytes.hex() in result.output
    assert PinnedKey(first.public_bytes).check(second.sign(b"m"), b"m")
    assert not VerifyKey(first.public_bytes).check(second.sign(b"m"), b"m")
    store = open_store(f"sqlite:///{tmp_path / 'hub' / 'hub.sqlite3'}")
    with store.read() as connection:
        row = connection.execute(select(schema.audit)).one()
    store.close()
    assert (row.act, row.old, row.new, row.reason) == (
        "rotate_hub_key",
        first.public_bytes.hex(),
        second.public_bytes.hex(),
        "yearly",
    )
