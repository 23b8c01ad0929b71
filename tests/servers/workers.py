"""Processes of the product that can be killed at any moment and are quick to start again."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.waiting import LIMIT_S

# Each is a process of its own, forked from a server that has loaded the code: a start costs no second of imports.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        *(
            "gateway.cli.hub",
            "gateway.hub.processes.hub",
            "gateway.hub.processes.workers",
            "alembic.command",
            "psycopg",
        ),
        *("gateway.cli.vehicle", "bleak.backends.bluezdbus.client", "bleak.backends.bluezdbus.scanner"),
        *("pytest", "tests.servers.workers"),
    ]
)


class Worker:
    """`coldchain …` with one log file, started again and again. `environment` comes on top of this process's own."""

    def __init__(self, log: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.starts = 0
        self._arguments = arguments
        self._environment = dict(environment or {})
        self._process: BaseProcess | None = None
        self._told_before = 0
        self.start()

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.is_alive()

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it has said so since it was started last."""
        return self.log.exists() and b"READY" in self.log.read_bytes()[self._told_before :]

    def start(self) -> None:
        self._told_before = self.log.stat().st_size if self.log.exists() else 0
        self._process = _context.Process(target=_run, args=(self.log, self._arguments, self._environment), daemon=True)
        self._process.start()
        self.starts += 1

    def kill(self) -> None:
        """SIGKILL, whatever it is doing."""
        assert self._process is not None
        self._process.kill()
        self._process.join()

    def stop(self) -> int | None:
        """SIGTERM, once it is ready (before, that ends it as it ends any program); return the exit code."""
        assert self._process is not None
        ends_s = time.monotonic() + LIMIT_S
        while not self.is_ready and self.is_alive and time.monotonic() < ends_s:
            time.sleep(0.02)  # another process has no event
        self._process.terminate()
        self._process.join(LIMIT_S)
        return self._process.exitcode


def _run(log: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    from gateway.cli import main  # noqa: PLC0415  loaded in the worker's process

    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    main(arguments, prog_name="coldchain")
