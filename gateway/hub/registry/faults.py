"""Everything that is wrong with many things at once, each fault named by its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gateway.core.errors import InputError

FAULTS_MAX = 20
"""Faults that are told: whoever has made more of them has made one mistake many times."""


class FaultsError(InputError):
    """Several things are wrong; it reads as the first of them. Nothing of what was sent counts."""

    def __init__(self, faults: Sequence[InputError]) -> None:
        self.faults = faults
        super().__init__(faults[0].field, faults[0].reason)


class Faults:
    """Gathers faults."""

    def __init__(self) -> None:
        self._kept: list[InputError] = []

    @contextmanager
    def at(self, place: str, field: str | None = None) -> Iterator[None]:
        """Note the InputError that is raised within, if there is one, as a fault of a place ("boxes[2]").

        It is that of the field which the error names, or of `field` ("" for the place itself).
        """
        try:
            yield
        except InputError as error:
            if len(self._kept) < FAULTS_MAX:
                named = error.field if field is None else field
                self._kept.append(InputError(f"{place}.{named}".strip("."), error.reason))

    def refuse_any(self) -> None:
        """Raise FaultsError unless there are none."""
        if self._kept:
            raise FaultsError(self._kept)
