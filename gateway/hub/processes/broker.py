"""The embedded broker: iotcore (rumqttd) as a child process, for the demonstration and one small site.

It listens on loopback only, without authentication, and loses what it holds when it ends. That is enough, since
only the hub's own acknowledgement lets a vehicle forget. Real installations name a broker by its URL instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.core.errors import ColdchainError
from gateway.core.messages import ENVELOPE_BYTES_MAX

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
PAYLOAD_BYTES_MAX = ENVELOPE_BYTES_MAX
"""The largest message is a configuration; a segment is a quarter of it."""
START_TIMEOUT_S = 30
"""It is ready in 0.15 s; a Pi that also starts everything else is given two hundred times as long."""
STOP_TIMEOUT_S = 2
RESTART_S = 5
"""Between attempts to start a broker that failed to: its port is taken, or memory is short."""
_READY_POLL_S = 0.02

_CONFIG = """\
# Written anew at each start.
id = 0

[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
# Consumed messages are kept until segments rotate: ten of 1 MiB for each topic bound the memory.
max_segment_size = 1048576
max_segment_count = 10

[v5.1]
name = "v5-1"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {payload}
max_inflight_count = 100
dynamic_filters = true
"""


class BrokerError(ColdchainError):
    """The embedded broker did not start."""


class EmbeddedBroker:
    """A broker in a child process for as long as the context lasts.

    `folder` receives the generated configuration. `port` 0 chooses a free one; `url` is then known inside the context.
    The port is this broker's also while its child starts, or is started again: nobody else is dealt it meanwhile.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self._folder = folder
        self._wanted_port = port
        self._held: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self.port = port

    @property
    def url(self) -> str:
        """Where clients connect, "mqtt://127.0.0.1:PORT"."""
        return f"mqtt://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The child's process id. Raises BrokerError while it is not running."""
        if self._process is None:
            raise BrokerError("the broker is not running")
        return self._process.pid

    async def keep_running(self) -> None:
        """Start the child again, on the same port, whenever it ends by itself; never returns.

        What it held is gone: clients connect again, vehicles send again what the hub has not acknowledged.
        """
        while True:
            if self._process is not None:
                status = await self._process.wait()
                log.error("the embedded broker ended by itself with status %s; it is started again", status)
                await self._stop()
            try:
                await self._start()
            except BrokerError as error:
                log.error("the embedded broker does not start, next attempt in %s s: %s", RESTART_S, error)  # noqa: TRY400  a trace says no more
                await asyncio.sleep(RESTART_S)

    async def __aenter__(self) -> Self:
        self._held = _hold_port(self._wanted_port)
        self.port = self._held.getsockname()[1]
        try:
            await self._start()
        except BaseException:
            self._held.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()
        if self._held is not None:
            self._held.close()

    async def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "broker.toml"
        text = _CONFIG.format(host=HOST, port=self.port, payload=PAYLOAD_BYTES_MAX)
        config.write_text(text, encoding="utf-8")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.hub.processes.broker_process", str(config), stdin=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._wait_until_ready(self._process)
        except (BrokerError, TimeoutError, asyncio.CancelledError) as error:
            await self._stop()
            if isinstance(error, TimeoutError):
                raise BrokerError(f"not listening on {self.url} within {START_TIMEOUT_S} s") from error
            raise

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> None:
        while process.returncode is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, self.port)
                writer.close()
                await writer.wait_closed()
                # Another process may hold the port: ours would have ended by now, or is about to.
                await asyncio.sleep(_READY_POLL_S)
                if process.returncode is None:
                    return
            await asyncio.sleep(_READY_POLL_S)
        raise BrokerError(f"ended with status {process.returncode} while starting on {self.url}")

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()


def _hold_port(port: int) -> socket.socket:
    """Bind a socket to `port`, to a free one for 0, and return it; it never listens.

    For as long as it is open the kernel deals its port to nobody. The broker, which asks for the address by its
    number and for its reuse as well, may listen there.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((HOST, port))
    except OSError as error:
        held.close()
        raise BrokerError(f"cannot listen on {HOST}:{port}: {error.strerror}") from error
    return held
