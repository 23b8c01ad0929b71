"""A manifest, checked against the registry and registered: all of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.configuration import Consignment
from gateway.core.errors import InputError
from gateway.core.standby import is_vigil
from gateway.hub.manifests.assembly import Known, assemble
from gateway.hub.manifests.reading import Fault, Faults, Line, read_lines
from gateway.hub.registry.faults import FaultsError
from gateway.hub.registry.registry import Registry, is_alike
from gateway.language import ENGLISH
from gateway.language.speech import N_

OTHERWISE = N_("A consignment of this code is registered already, and says something else.")
RESERVED = N_("Codes of this kind are the hub’s own.")
MEANWHILE = N_("The registry has changed meanwhile. Check the file again.")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file says. With any fault it has no consignments: it is registered as a whole or not at all.

    lines         how many lines it has below the first
    faults        what is wrong, at most FAULTS_MAX; `fault_count` counts all
    known         codes of consignments that are registered already, alike
    """

    lines: int
    consignments: Sequence[Consignment]
    known: frozenset[str]
    faults: Sequence[Fault]
    fault_count: int

    @property
    def items(self) -> int:
        """How many items there are."""
        return sum(len(one.items) for one in self.consignments)

    @property
    def examinations(self) -> int:
        """How many examinations there are."""
        return sum(len(item.examinations) for one in self.consignments for item in one.items)


class ManifestError(FaultsError):
    """A file cannot be registered: what is wrong, by line and column."""

    def __init__(self, lines: Sequence[Fault]) -> None:
        self.lines = lines
        super().__init__([InputError(where_of(fault), fault.say(ENGLISH)) for fault in lines])


def where_of(fault: Fault) -> str:
    """Return "line 3, collected_at"."""
    return f"line {fault.line}" + (f", {fault.column}" if fault.column else "")


def check_manifest(data: bytes, registry: Registry) -> Manifest:
    """Return what a file says and what is wrong with it. Nothing is stored."""
    faults = Faults()
    return check_lines(read_lines(data, faults), registry, faults)


def check_lines(lines: Sequence[Line], registry: Registry, faults: Faults, *, is_late: bool = False) -> Manifest:
    """Return what lines say, checked against the registry."""
    known = Known({profile.id: profile.kind for profile in registry.profiles()}, {box.code for box in registry.boxes()})
    consignments = assemble(lines, known, faults, is_late=is_late)
    first = {line.cell("consignment"): line.number for line in reversed(lines)}
    alike = set()
    for consignment in consignments:
        found = registry.consignment(consignment.code)
        if is_vigil(consignment.code):
            faults.add(first[consignment.code], "consignment", RESERVED)
        elif found is not None and not is_alike(found.consignment, consignment):
            faults.add(first[consignment.code], "consignment", OTHERWISE)
        elif found is not None:
            alike.add(consignment.code)
    kept = () if faults.count else consignments
    return Manifest(len(lines), kept, frozenset(alike), tuple(faults.kept), faults.count)


def register_manifest(manifest: Manifest, registry: Registry, who: str) -> int:
    """Register what a file says, and return how many consignments are new; raises ManifestError if there is a fault."""
    if manifest.faults:
        raise ManifestError(manifest.faults)
    try:
        return len(registry.add_consignments(manifest.consignments, who))
    except InputError as error:  # it was checked a moment ago
        raise ManifestError([Fault(1, "", MEANWHILE)]) from error
