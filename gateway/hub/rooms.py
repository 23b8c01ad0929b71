"""The hub's rooms, opened together and shared by its tasks and pages."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from gateway.clock import Clock, open_clock
from gateway.core.errors import InputError
from gateway.hub.access.accounts import Accounts
from gateway.hub.access.admission import Admission
from gateway.hub.access.api_tokens import ApiTokens
from gateway.hub.access.proofs import Proofs
from gateway.hub.access.provider import Provider
from gateway.hub.access.sessions import Sessions
from gateway.hub.access.sign_on import BACK_PATH, SignOn
from gateway.hub.access.tokens import hash_secret, load_or_create_admin_token, load_or_create_secret
from gateway.hub.database.store import Store, open_store
from gateway.hub.hand_in.desk import HandInDesk
from gateway.hub.judgement.turns import name_watch
from gateway.hub.judgement.watch import Watch
from gateway.hub.proof.hub_key import load_hub_key
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import Configurations, make_configurations
from gateway.hub.registry.enrolment import Enrolment
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.generations import open_witness
from gateway.hub.replication.ingest import Ingest
from gateway.hub.review.alerts import AlertDesk
from gateway.hub.review.choices import Choices
from gateway.hub.review.decisions import Decisions
from gateway.hub.review.desk import ReviewDesk
from gateway.hub.review.losses import Losses
from gateway.hub.settings import HubSettings
from gateway.hub.signals.events import Bell
from gateway.hub.times import real_ms
from gateway.hub.views.curves import Curves
from gateway.hub.views.fleet import Fleet
from gateway.keys import SigningKey


@dataclass(frozen=True, slots=True)
class Bells:
    """Who wakes whom. All may be rung from any thread.

    arrived     something to judge or to project is in the store
    registered  the registry or the list of gateways changed
    told        events wait for listeners, and alerts for being sent
    """

    arrived: Bell
    registered: Bell
    told: Bell

    def ring_all(self) -> None:
        """Say that the registry changed, and with it what is judged and shown."""
        for bell in (self.registered, self.arrived, self.told):
            bell.ring()


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything that is open."""

    settings: HubSettings
    clock: Clock
    store: Store
    archive: Archive
    curves: Curves
    registry: Registry
    configurations: Configurations
    fleet: Fleet
    enrolment: Enrolment
    accounts: Accounts
    sessions: Sessions
    api_tokens: ApiTokens
    proofs: Proofs
    sign_on: SignOn | None
    ingest: Ingest
    watch: Watch
    reviews: ReviewDesk
    alerts: AlertDesk
    losses: Losses
    decisions: Decisions
    choices: Choices
    hand_ins: HandInDesk
    key: SigningKey
    admin_token_hash: bytes
    bells: Bells
    closing: asyncio.Event
    """Set when the hub stops, so that streams end."""


def open_rooms(settings: HubSettings) -> Rooms:
    """Open keys, database and rooms; to be called in the event loop. Raises InputError for what cannot be opened."""
    store = open_store(settings.database_url)
    try:
        return _open_around(store, settings)
    except DBAPIError as error:  # the database went away meanwhile
        store.close()
        raise InputError("database", f"cannot be used: {' '.join(str(error.orig).split())}") from error


def _open_around(store: Store, settings: HubSettings) -> Rooms:
    clock = open_clock(settings.clock)
    with _alone_in(settings.data_dir):
        key = load_hub_key(settings.key_file)
        admin_token = load_or_create_admin_token(settings.data_dir)
        enrolment = open_enrolment(settings, store, clock)
        secret = load_or_create_secret(settings.data_dir)
    archive = Archive(store)
    # Where another process judges, and nothing is projected, nobody here asks soon for what was just stored.
    shown = None if settings.judges_apart and not settings.influx.url else archive
    registry = Registry(store, clock.now_ms)
    configurations = make_configurations(store, clock.now_ms, settings)
    sessions, proofs = Sessions(store, secret, real_ms), Proofs(store, real_ms)
    return Rooms(
        settings=settings,
        clock=clock,
        store=store,
        archive=archive,
        curves=Curves(archive),
        registry=registry,
        configurations=configurations,
        fleet=Fleet(store, archive, clock.now_ms),
        enrolment=enrolment,
        accounts=Accounts(store, clock.now_ms, real_ms),
        sessions=sessions,
        api_tokens=ApiTokens(store, clock.now_ms, real_ms),
        proofs=proofs,
        sign_on=_open_sign_on(settings, store, clock, sessions, proofs),
        ingest=Ingest(store, clock.now_ms, open_witness(store, settings.data_dir, clock.now_ms()), shown),
        watch=Watch(store, archive, registry, configurations, clock, name=name_watch(store)),
        reviews=ReviewDesk(store, clock.now_ms),
        alerts=AlertDesk(store, clock.now_ms),
        losses=Losses(store, archive, clock.now_ms),
        decisions=Decisions(store, clock.now_ms),
        choices=Choices(store, clock.now_ms),
        hand_ins=HandInDesk(store, registry, settings.code_rules, clock.now_ms),
        key=key,
        admin_token_hash=hash_secret(admin_token),
        bells=Bells(Bell(), Bell(), Bell()),
        closing=asyncio.Event(),
    )


def _open_sign_on(
    settings: HubSettings, store: Store, clock: Clock, sessions: Sessions, proofs: Proofs
) -> SignOn | None:
    oidc = settings.access.oidc
    if oidc is None:
        return None
    provider = Provider(oidc, oidc.read_secret(), settings.http.public_url + BACK_PATH, time.monotonic)
    admission = Admission(store, clock.now_ms, real_ms, creates=oidc.creates_accounts)
    return SignOn(oidc, provider, store, admission, sessions, proofs, real_ms)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let one process at a time make keys in a folder: several may start at once."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def open_enrolment(settings: HubSettings, store: Store, clock: Clock) -> Enrolment:
    """Open what enrols gateways."""
    return Enrolment(store, load_or_create_secret(settings.data_dir), clock.now_ms)
