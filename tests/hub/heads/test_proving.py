"""What came back proves what is here, or names what was cut, altered, exchanged or lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, update

from gateway.cli import main
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.replication.ingest import Ingest
from gateway.hub.upkeep.departures import Departures
from gateway.keys import SigningKey
from tests.hub.heads.leaving import DAY_MS, settings
from tests.hub.vans import START_MS, Van, observe, sqlite_only
from tests.servers.tsa import Authority, running_authority


@pytest.fixture
def share(store: Store, filled: Van, key: SigningKey, tmp_path: Path, authority: Authority) -> Path:
    """Three days' heads with timestamps, kept by somebody; the log grew between them."""
    folder = tmp_path / "share"
    departures = Departures(store, key, settings(tmp_path, folder=folder, timestamp_url=authority.url))
    for day in range(3):
        filled.seal(observe(1000 + day * 30, 5.0, counter=10 + day))
        Ingest(store, lambda: START_MS).take(filled.deliveries(filled.sealed[-1:]))
        departures.write(START_MS + day * DAY_MS)
        departures.deliver(START_MS)
    return folder


def verify(tmp_path: Path, database: str, share: Path, key: SigningKey, *options: str) -> tuple[int, str]:
    file = tmp_path / "hub.toml"
    file.write_text(f'data_dir = "{tmp_path / "hub"}"\ndatabase = "{database}"\n')
    arguments = [
        "verify",
        "--settings",
        str(file),
        "--heads",
        str(share),
        "--hub-key",
        key.public_bytes.hex(),
        *options,
    ]
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.stdout + result.stderr


@sqlite_only
def test_heads_that_were_kept_prove_what_is_here(
    database: str, share: Path, key: SigningKey, tmp_path: Path, authority: Authority
) -> None:
    status, text = verify(tmp_path, database, share, key, "--tsa-ca", str(authority.ca))
    assert status == 0, text
    assert "3 earlier heads, 3 timestamps" in text


@sqlite_only
def test_a_cut_tail_a_rewritten_trail_and_lost_heads_are_named(
    store: Store, database: str, share: Path, key: SigningKey, tmp_path: Path, filled: Van, authority: Authority
) -> None:
    with store.write() as connection:
        connection.execute(delete(schema.segments).where(schema.segments.c.position > 4))
        connection.execute(update(schema.epochs).values(next_offset=5, head=filled.sealed[4].hash))
        connection.execute(delete(schema.audit))
    files = sorted(share.glob("*.json"))
    files[1].unlink()
    status, text = verify(tmp_path, database, share, key)
    assert status == 1
    assert text.count("tail_cut: van-1 epoch") == 1, "the first day's head still stands, the third day's does not"
    assert "tail_cut: the audit trail had" in text
    assert f"missing: heads 2, before {files[2]}" in text


@sqlite_only
def test_altered_exchanged_and_doubled_heads_and_timestamps_are_named(
    database: str, share: Path, key: SigningKey, tmp_path: Path, authority: Authority, store: Store
) -> None:
    files, stamps = sorted(share.glob("*.json")), sorted(share.glob("*.tsr"))
    stamps[0].write_bytes(stamps[1].read_bytes())
    altered = bytearray(stamps[2].read_bytes())
    altered[len(altered) // 2] ^= 1
    stamps[2].write_bytes(bytes(altered))
    other = Departures(store, key, settings(tmp_path / "other", folder=share))
    with store.write() as connection:
        connection.execute(delete(schema.departures))
        connection.execute(delete(schema.heads).where(schema.heads.c.number > 1))
        connection.execute(update(schema.heads).values(document="{}"))
    other.write(START_MS + 5 * DAY_MS)  # a hub whose history was made anew
    other.deliver(START_MS)
    files[0].write_text(files[0].read_text().replace("van-1", "van-2"))
    status, text = verify(tmp_path, database, share, key, "--tsa-ca", str(authority.ca))
    assert status == 1
    assert text.count("forged:") == 2, text
    assert "not signed by the hub's key" in text
    assert "the timestamp does not hold" in text
    assert "rewritten: there are two heads 2" in text


@sqlite_only
def test_a_timestamp_of_another_authority_proves_nothing(
    database: str, share: Path, key: SigningKey, tmp_path: Path
) -> None:
    with running_authority(tmp_path / "somebody") as other:
        status, text = verify(tmp_path, database, share, key, "--tsa-ca", str(other.ca))
    assert status == 1
    assert text.count("the timestamp does not hold") == 3


@sqlite_only
def test_a_folder_without_heads_is_a_wrong_input(database: str, store: Store, key: SigningKey, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    status, text = verify(tmp_path, database, tmp_path / "empty", key)
    assert (status, "holds no heads-*.json" in text) == (2, True)
