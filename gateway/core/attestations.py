"""Statements that the hub signs and that leave it: each day the heads of all chains; what an export or a report holds.

Once outside, they keep even the hub's administrator from cutting a tail or rewriting history unseen.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints, ValidationError

from gateway.core.errors import InputError
from gateway.core.profiles import Model
from gateway.core.segments import Check, Sign
from gateway.core.verification import Extent

Hex = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})+$", max_length=128)]


class Head(Model):
    """How far one epoch reached, and the hash of its last segment."""

    gateway: str
    epoch: Hex
    next_offset: Annotated[int, Field(ge=0)]
    hash: Hex

    def to_extent(self) -> Extent:
        """The same as verification takes it."""
        return Extent(self.gateway, bytes.fromhex(self.epoch), 0, self.next_offset, None, bytes.fromhex(self.hash))


class Heads(Model):
    """The heads of all chains at one moment, and of the audit trail.

    number    1, 2, 3, …; previous: SHA-256 of the document before it, as it left, so that none can be taken away unseen
    """

    kind: Literal["heads"] = "heads"
    format: Literal[1] = 1
    number: Annotated[int, Field(ge=1)]
    previous: Hex
    at_ms: int
    generation: int
    hub_public_key: Hex
    heads: tuple[Head, ...]
    audit_entries: int
    audit_head: Hex


class GatewayKey(Model):
    """A key that a gateway had, and when it was revoked, or had handed over to another."""

    public_key: Hex
    revoked_at_ms: int | None = None
    retired_at_ms: int | None = None


class Part(Model):
    """A contiguous part of one epoch in an export. `file` holds its segments, `previous` is the hash before it."""

    gateway: str
    epoch: Hex
    first_offset: int
    next_offset: int
    previous: Hex | None
    hash: Hex
    file: str


class Manifest(Model):
    """What an export holds. `files` gives the SHA-256 of every other file in it."""

    kind: Literal["export"] = "export"
    format: Literal[1] = 1
    at_ms: int
    scope: str
    generation: int
    hub_public_key: Hex
    keys: dict[str, tuple[GatewayKey, ...]]
    parts: tuple[Part, ...]
    files: dict[str, Hex]


class ReportManifest(Model):
    """What a hub vouches for in a report: a file, what is attached to it, and the logs that its readings stand in.

    at_ms    the newest moment among the report's facts
    printer  hash of what decided how the pages look: the same one prints the same pages from the same data
    printed  SHA-256 of the file without its seal
    files    attached file → SHA-256
    parts    as in an export; `file` is empty
    changes  SHA-256 of the changes of the hub's key that stand behind the signature
    """

    kind: Literal["report"] = "report"
    format: Literal[1] = 1
    number: str
    consignment: str
    language: str
    at_ms: int
    generation: int
    hub_public_key: Hex
    printer: Hex
    printed: Hex
    files: dict[str, Hex]
    parts: tuple[Part, ...]
    changes: Hex


class Stretch(Model):
    """Consecutive segments of an epoch, [first_offset, next_offset)."""

    gateway: str
    epoch: Hex
    first_offset: Annotated[int, Field(ge=0)]
    next_offset: Annotated[int, Field(ge=1)]


class Entries(Model):
    """Consecutive entries of the audit trail, both ends included."""

    first: Annotated[int, Field(ge=1)]
    last: Annotated[int, Field(ge=1)]


class Removal(Model):
    """What retention has removed: payloads of segments, whose signed headers stay, or the words of audit entries.

    number    1, 2, 3, …; previous: SHA-256 of the document before it
    before_ms what was removed is older than this
    """

    kind: Literal["removal"] = "removal"
    format: Literal[1] = 1
    number: Annotated[int, Field(ge=1)]
    previous: Hex
    at_ms: int
    before_ms: int
    what: str
    hub_public_key: Hex
    payloads: tuple[Stretch, ...] = ()
    entries: tuple[Entries, ...] = ()


M = TypeVar("M", Heads, Manifest, ReportManifest, Removal)
_CONTEXT = b"coldchain attestation 1\x00"


class Signed(Model):
    """A statement as it leaves: the exact text that was signed, and the signature, with changes of the hub's key."""

    statement: str
    signature: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})+$", max_length=16_384)]


def sign_statement(statement: Heads | Manifest | ReportManifest | Removal, sign: Sign) -> str:
    """Return the JSON text that leaves the hub."""
    text = statement.model_dump_json()
    return Signed(statement=text, signature=sign(_CONTEXT + text.encode()).hex()).model_dump_json(indent=1)


def read_statement(model: type[M], text: str | bytes, check: Check, *, where: str) -> M:
    """Return the statement; raises InputError if it is malformed, of another kind, or not signed by the hub's key."""
    try:
        signed = Signed.model_validate_json(text)
        statement = model.model_validate_json(signed.statement)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "statement"
        raise InputError(field, first["msg"], where=where) from error
    if not check(bytes.fromhex(signed.signature), _CONTEXT + signed.statement.encode()):
        raise InputError("signature", "not signed by the hub's key, or altered since", where=where)
    return statement


def is_canonical(text: str) -> bool:
    """Say whether a signed statement is written just as `sign_statement` writes it, to the last blank."""
    try:
        return Signed.model_validate_json(text).model_dump_json(indent=1) == text
    except ValidationError:
        return False
