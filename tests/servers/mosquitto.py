"""A private Mosquitto for one test: its own folder and a free port; it can be killed and started again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.ports import free_port
from tests.waiting import LIMIT_S

START_TIMEOUT_S = LIMIT_S

# What Mosquitto does when nobody has configured anything but a way in: nothing is kept over its end, and at most a
# thousand messages wait for a client that is away.
DEFAULTS = """\
listener {port} 127.0.0.1
allow_anonymous true
"""
KEEPING = (
    DEFAULTS
    + """\
persistence true
persistence_location {folder}/
autosave_interval 1
max_queued_messages 0
user {user}
"""
)


class MosquittoMissingError(Exception):
    """Mosquitto is not installed here."""


class Mosquitto:
    """One broker on one port, started again and again."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            raise MosquittoMissingError("Mosquitto is not installed: tools/system-packages test")
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.starts = 0
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, configuration: str = KEEPING) -> None:
        """Start it and wait until it listens."""
        file = self._folder / "mosquitto.conf"
        # As root it would become another user, to whom pytest's folder is closed.
        user = "root" if os.getuid() == 0 else "nobody"
        file.write_text(configuration.format(port=self.port, folder=self._folder, user=user))
        command = [self._program, "-c", str(file)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  the installed server
        self.starts += 1
        self._wait(self._process)

    def kill(self) -> None:
        """SIGKILL, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_TIMEOUT_S)

    def stop(self) -> None:
        """SIGTERM."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_TIMEOUT_S)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(START_TIMEOUT_S * 20):
            if process.poll() is not None:
                raise RuntimeError(f"Mosquitto ended with {process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)  # a port that is not there yet has no event
            else:
                return
        raise TimeoutError("Mosquitto does not listen")


@contextmanager
def running_mosquitto(folder: Path) -> Iterator[str]:
    """Start a broker that keeps what it holds and yield its URL; raises MosquittoMissingError."""
    broker = Mosquitto(folder)
    broker.start()
    try:
        yield broker.url
    finally:
        broker.stop()
