"""A gateway changes its key: by the command, through power cuts, and with what the card still holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.core.segments import check_segment, parse_segment
from gateway.core.succession import follow
from gateway.keys import SigningKey, VerifyKey, check_as, make_key, save_key
from gateway.vehicle import identity as module
from gateway.vehicle.enrolment import Enrolment, load_enrolment, save_enrolment
from gateway.vehicle.identity import KEY_FILE, NEXT_KEY_FILE, identify, open_key, rotate_key
from gateway.vehicle.storage import Storage
from tests.vehicle.samples import BOOT, NOW, T0, VAN, content

ENROLLED = Enrolment(hub_public_key="ab" * 32, token="first")


@pytest.fixture
def van(tmp_path: Path) -> Path:
    """A card with an enrolment and two segments that wait."""
    folder = tmp_path / "van"
    folder.mkdir()
    save_enrolment(folder, ENROLLED)
    storage = Storage.open(folder, VAN, open_key(folder, ENROLLED), max_bytes=1 << 30, boot=BOOT)
    for number in range(2):
        storage.outbox.seal(content(number), sealed_at_ms=T0 + number, config_version=1)
    storage.close()
    return folder


def command(van: Path, *options: str) -> tuple[int, str]:
    file = van.parent / "vehicle.toml"
    file.write_text(f'gateway = "{VAN}"\ndata_dir = "{van}"\n[hub]\nurl = "http://127.0.0.1:9"\n')
    result = CliRunner().invoke(main, ["vehicle", "rotate-key", "--settings", str(file), *options])
    return result.exit_code, result.stdout + result.stderr


def load(van: Path) -> tuple[SigningKey, Enrolment]:
    enrolment = load_enrolment(van)
    assert enrolment is not None
    return open_key(van, enrolment), enrolment


def test_the_command_hands_over_and_the_card_stays_readable(van: Path) -> None:
    old, _ = load(van)
    status, text = command(van)
    assert status == 0, text
    key, enrolment = load(van)
    assert key.public_bytes != old.public_bytes
    assert key.public_bytes.hex() in text
    assert enrolment.token not in {"first", ""}
    identity = identify(key, enrolment)
    assert [change.new for change in follow(VAN, [old.public_bytes], identity.changes, check_as)] == [key.public_bytes]
    storage = Storage.open(van, VAN, identity, max_bytes=1 << 30, boot=BOOT)
    storage.outbox.seal(content(9), sealed_at_ms=T0, config_version=1)
    waiting = [parse_segment(VAN, row.data) for row in storage.outbox.pending(1 << 30, -1, NOW)]
    storage.close()
    assert storage.outbox.corrupt_segments == 0
    for segment, signer in zip(waiting, (old, old, key), strict=True):
        check_segment(segment, VerifyKey(signer.public_bytes).check)
    assert waiting[2].header.parent == waiting[1].header.position
    assert (van / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_a_running_vehicle_keeps_its_key(van: Path) -> None:
    key, enrolment = load(van)
    storage = Storage.open(van, VAN, identify(key, enrolment), max_bytes=1 << 30, boot=BOOT)
    status, text = command(van)
    storage.close()
    assert (status, "another process has it open" in text) == (2, True)
    assert load(van)[0].public_bytes == key.public_bytes


def test_without_enrolment_there_is_nothing_to_change(tmp_path: Path) -> None:
    (tmp_path / "van").mkdir()
    status, text = command(tmp_path / "van")
    assert (status, "not enrolled" in text) == (2, True)


def test_wherever_power_fails_key_and_enrolment_fit(van: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, enrolment = load(van)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "save_enrolment", fail)
        with pytest.raises(KeyboardInterrupt):
            rotate_key(van, VAN, key, enrolment, T0, "second")
    assert load(van)[0].public_bytes == key.public_bytes
    assert not (van / NEXT_KEY_FILE).exists()
    with monkeypatch.context() as patched:
        patched.setattr(module, "open_key", fail)
        with pytest.raises(KeyboardInterrupt):
            rotate_key(van, VAN, key, enrolment, T0, "second")
    changed, known = load(van)
    assert changed.public_bytes.hex() == known.public_key
    assert known.token == "second"


def test_a_next_key_that_nothing_names_is_forgotten(van: Path) -> None:
    save_key(van / NEXT_KEY_FILE, make_key())
    key, _ = load(van)
    assert load(van)[0].public_bytes == key.public_bytes
    assert not (van / NEXT_KEY_FILE).exists()
