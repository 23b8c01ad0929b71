"""Ballast: room on the card that is given up when the card is full, so that there is room to make room.

To delete anything, SQLite must first write what it is going to do, and what it has done before must find its place in
the file. On a card without a free byte it can do neither.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

BALLAST_BYTES = 2 << 20
"""Twice what the write-ahead log holds before its pages go to the file (see gateway.vehicle.database)."""


class Ballast:
    """A file that holds nothing but its place."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self) -> bool:
        """Take the place, if there is any; says whether it is held."""
        with suppress(OSError):
            if self._path.exists() and self._path.stat().st_size == BALLAST_BYTES:
                return True
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o640)
            try:
                os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
            finally:
                os.close(descriptor)
            return True
        with suppress(OSError):
            self._path.unlink()  # half of it would be of no use
        return False

    def give_up(self) -> bool:
        """Free the place; says whether there was any."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            log.error("the ballast on the card cannot be given up: %s", error.strerror)  # noqa: TRY400  the reason says it
            return False
        return True
