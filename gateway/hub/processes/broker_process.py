"""The child process in which the embedded broker runs: ``python -m gateway.hub.processes.broker_process CONFIG``.

It ends when its standard input closes, which also happens when its parent is killed.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from iotcore import IotCoreBroker


def run_broker(config_path: str) -> None:
    """Serve until standard input closes."""
    # The terminal sends Ctrl-C to the whole group; the parent still needs the broker to say goodbye.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    # rumqttd wraps each routed message in a span of level ERROR, which would be one log line for each packet.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    IotCoreBroker(config_path=config_path).run_forever()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    run_broker(sys.argv[1])
