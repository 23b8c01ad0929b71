"""The simulated fleet against a real hub and a real Mosquitto."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from gateway.cli import main
from gateway.cli.fleet import allow_files
from gateway.core.contents import decode_content
from gateway.core.errors import InputError
from gateway.core.segments import check_segment, parse_segment
from gateway.hub.database import schema
from gateway.hub.database.store import open_existing_store
from gateway.hub.proof.verification import verify_store
from gateway.keys import VerifyKey
from gateway.load import sending
from gateway.load.sending import FleetSender
from gateway.load.vehicles import Shape, name_fleet, seal_log
from gateway.mqtt import MqttSettings
from tests.hub.vans import START_MS
from tests.servers.mosquitto import MosquittoMissingError, running_mosquitto

COLDCHAIN = [sys.executable, "-m", "gateway.cli"]


def test_a_log_is_what_a_vehicle_would_seal() -> None:
    shape = Shape(loggers=3, readings=2, interval_s=30)
    vehicle = name_fleet("LOAD", 2, b"run")[1]
    log = [parse_segment(vehicle.name, data) for data in seal_log(vehicle, shape, 4, START_MS)]
    key = VerifyKey(vehicle.key.public_bytes)
    for segment in log:
        check_segment(segment, key.check)
    assert [segment.header.offset for segment in log] == [0, 1, 2, 3]
    assert [after.header.previous for after in log[1:]] == [before.hash for before in log[:-1]]
    readings = [o for segment in log for o in decode_content(segment.body or b"").observations]
    assert {o.logger for o in readings} == {vehicle.logger(place) for place in range(3)}
    assert len(readings) == 4 * shape.readings_per_segment
    assert len({(o.logger, o.counter) for o in readings}) == len(readings)


def test_runs_of_one_fleet_are_logs_of_their_own_by_the_same_keys() -> None:
    one, other = name_fleet("LOAD", 1, b"1")[0], name_fleet("LOAD", 1, b"2")[0]
    assert one.key.public_bytes == other.key.public_bytes
    assert one.epoch != other.epoch


async def test_a_broker_that_lets_nobody_in_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "IDLE_MAX_S", 0.2)
    vehicles = name_fleet("LOAD", 2, b"run")
    logs = [seal_log(vehicle, Shape(loggers=1, readings=1, interval_s=30), 1, START_MS) for vehicle in vehicles]
    sender = FleetSender(vehicles, logs, vehicles[0].key.public_bytes, readings_per_segment=1, segments_per_s=0)
    with socket.socket() as held:  # and nobody listens
        held.bind(("127.0.0.1", 0))
        broker = MqttSettings(url=f"mqtt://127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(InputError, match=r"^--broker: .* lets nobody in"):
            await sender.run(broker, connections=2)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--rate", "-3"], "--rate"),
        (["--segments", "1", "--prefix", "a b"], "--prefix: a code has letters"),
        (["--segments", "1", "--broker", "nonsense"], "--broker: 'nonsense' is not mqtt"),
    ],
)
def test_wrong_options_are_one_line(tmp_path: Path, wrong: list[str], said: str) -> None:
    settings = tmp_path / "hub.toml"
    settings.write_text(f'data_dir = "{tmp_path}"\n')
    known = ["--settings", str(settings), "--hub", "http://127.0.0.1:1", "--broker", "mqtt://127.0.0.1:1"]
    done = CliRunner().invoke(main, ["simulate", "fleet", *known, *wrong])
    assert (done.exit_code, said in done.stderr, done.stderr.count("\n")) == (2, True, 1), done.stderr


def test_more_connections_than_the_system_allows_are_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"now": (100, 1000)}
    monkeypatch.setattr("resource.getrlimit", lambda _which: limits["now"])
    monkeypatch.setattr("resource.setrlimit", lambda _which, new: limits.update(now=new))
    allow_files(50)
    assert limits["now"] == (100, 1000)
    allow_files(900)
    assert limits["now"] == (900, 1000)
    with pytest.raises(InputError, match="--connections: this system lets a process open 1000 files"):
        allow_files(1001)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "broker").mkdir()
    try:
        with running_mosquitto(tmp_path / "broker") as url:
            path = tmp_path / "hub.toml"
            path.write_text(f'data_dir = "{tmp_path / "hub"}"\n[broker]\nurl = "{url}"\n')
            yield path
    except MosquittoMissingError as error:
        pytest.skip(str(error))


def test_a_fleet_is_registered_heard_and_acknowledged(settings: Path, tmp_path: Path) -> None:
    command = [*COLDCHAIN, "hub", "run", "--settings", str(settings)]
    with (tmp_path / "hub.log").open("w") as log:
        hub = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603  our own command
    try:
        assert hub.stdout is not None
        url = json.loads(hub.stdout.readline().removeprefix("READY"))["http"]
        fleet = [*COLDCHAIN, "simulate", "fleet", "--settings", str(settings), "--hub", url, "--json"]
        options = ["--gateways", "3", "--segments", "5", "--loggers", "2", "--connections", "2"]
        done = subprocess.run([*fleet, *options], capture_output=True, text=True, check=False)  # noqa: S603  the same
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        options = ["--gateways", "4", "--segments", "2", "--loggers", "2", "--connections", "4", "--rate", "100"]
        again = subprocess.run([*fleet, *options], capture_output=True, text=True, check=False)  # noqa: S603  the same
        assert again.returncode == 0, again.stderr
        paced = json.loads(again.stdout)
        options = ["--gateways", "2", "--segments", "1", "--loggers", "2", "--no-carry", "--prefix", "BARE"]
        bare = subprocess.run([*fleet, *options], capture_output=True, text=True, check=False)  # noqa: S603  the same
        assert bare.returncode == 0, bare.stderr
        assert json.loads(bare.stdout)["acknowledged"] == 2
    finally:
        hub.send_signal(signal.SIGTERM)
        hub.communicate()
    assert (said["segments"], said["acknowledged"], said["readings"]) == (15, 15, 150)
    assert said["refused_acks"] == 0
    assert (paced["segments"], paced["acknowledged"], paced["refused_acks"]) == (8, 8, 0)
    store = open_existing_store(f"sqlite:///{tmp_path / 'hub' / 'hub.sqlite3'}")
    try:
        assert verify_store(store).is_proven
        with store.read() as connection:
            assert connection.execute(select(func.count()).select_from(schema.consignments)).scalar_one() == 3 + 4
            # The second run found three vehicles ready, and added one.
            counted = select(schema.audit.c.act, func.count()).where(schema.audit.c.subject.not_like("%BARE%"))
            acts: dict[str, int] = dict(connection.execute(counted.group_by(schema.audit.c.act)).all())
            acts.pop("write_heads", None)
            assert acts == {"register": 8 + 8 + 3 + 4, "move": 8, "issue_code": 3 + 1, "enrol": 3 + 1}
            assert connection.execute(select(func.count()).select_from(schema.quarantine)).scalar_one() == 0
    finally:
        store.close()
