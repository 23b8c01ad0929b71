"""Retention: what is old goes, nothing of an open case, and the chains are proven before and after."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, func, insert, select, update

from gateway.cli import main
from gateway.hub.audit.acts import Act, record_act
from gateway.hub.breaches.keeping import flag
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.proof.heads import write_heads
from gateway.hub.proof.verification import verify_consignment, verify_store
from gateway.hub.record.archive import Archive
from gateway.hub.review.desk import ReviewDesk
from gateway.hub.review.signing import Meaning
from gateway.hub.settings import HubSettings, RetentionSettings
from gateway.hub.signals.dirty import mark_consignments
from gateway.hub.upkeep.retention import DAY_MS, Kept, Retention
from gateway.keys import SigningKey, VerifyKey, load_or_create_key
from tests.hub.review.reviewing import QUALITY
from tests.hub.samples import breach, flagged
from tests.hub.test_vigils import Depot
from tests.hub.vans import LOGGER, START_MS, Van

LATER_MS = START_MS + 400 * DAY_MS
FOREVER = {f"{kind}_days": 0 for kind in Kept}


@pytest.fixture
def depot(store: Store, van: Van) -> Depot:
    """A consignment that had a breach and was received."""
    depot = Depot(store, van)
    depot.register()
    depot.hear(0, 1200, 12.0)
    depot.registry.receive("C-1", datetime.fromtimestamp(depot.clock.now / 1000, UTC), "receiver")
    depot.watch.judge_marked()
    return depot


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return load_or_create_key(tmp_path / "hub.key")


def retention_of(store: Store, key: SigningKey, **days: int) -> Retention:
    settings = RetentionSettings(**(FOREVER | days))
    return Retention(store, key, HubSettings(data_dir=Path("/nonexistent"), retention=settings))


def close(depot: Depot) -> None:
    desk = ReviewDesk(depot.store, depot.clock.now_ms)
    with depot.store.read() as connection:
        ids = list(connection.execute(select(schema.breaches.c.id)).scalars())
    for number in ids:
        desk.acknowledge(number, QUALITY)
        desk.begin(number, QUALITY)
        desk.conclude(number, QUALITY, "box_open", "trained")
        desk.close(number, QUALITY)
        desk.sign(number, QUALITY, Meaning.REVIEWED, desk.review(number).hash)


def readings(store: Store) -> int:
    return len(Archive(store).observations(LOGGER, 0, 1 << 53))


def test_payloads_go_and_the_chain_is_proven_as_before(depot: Depot, store: Store, key: SigningKey) -> None:
    close(depot)
    heads = write_heads(store, key, depot.clock.now, [])
    before = verify_store(store)
    assert (before.is_proven, before.tally.readable) == (True, before.tally.segments)
    verdicts = _judgements(store)
    retention = retention_of(store, key, readings_days=365)
    assert retention.run(START_MS + 364 * DAY_MS) == {}
    assert retention.count(LATER_MS) == {Kept.READINGS: before.tally.segments}
    assert readings(store) == 40
    assert retention.run(LATER_MS) == {Kept.READINGS: before.tally.segments}
    assert retention.run(LATER_MS) == {}
    assert readings(store) == 0
    after = verify_store(store, check=VerifyKey(key.public_bytes).check)
    assert (after.is_proven, after.tally.segments) == (True, before.tally.segments), after.findings
    assert (after.removed_payloads, after.removed.count) == (before.tally.segments, 1)
    of_one = verify_consignment(store, "C-1")
    assert of_one is not None
    assert of_one.is_proven
    assert heads.number == 1
    with store.read() as connection:
        acts = connection.execute(select(schema.audit).order_by(schema.audit.c.id.desc()).limit(2)).all()
    assert [(act.act, act.subject) for act in acts] == [("retain", "retention"), ("retain", "removal 1")]
    assert acts[0].new == f'{{"readings":{before.tally.segments}}}'
    # What is judged anew, for whatever reason, is not judged from nothing.
    with store.write() as connection:
        mark_consignments(connection, ["C-1"], LATER_MS)
    depot.watch.judge_marked()
    assert _judgements(store) == verdicts


def _judgements(store: Store) -> list[tuple[str, int]]:
    with store.read() as connection:
        rows = connection.execute(select(schema.judgements.c.verdict, schema.judgements.c.version))
        return [(row.verdict, row.version) for row in rows]


@pytest.mark.parametrize("how", ["unsigned", "hold", "under way"])
def test_nothing_of_an_open_case_goes(depot: Depot, store: Store, key: SigningKey, how: str) -> None:
    if how != "unsigned":
        close(depot)
    with store.write() as connection:
        if how == "hold":
            document = '{"choice":"hold","comment":"ask","reason":null,"seen":{}}'
            row = {"consignment": "C-1", "item": "T-1", "at_ms": START_MS, "who": "kari", "printed_name": "Kari"}
            connection.execute(insert(schema.decisions).values(**row, document=document))
        if how == "under way":
            connection.execute(update(schema.consignments).values(received_at_ms=None))
    kept = (readings(store), _judgements(store))
    periods = dict.fromkeys((f"{kind}_days" for kind in Kept), 30)
    done = retention_of(store, key, **periods).run(LATER_MS)
    assert done.keys() <= {Kept.AUDIT}
    assert (readings(store), _judgements(store)) == kept
    assert len(depot.breaches()) == 1
    assert verify_store(store).is_proven
    with store.read() as connection:
        subjects = set(connection.execute(select(schema.audit.c.subject)).scalars())
    assert "consignment C-1" in subjects


def test_a_whole_case_goes_with_its_verdicts_and_the_words_of_the_trail(
    depot: Depot, store: Store, key: SigningKey
) -> None:
    close(depot)
    with store.write() as connection:
        record_act(connection, Act("kari", "look", "something recent"), LATER_MS)
    write_heads(store, key, LATER_MS, [])
    with store.read() as connection:
        acts = connection.execute(select(func.count()).select_from(schema.audit)).scalar_one()
    done = retention_of(store, key, readings_days=30, cases_days=30, audit_days=30).run(LATER_MS)
    assert (done[Kept.CASES], done[Kept.AUDIT]) == (1, acts - 2)
    assert (depot.breaches(), _judgements(store), depot.registry.consignment("C-1")) == ([], [], None)
    report = verify_store(store)
    assert report.is_proven, report.findings
    with store.read() as connection:
        rows = connection.execute(select(schema.audit).order_by(schema.audit.c.id)).all()
    assert {(row.who, row.subject, row.new) for row in rows[: acts - 2]} == {("", "", None)}


def test_what_no_chain_holds_goes_too(store: Store, key: SigningKey) -> None:
    old, new = START_MS, LATER_MS - DAY_MS
    with store.write() as connection:
        for number, at_ms in enumerate((old, new)):
            kept = {"source": "log", "gateway": "van-1", "code": "c", "reason": "r", "verbatim": b"", "times": 1}
            connection.execute(
                insert(schema.quarantine).values(**kept, hash=b"%d" % number, first_at_ms=at_ms, last_at_ms=at_ms)
            )
            connection.execute(insert(schema.custody).values(gateway="van-1", at_ms=at_ms, record=b"", waits=False))
            sent = {"uid": f"m-{number}", "recipient": "LAB", "channel": "m", "state": "sent", "due_ms": at_ms}
            connection.execute(insert(schema.messages).values(**sent, made_at_ms=at_ms))
            told = {"kind": "log_forked", "document": "{}", "created_at_ms": at_ms, "resolved_at_ms": at_ms}
            connection.execute(insert(schema.alerts).values(**told))
            waiting = {"alert_id": number + 1, "recipient": "LAB", "channel": "m", "step": 0, "due_ms": at_ms}
            connection.execute(insert(schema.notices).values(alert_id=number + 1, policy="p", planned_at_ms=at_ms))
            connection.execute(insert(schema.deliveries).values(**waiting, state="taken", message_id=number + 1))
        connection.execute(insert(schema.enrolment_codes).values(code_hash=b"x", gateway="van-1", expires_at_ms=1_000))
    retention = retention_of(store, key, quarantine_days=30, custody_days=30, messages_days=30, access_days=30)
    expected = {Kept.CUSTODY: 1, Kept.MESSAGES: 4, Kept.ACCESS: 1, Kept.QUARANTINE: 1}
    assert retention.run(LATER_MS) == expected
    with store.read() as connection:
        for table in (schema.quarantine, schema.custody, schema.messages, schema.alerts, schema.notices):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 1


@pytest.mark.parametrize("how", ["dropped by hand", "removal gone", "removal altered", "trail emptied"])
def test_what_goes_without_a_removal_is_found(depot: Depot, store: Store, key: SigningKey, how: str) -> None:
    close(depot)
    retention_of(store, key, readings_days=0 if how == "dropped by hand" else 30).run(LATER_MS)
    with store.write() as connection:
        if how == "dropped by hand":
            row = connection.execute(select(schema.segments).limit(1)).one()
            bare = depot.van.sealed[row.position].without_body().to_bytes()
            connection.execute(
                update(schema.segments).where(schema.segments.c.id == row.id).values(verbatim=bare, content="removed")
            )
        elif how == "removal gone":
            connection.execute(delete(schema.removals))
        elif how == "removal altered":
            document = func.replace(schema.removals.c.document, "before_ms", "before_Ms")
            connection.execute(update(schema.removals).values(document=document))
        else:
            connection.execute(update(schema.audit).where(schema.audit.c.id == 1).values(who="", subject="", new=None))
    assert not verify_store(store).is_proven


def test_an_open_flag_of_nothing_registered_keeps_the_dry_run_at_nothing(
    store: Store, database: str, tmp_path: Path
) -> None:
    with store.write() as connection:
        flag(connection, flagged(breach(10, None)), START_MS)
    settings = tmp_path / "hub.toml"
    settings.write_text(f'data_dir = "{tmp_path / "data"}"\ndatabase = "{database}"\n[retention]\ncases_days = 30\n')
    result = CliRunner().invoke(main, ["hub", "retain", "--dry-run", "--settings", str(settings)])
    assert result.exit_code == 0, result.output
    assert "cases       kept for 30 days             0 would go" in result.stdout
    assert CliRunner().invoke(main, ["hub", "retain", "--settings", str(settings)]).exit_code == 0
