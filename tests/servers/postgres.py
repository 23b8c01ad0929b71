"""A private PostgreSQL cluster: its own folder, a socket in it and no port; it can be killed and started again."""

from __future__ import annotations

import ctypes
import os
import pwd
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url

from tests.waiting import LIMIT_S

USER = "coldchain"
TEMPLATE = "coldchain_template"
START_TIMEOUT_S = LIMIT_S
_PR_SET_PDEATHSIG = 1
_FAST = {
    # Tests kill processes, not the machine: what was written to the kernel stays.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "listen_addresses": "",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "autovacuum": "off",
    "log_min_messages": "panic",
}
_DURABLE = {
    # As an installation has it: for measuring, not for tests.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "autovacuum": "on",
    "shared_buffers": "512MB",
}


class PostgresMissingError(Exception):
    """PostgreSQL is not installed here."""


class Cluster:
    """A cluster in its folder.

    committed  each commit outlives the database's own processes
    durable    and the machine's power
    """

    def __init__(self, folder: Path, binaries: Path, *, committed: bool = False, durable: bool = False) -> None:
        self._folder = folder
        self._made = 0
        options = _FAST | ({"synchronous_commit": "on"} if committed else {}) | (_DURABLE if durable else {})
        written = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._command = [binaries / "postgres", "-D", folder / "data", "-k", folder, *written]
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  the installed server
            self._command,
            cwd=self._folder,
            stderr=subprocess.DEVNULL,
            preexec_fn=_end_with_parent,  # noqa: PLW1509  it calls one function of libc
            **_identity(_unprivileged_user()),
        )

    def kill(self) -> None:
        """SIGKILL the postmaster; its backends end by themselves."""
        self._process.kill()
        self._process.wait(START_TIMEOUT_S)

    def start(self) -> None:
        """Start it again and wait until it answers: it refuses to begin before the last old backend has ended."""
        for _ in range(START_TIMEOUT_S * 20):
            if self._process.poll() is not None:
                self._process = self._start()
            if self.answers():
                return
            _pause()
        raise TimeoutError("PostgreSQL does not answer")

    def stop(self) -> None:
        """End it, breaking off what is under way."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_TIMEOUT_S)

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def kill_backend(self, rng: random.Random) -> bool:
        """SIGKILL one of the processes that serve clients; False if there is none now, or nobody answers."""
        query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        try:
            with self._connect() as connection:
                found = [pid for (pid,) in connection.execute(query)]
            os.kill(rng.choice(found), signal.SIGKILL)
        except (psycopg.OperationalError, IndexError, ProcessLookupError):
            return False
        return True

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{USER}@/{database}?host={self._folder}"

    def make_database(self, *, empty: bool = False) -> str:
        """Copy the template, or make an empty database, and return the URL."""
        self._made += 1
        name = f"test_{self._made}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else TEMPLATE} STRATEGY file_copy")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        name = make_url(url).database
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def wait(self) -> None:
        """Wait until it answers, and make the (empty) template."""
        for attempt in range(START_TIMEOUT_S * 20):
            if self._process.poll() is not None:
                raise RuntimeError(f"PostgreSQL ended with {self._process.returncode}")
            try:
                self._execute(f"CREATE DATABASE {TEMPLATE}")
            except psycopg.OperationalError:
                if attempt == START_TIMEOUT_S * 20 - 1:
                    raise
                _pause()
            else:
                return

    def _execute(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(statement)  # type: ignore[call-overload]  # names made here, no literal

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(dbname="postgres", user=USER, host=str(self._folder), autocommit=True)


@contextmanager
def running_cluster(*, committed: bool = False, durable: bool = False) -> Iterator[Cluster]:
    """Start a cluster, as an unprivileged user where this is root; raises PostgresMissingError."""
    binaries = _find_binaries()
    # Not in pytest's folder: that is closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="coldchain-pg-"))
    user = _unprivileged_user()
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        command = [binaries / "initdb", "-D", folder / "data", "-U", USER, "-A", "trust", "-N", "-E", "UTF8"]
        subprocess.run(  # noqa: S603  the installed server
            [*command, "--no-locale"], check=True, stdout=subprocess.DEVNULL, cwd=folder, **_identity(user)
        )
        cluster = Cluster(folder, binaries, committed=committed, durable=durable)
        try:
            cluster.wait()
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _find_binaries() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = versions[-1] if versions else shutil.which("initdb")
    if found is None:
        raise PostgresMissingError("PostgreSQL is not installed: tools/system-packages test")
    return Path(found).resolve().parent


def _unprivileged_user() -> pwd.struct_passwd | None:
    if os.getuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _identity(user: pwd.struct_passwd | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _pause() -> None:
    time.sleep(0.05)  # a socket that is not there yet has no event
