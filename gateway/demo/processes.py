"""The processes of the demonstration: started, watched, killed when the trip says so, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

READY_WITHIN_S = 180
"""Importing and opening everything takes 2 s on a laptop; a Pi with a slow card and a full load takes many more."""
STOP_WITHIN_S = 60
"""A process ends within about 2 s of SIGTERM, on a machine that is busy with something else within ten times that;
what needs more hangs and is killed."""
TAIL_LINES = 20
LINE_BYTES_MAX = 1 << 20
_PR_SET_PDEATHSIG = 1


class ChildDied(Exception):  # noqa: N818  it names what happened
    """A process ended that should have gone on."""


@dataclass
class Child:
    """One process and its log file, both named `name`.

    Its standard error goes to the log; so does its standard output, where the line ``READY`` or ``READY {json}`` is
    awaited. It ends with its parent, however that ends.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    starts: int = 0
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)
    _reader: asyncio.Task[None] | None = field(default=None, repr=False)
    _runs: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def is_running(self) -> bool:
        """Whether it is meant to run now."""
        return self._runs.is_set()

    @property
    def pid(self) -> int:
        """Its process id; raises ChildDied before its first start."""
        if self._process is None:
            raise ChildDied(f"{self.name} was never started")
        return self._process.pid

    @property
    def log(self) -> Path:
        """Where its output is kept."""
        return self.folder / f"{self.name}.log"

    async def start(self) -> dict[str, Any]:
        """Start it and return what it announces; raises ChildDied if it ends or is silent too long."""
        self.starts += 1
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                env={**_inherited(), **self.environment},
                cwd=self.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=LINE_BYTES_MAX,
                start_new_session=True,  # Ctrl-C belongs to the parent, which stops its children in order
                preexec_fn=_end_with_parent(os.getpid()),
            )
        ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(self._process, ready), name=f"output of {self.name}")
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                announced = await ready
        except TimeoutError:
            await self.kill()
            raise ChildDied(f"{self.name} was not ready within {READY_WITHIN_S} s\n{self.tail()}") from None
        self._runs.set()
        return announced

    async def watch(self) -> NoReturn:
        """Raise ChildDied when it ends by itself; being stopped, killed and started again is as it should be."""
        while True:
            await self._runs.wait()
            process = self._process
            if process is None:
                continue
            status = await process.wait()
            if self._runs.is_set() and process is self._process:
                raise ChildDied(f"{self.name} {_describe_status(status)}\n{self.tail()}")

    async def stop(self) -> int | None:
        """End it cleanly and return its status; kills it if it does not end."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it as a power cut would."""
        await self._end(signal.SIGKILL)

    def tail(self) -> str:
        """The last lines of its log."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            return f"({self.log}: {error.strerror})"
        return "\n".join(f"  {self.name}: {line}" for line in lines[-TAIL_LINES:])

    async def _end(self, with_signal: signal.Signals) -> int | None:
        process = self._process
        self._runs.clear()
        if process is None:
            return None
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(with_signal)
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=1)  # a grandchild may hold the pipe open
            self._reader.cancel()
        return process.returncode

    async def _read(self, process: asyncio.subprocess.Process, ready: asyncio.Future[dict[str, Any]]) -> None:
        """Copy standard output to the log, and tell of the first line that says READY."""
        output = process.stdout
        if output is None:
            return
        with self.log.open("ab", buffering=0) as log:
            while line := await output.readline():
                log.write(line)
                if line.startswith(b"READY") and not ready.done():
                    ready.set_result(json.loads(line.removeprefix(b"READY").strip() or b"{}"))
        status = await process.wait()
        if not ready.done():
            ready.set_exception(ChildDied(f"{self.name} {_describe_status(status)} at its start\n{self.tail()}"))


def _inherited() -> dict[str, str]:
    """This process's environment without what would configure the children behind our back."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("COLDCHAIN_", "DBUS_"))}


def _describe_status(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _end_with_parent(parent: int) -> Any:  # noqa: ANN401  what subprocess wants: a callable, or None
    """Return what a child runs before its program: ask the kernel for SIGTERM when the parent is gone."""
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # the parent was gone before the kernel was asked
            os.kill(os.getpid(), signal.SIGTERM)

    return ask
