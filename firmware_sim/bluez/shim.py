"""A bluetoothctl that only knows its version."""

from pathlib import Path

EXECUTABLE = 0o755


def write_shim(folder: Path, version: str = "5.82") -> Path:
    """Write ``bluetoothctl`` into ``folder`` (made if missing) and return its path.

    bleak runs ``bluetoothctl --version`` before it connects and warns where that is missing: put the folder on PATH.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shim = folder / "bluetoothctl"
    shim.write_text(f"#!/bin/sh\necho 'bluetoothctl: {version}'\n", encoding="ascii")
    shim.chmod(EXECUTABLE)
    return shim
