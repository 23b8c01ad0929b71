"""Where loggers are registered: a hub's API, or the hub's own store. Both say the same."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

import click
import httpx
from pydantic import TypeAdapter

from gateway.client import (
    Call,
    ForbiddenError,
    HubClient,
    NoHubError,
    NotKnownError,
    NotValidError,
    ProblemError,
    UnreachableError,
    calls,
)
from gateway.clock import open_clock
from gateway.core.assignments import Swap
from gateway.core.batches import SetUp, SetUpDone
from gateway.core.configuration import Box, Logger
from gateway.core.errors import InputError
from gateway.hub.database.store import open_existing_store
from gateway.hub.record.archive import Archive
from gateway.hub.registry.registry import Registry
from gateway.hub.settings import HubSettings
from gateway.hub.views.fleet import Fleet, LoggerState
from gateway.settings import load_settings

TIMEOUT_S = 30.0
"""A hub answers within milliseconds; one that judges a backlog may keep a writer waiting for seconds."""
WHO = "command line"
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_PATH = click.Path(path_type=Path, exists=True, dir_okay=False)
_STATES = TypeAdapter(list[LoggerState])


class Registrar(Protocol):
    """What the commands about loggers need."""

    def now(self) -> datetime:
        """The present, as the registrar has it."""

    def states(self) -> list[LoggerState]:
        """Every logger."""

    def boxes(self) -> list[Box]:
        """Every box."""

    def put_box(self, box: Box) -> None:
        """Register a box."""

    def put_logger(self, logger: Logger, reason: str) -> Logger:
        """Enrol or change a logger; raises InputError."""

    def swap(self, address: str, swap: Swap) -> tuple[Logger, Logger]:
        """Exchange loggers; raises InputError."""

    def set_up(self, wanted: SetUp, *, dry_run: bool) -> SetUpDone:
        """Register many things, all of them or none; raises InputError."""


class StoreRegistrar:
    """On the hub's own machine, from its settings file. The hub may be running meanwhile."""

    def __init__(self, settings: HubSettings) -> None:
        clock = open_clock(settings.clock)
        self._now_ms = clock.now_ms
        self._store = open_existing_store(settings.database_url)
        self._registry = Registry(self._store, clock.now_ms)
        self._fleet = Fleet(self._store, Archive(self._store), clock.now_ms)

    def now(self) -> datetime:
        """The hub's time."""
        return datetime.fromtimestamp(self._now_ms() / 1000, UTC)

    def states(self) -> list[LoggerState]:
        """Every logger."""
        return self._fleet.states()

    def boxes(self) -> list[Box]:
        """Every box."""
        return self._registry.boxes()

    def put_box(self, box: Box) -> None:
        """Register a box."""
        self._registry.put_box(box, WHO)

    def put_logger(self, logger: Logger, reason: str) -> Logger:
        """Enrol or change a logger."""
        return self._registry.put_logger(logger, WHO, reason)

    def swap(self, address: str, swap: Swap) -> tuple[Logger, Logger]:
        """Exchange loggers."""
        return self._registry.swap_loggers(address, swap, WHO)

    def set_up(self, wanted: SetUp, *, dry_run: bool) -> SetUpDone:
        """Register many things."""
        return self._registry.set_up(wanted, WHO, dry_run=dry_run)

    def close(self) -> None:
        """Close the store."""
        self._store.close()


class HubRegistrar:
    """Over the hub's API, with a token that may configure."""

    def __init__(self, client: httpx.Client) -> None:
        self._hub = HubClient(client)

    def now(self) -> datetime:
        """The hub's time."""
        return datetime.fromtimestamp(self._ask(calls.show_time()).now_ms / 1000, UTC)

    def states(self) -> list[LoggerState]:
        """Every logger."""
        return self._ask(calls.list_logger_states(_STATES))

    def boxes(self) -> list[Box]:
        """Every box."""
        return self._ask(calls.list_boxes())

    def put_box(self, box: Box) -> None:
        """Register a box."""
        self._ask(calls.put_box(box))

    def put_logger(self, logger: Logger, reason: str) -> Logger:
        """Enrol or change a logger."""
        return self._ask(calls.put_logger(logger, reason))

    def swap(self, address: str, swap: Swap) -> tuple[Logger, Logger]:
        """Exchange loggers."""
        swapped = self._ask(calls.swap_loggers(address, swap))
        return swapped.left, swapped.came

    def set_up(self, wanted: SetUp, *, dry_run: bool) -> SetUpDone:
        """Register many things."""
        return self._ask(calls.set_up(wanted, dry_run=dry_run))

    def _ask(self, call: Call[T]) -> T:
        """Ask; what the hub refuses about the input is an InputError, anything else one line for a person."""
        try:
            return self._hub.ask(call)
        except UnreachableError as error:
            raise click.ClickException(f"the hub at {self._hub.url} does not answer: {error}") from None
        except NoHubError as error:
            raise click.ClickException(f"{self._hub.url}: {error}: is it a hub?") from None
        except NotValidError as error:
            raise InputError(error.field, error.reason) from None
        except (NotKnownError, ForbiddenError) as error:
            raise click.ClickException(f"the hub answers {error}: see --token-file") from None
        except ProblemError as error:
            raise click.ClickException(f"the hub answers {error}") from None


@dataclass(frozen=True, slots=True)
class Place:
    """Which hub is meant."""

    hub: str | None
    token_file: Path | None
    ca_file: Path | None
    settings: Path | None

    @contextmanager
    def open(self) -> Iterator[Registrar]:
        """Open it; raises InputError unless the options name exactly one."""
        if (self.hub is None) == (self.settings is None):
            advice = "say which hub: --hub URL --token-file FILE, or --settings FILE on the hub itself"
            raise InputError("--hub", advice)
        if self.settings is not None:
            store = StoreRegistrar(load_settings(HubSettings, self.settings))
            try:
                yield store
            finally:
                store.close()
            return
        if self.token_file is None:
            raise InputError("--token-file", "is needed with --hub")
        token = self.token_file.read_text(encoding="utf-8").strip()
        with httpx.Client(
            base_url=str(self.hub).rstrip("/"),
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
            trust_env=False,
            verify=_trust(self.ca_file),
        ) as client:
            yield HubRegistrar(client)


def with_place(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options that say which hub; they reach the command as `place`."""

    @wraps(command)
    def gather(*arguments: P.args, **options: P.kwargs) -> R:
        given: dict[str, Any] = {name: options.pop(name) for name in ("hub", "token_file", "ca_file", "settings")}
        options["place"] = Place(**given)
        return command(*arguments, **options)

    gathered = gather
    for option in (
        click.option("--settings", "-s", type=_PATH, help="Instead of --hub, on the hub itself: its settings file."),
        click.option("--ca-file", type=_PATH, help="Certificates that vouch for the hub. [default: the system's]"),
        click.option("--token-file", type=_PATH, help="A token that may configure: admin.token, or a program's own."),
        click.option("--hub", metavar="URL", help="The hub, https://hub.example:8443; needs --token-file."),
    ):
        gathered = option(gathered)
    return gathered


def _trust(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise InputError("--ca-file", f"no certificates: {error}", where=str(ca_file)) from error
