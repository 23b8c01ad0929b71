"""A private Mosquitto for one test: its own folder and a free port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT_S = 30

_CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 1
max_queued_messages 0
user {user}
"""


class MosquittoMissingError(Exception):
    """Mosquitto is not installed here."""


@contextmanager
def running_mosquitto(folder: Path) -> Iterator[str]:
    """Start a broker and yield its URL; raises MosquittoMissingError."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise MosquittoMissingError("Mosquitto is not installed: tools/system-packages test")
    port = _free_port()
    config = folder / "mosquitto.conf"
    # As root it would become another user, to whom pytest's folder is closed.
    config.write_text(_CONFIG.format(port=port, folder=folder, user="root" if os.getuid() == 0 else "nobody"))
    process = subprocess.Popen([program, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  the installed server
    try:
        _wait(process, port)
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(START_TIMEOUT_S * 20):
        if process.poll() is not None:
            raise RuntimeError(f"Mosquitto ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)  # a port that is not there yet has no event
        else:
            return
    raise TimeoutError("Mosquitto does not listen")
