from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.hub import command
from gateway.core.configuration import Box, Logger
from gateway.core.errors import InputError
from gateway.core.profiles import Profile
from gateway.hub.database.store import Store
from gateway.hub.judgement.recomputation import count_waiting, find_judged_by, mark_for_recomputation
from gateway.hub.judgement.verdict_history import read_versions
from gateway.hub.judgement.watch import Watch
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.ingest import Ingest
from tests.hub.test_watch import Hand, consignment
from tests.hub.vans import LOGGER, START_MS, Van, iso, observe, sqlite_only


def profile(version: int, above_c: float) -> Profile:
    return Profile.model_validate(
        {
            "id": "tested",
            "version": version,
            "title": "Tested",
            "kind": "sample",
            "owner": "tests",
            "source": "tests",
            "evidence": "verified",
            "limits": [{"name": "warm", "above_c": above_c, "single": "5 min"}],
        }
    )


def make_watch(store: Store) -> Watch:
    clock = Hand()
    configurations = Configurations(store, clock.now_ms)
    return Watch(store, Archive(store), Registry(store, clock.now_ms), configurations, clock)


@pytest.fixture
def finished(store: Store, van: Van) -> Registry:
    """A trip at 9 °C, received and judged; then the profile's limit falls from 12 to 8 °C."""
    registry = Registry(store, Hand().now_ms)
    registry.put_profile(profile(1, 12), "test")
    registry.put_box(Box(code="BOX-1"), "test")
    registry.put_logger(Logger(address=LOGGER, box="BOX-1"), "test")
    examined = [{"code": "T-1", "kind": "sample", "examinations": [{"code": "K", "profile": "tested"}]}]
    registry.put_consignment(consignment(items=examined), "test")
    registry.put_consignment(consignment("C-2"), "test")
    van.seal(*(observe(30 * n, 9.0, counter=n) for n in range(60)))
    Ingest(store, Hand().now_ms).take(van.deliveries())
    registry.receive("C-1", datetime.fromisoformat(iso(1800)), "test")
    make_watch(store).judge_marked()
    registry.put_profile(profile(2, 8), "test")
    make_watch(store).judge_marked()
    return registry


def versions(store: Store) -> list[tuple[int, int]]:
    with store.read() as connection:
        return [(v.version, v.judgement.profile_version) for v in read_versions(connection, "C-1", "T-1", "K")]


def test_a_finished_trip_is_judged_anew_beside_the_old_verdict(store: Store, finished: Registry) -> None:
    assert versions(store) == [(1, 1)]
    codes = find_judged_by(store, "tested", None)
    assert codes == ["C-1"]
    mark_for_recomputation(store, codes, START_MS)
    assert count_waiting(store, codes) == 1
    make_watch(store).judge_marked()
    assert count_waiting(store, codes) == 0
    assert versions(store) == [(2, 2), (1, 1)]


def test_only_what_was_received_since_a_day_if_one_is_named(store: Store, finished: Registry) -> None:
    assert find_judged_by(store, "tested", datetime.fromisoformat(iso(1800))) == ["C-1"]
    assert find_judged_by(store, "tested", datetime.fromisoformat(iso(1801))) == []
    with pytest.raises(InputError, match="no profile nowhere"):
        find_judged_by(store, "nowhere", None)


@sqlite_only
def test_the_command_says_what_it_would_do_and_does_it(
    store: Store, finished: Registry, database: str, tmp_path: Path
) -> None:
    settings = tmp_path / "hub.toml"
    settings.write_text(f'data_dir = "{tmp_path}"\ndatabase = "{database}"\n')
    asked = ["recompute", "--profile", "tested", "--settings", str(settings)]
    dry = CliRunner().invoke(command, [*asked, "--dry-run"])
    assert dry.output == "1 consignments would be judged anew\n"
    assert versions(store) == [(1, 1)]
    done = CliRunner().invoke(command, asked)
    assert done.output == "1 consignments judged anew\n", done.output
    assert versions(store)[0] == (2, 2)


def test_a_changed_registry_is_noticed_by_a_watch_that_remembers_cases(store: Store, finished: Registry) -> None:
    watch = make_watch(store)
    codes = find_judged_by(store, "tested", None)
    mark_for_recomputation(store, codes, START_MS)
    watch.judge_marked()
    finished.put_profile(profile(3, 7), "test")
    mark_for_recomputation(store, codes, START_MS)
    watch.judge_marked()
    assert versions(store)[0] == (3, 3)
