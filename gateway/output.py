"""Where a command writes what it makes: a file that is whole or not there, or the standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from gateway.core.errors import InputError

STDOUT = Path("-")


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Yield what takes the place of `path` when it is whole, or the standard output for `-`; raises as `replacing`."""
    if path != STDOUT:
        with replacing(path) as file:
            yield file
        return
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise  # whoever reads has seen enough
    except OSError as error:
        with suppress(OSError):
            sys.stdout.close()  # what it still holds can go nowhere, and would fail again at the end
        raise _as_input_error(error, path) from error


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file, readable too, that takes the place of `path` when it is whole.

    Raises InputError naming --output where it cannot be written: no folder, no right, no space, a device.
    """
    if path.exists() and not path.is_file():
        raise InputError("--output", "is no file", where=str(path))
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise _as_input_error(error, path) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _as_input_error(error: OSError, path: Path) -> InputError:
    return InputError("--output", error.strerror or str(error), where=str(path))
