"""An export that proves itself: segments verbatim, keys, documents, and a manifest signed by the hub, in one zip."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, Row, select

from gateway.core.attestations import GatewayKey, Manifest, Part, read_statement, sign_statement
from gateway.core.configuration import Configuration, Consignment
from gateway.core.errors import InputError
from gateway.core.segments import SEGMENT_BYTES_MAX, Check, Position, parse_segment
from gateway.core.verification import EnrolledKey, Extent, Fault, Finding, StoredSegment, verify_extent
from gateway.hub.audit.acts import Act, record_act
from gateway.hub.database.schema import configurations, consignments, epochs, gateway_keys, judgements
from gateway.hub.database.store import Store, read_generation
from gateway.hub.proof.verification import Progress, Report, extents_of, hash_at, read_segments, segments_of
from gateway.keys import SigningKey, VerifyKey
from gateway.output import replacing

MANIFEST = "manifest.json"
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What zipfile raises for altered bytes: wrong CRC, data, length, method, flags, names."""
_ENTRY = struct.Struct(">IQI")
"""offset, received_at_ms, length: before each segment's bytes."""


def export_log(
    store: Store,
    key: SigningKey,
    path: Path,
    now_ms: int,
    *,
    consignment: str | None = None,
    gateway: str | None = None,
    progress: Progress | None = None,
    who: str = "command line",
) -> Manifest:
    """Write the logs of a consignment, of a gateway, or of everything; raises InputError for an unknown code.

    The file appears only when it is whole, and on record: by whom, of what, how much. Raises InputError, too, where it
    cannot be written.
    """
    with replacing(path) as file:
        with store.read() as connection, zipfile.ZipFile(file, "w") as archive:
            writer = _Writer(connection, archive, progress)
            if consignment is not None:
                writer.add_consignment(consignment)
            else:
                writer.add_epochs(gateway)
            manifest = Manifest(
                at_ms=now_ms,
                scope=_scope(consignment, gateway),
                generation=read_generation(connection),
                hub_public_key=key.public_bytes.hex(),
                keys=_read_keys(connection, {part.gateway for part in writer.parts}),
                parts=tuple(writer.parts),
                files=writer.files,
            )
            archive.writestr(MANIFEST, sign_statement(manifest, key.sign))
        file.seek(0)
        _record(store, manifest, _digest(file), who, now_ms)
    return manifest


def _record(store: Store, manifest: Manifest, digest: str, who: str, now_ms: int) -> None:
    told = {
        "form": "zip",
        "parts": len(manifest.parts),
        "segments": sum(part.next_offset - part.first_offset for part in manifest.parts),
        "sha256": digest,
    }
    with store.write() as connection:
        record_act(connection, Act(who, "export", manifest.scope, new=json.dumps(told)), now_ms)


def verify_export(path: Path, check: Check, *, progress: Progress | None = None) -> Report:
    """Verify an export with nothing but the hub's public key; raises InputError if it is no export or is forged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _verify_archive(archive, check, str(path), progress)
    except (*_DAMAGED, KeyError, OSError) as error:
        raise InputError("file", f"is not an export: {error}", where=str(path)) from error


class _Writer:
    def __init__(self, connection: Connection, archive: zipfile.ZipFile, progress: Progress | None) -> None:
        self.parts: list[Part] = []
        self.files: dict[str, str] = {}
        self._connection = connection
        self._archive = archive
        self._progress = progress
        self._count = 0

    def add_consignment(self, code: str) -> None:
        row = self._connection.execute(select(consignments.c.document).where(consignments.c.code == code)).first()
        if row is None:
            raise InputError("consignment", f"there is no consignment {code!r}")
        consignment = Consignment.model_validate_json(row.document)
        self._add_document("consignment.json", row.document)
        for place, judged in enumerate(
            self._connection.execute(
                select(judgements.c.document).where(judgements.c.consignment == code).order_by(judgements.c.id)
            ).scalars()
        ):
            self._add_document(f"judgements/{place:04}.json", judged)
        for epoch, first, last in extents_of(self._connection, segments_of(self._connection, consignment)):
            self._add_part(epoch, first, last + 1)

    def add_epochs(self, gateway: str | None) -> None:
        wanted = select(epochs).where(epochs.c.next_offset > 0).order_by(epochs.c.id)
        rows = self._connection.execute(wanted if gateway is None else wanted.where(epochs.c.gateway == gateway)).all()
        if gateway is not None and not rows:
            raise InputError("gateway", f"nothing is stored of a gateway {gateway!r}")
        for row in rows:
            self._add_part(row, 0, row.next_offset)

    def _add_part(self, epoch: Row[tuple[object, ...]], first: int, next_offset: int) -> None:
        name = f"segments/{epoch.gateway}/{epoch.epoch.hex()}-{first}.bin"
        digest = sha256()
        last = b""
        with self._archive.open(name, "w") as file:
            for entry in read_segments(self._connection, epoch.id, first, next_offset):
                data = _ENTRY.pack(entry.offset, entry.received_at_ms, len(entry.verbatim)) + entry.verbatim
                digest.update(data)
                file.write(data)
                last = entry.verbatim
                self._count += 1
                if self._progress is not None:
                    self._progress(self._count)
        self.files[name] = digest.hexdigest()
        before = hash_at(self._connection, epoch.gateway, Position(epoch.epoch, first - 1)) if first else None
        self.parts.append(
            Part(
                gateway=epoch.gateway,
                epoch=epoch.epoch.hex(),
                first_offset=first,
                next_offset=next_offset,
                previous=None if before is None else before.hex(),
                hash=parse_segment(epoch.gateway, last).hash.hex(),
                file=name,
            )
        )
        self._add_configurations(epoch.gateway)

    def _add_configurations(self, gateway: str) -> None:
        name = f"configurations/{gateway}.json"
        if name in self.files:
            return
        rows = self._connection.execute(
            select(configurations.c.document)
            .where(configurations.c.gateway == gateway)
            .order_by(configurations.c.version)
        ).scalars()
        documents = (Configuration.model_validate_json(row).model_dump_json() for row in rows)  # without secrets
        self._add_document(name, "[" + ",\n".join(documents) + "]")

    def _add_document(self, name: str, text: str) -> None:
        self._archive.writestr(name, text)
        self.files[name] = sha256(text.encode()).hexdigest()


def _verify_archive(archive: zipfile.ZipFile, check: Check, where: str, progress: Progress | None) -> Report:
    manifest = read_statement(Manifest, archive.read(MANIFEST), check, where=f"{where}: {MANIFEST}")
    report = Report(scope=f"export of {manifest.scope}")
    names = [name for name in archive.namelist() if name != MANIFEST]
    report.add(Finding(Fault.MISSING, f"file {name}") for name in sorted(manifest.files.keys() - set(names)))
    report.add(
        Finding(Fault.FORGED, f"file {name} is not in the manifest")
        for name in sorted(set(names) - manifest.files.keys())
    )
    report.add(Finding(Fault.REPEATED, f"file {name}") for name in sorted({n for n in names if names.count(n) > 1}))
    for name in sorted(manifest.files.keys() & set(names)):
        with archive.open(name) as file:
            if _digest(file) != manifest.files[name]:
                report.add([Finding(Fault.ALTERED, f"file {name} is not what the manifest says")])
    for part in manifest.parts:
        if part.file in names:
            _verify_part(archive, manifest, part, report, progress)
    return report


def _verify_part(
    archive: zipfile.ZipFile, manifest: Manifest, part: Part, report: Report, progress: Progress | None
) -> None:
    report.epochs += 1
    keys = [
        EnrolledKey(VerifyKey(bytes.fromhex(key.public_key)).check, key.revoked_at_ms, key.retired_at_ms)
        for key in manifest.keys.get(part.gateway, ())
    ]
    extent = Extent(
        part.gateway,
        bytes.fromhex(part.epoch),
        part.first_offset,
        part.next_offset,
        None if part.previous is None else bytes.fromhex(part.previous),
        bytes.fromhex(part.hash),
    )
    broken: list[Finding] = []

    def entries() -> Iterator[StoredSegment]:
        with archive.open(part.file) as file:
            try:
                for entry in _read_entries(file):
                    yield entry
                    if progress is not None:
                        progress(report.tally.segments)
            except _DAMAGED as error:
                broken.append(Finding(Fault.ALTERED, f"{part.file}: {error}", part.gateway, extent.epoch))

    report.add(verify_extent(extent, entries(), keys, report.tally))
    report.add(broken)


def _read_entries(file: IO[bytes]) -> Iterator[StoredSegment]:
    while head := file.read(_ENTRY.size):
        if len(head) < _ENTRY.size:
            raise ValueError("ends within an entry")
        offset, received_at_ms, length = _ENTRY.unpack(head)
        if length > SEGMENT_BYTES_MAX:
            raise ValueError(f"an entry of {length} bytes cannot be a segment")
        verbatim = file.read(length)
        if len(verbatim) < length:
            raise ValueError("ends within a segment")
        yield StoredSegment(offset, received_at_ms, verbatim)


def _digest(file: IO[bytes]) -> str:
    digest = sha256()
    try:
        while data := file.read(1 << 20):
            digest.update(data)
    except _DAMAGED:
        return "damaged"
    return digest.hexdigest()


def _read_keys(connection: Connection, names: set[str]) -> dict[str, tuple[GatewayKey, ...]]:
    rows = connection.execute(select(gateway_keys).where(gateway_keys.c.gateway.in_(names))).all()
    return {
        name: tuple(
            GatewayKey(
                public_key=row.public_key.hex(), revoked_at_ms=row.revoked_at_ms, retired_at_ms=row.retired_at_ms
            )
            for row in rows
            if row.gateway == name
        )
        for name in sorted(names)
    }


def _scope(consignment: str | None, gateway: str | None) -> str:
    if consignment is not None:
        return f"consignment {consignment}"
    return "the entire store" if gateway is None else f"gateway {gateway}"
