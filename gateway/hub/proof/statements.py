"""Heads that were kept elsewhere, read back: signed by the hub, in sequence, stamped by an authority."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from cryptography.x509 import Certificate

from gateway.core.attestations import Heads, read_statement
from gateway.core.errors import InputError
from gateway.core.segments import Check
from gateway.core.verification import Fault, Finding
from gateway.hub.proof.timestamps import TimestampError, check_timestamp

PATTERN = "heads-*.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """One day's heads as somebody kept them. `stamped_at` is what an authority says, None where nobody was asked."""

    path: Path
    heads: Heads
    document: bytes
    stamped_at: datetime | None = None


def read_kept(paths: Sequence[Path], check: Check, roots: Sequence[Certificate]) -> tuple[list[Kept], list[Finding]]:
    """Read files and folders of heads; return them in sequence, and what is wrong with them.

    A file named on its own must be one: InputError is raised for any other. Timestamps (a .tsr beside the file) are
    checked where `roots` are given.
    """
    kept: list[Kept] = []
    findings: list[Finding] = []
    for path in paths:
        files = sorted(path.glob(PATTERN)) if path.is_dir() else [path]
        if not files:
            raise InputError("--heads", f"holds no {PATTERN}", where=str(path))
        for file in files:
            try:
                one = _read_one(file, check)
            except InputError as error:
                if not path.is_dir():
                    raise
                findings.append(Finding(Fault.FORGED, str(error)))
                continue
            stamped_at, wrong = _read_timestamp(one, roots)
            kept.append(Kept(one.path, one.heads, one.document, stamped_at))
            findings += wrong
    kept.sort(key=lambda one: (one.heads.number, one.heads.at_ms))
    return kept, findings + _find_breaks(kept)


def _read_one(path: Path, check: Check) -> Kept:
    try:
        document = path.read_bytes()
    except OSError as error:
        raise InputError("--heads", error.strerror or str(error), where=str(path)) from error
    return Kept(path, read_statement(Heads, document, check, where=str(path)), document)


def _read_timestamp(one: Kept, roots: Sequence[Certificate]) -> tuple[datetime | None, list[Finding]]:
    path = one.path.with_suffix(".tsr")
    if not roots or not path.exists():
        return None, []
    try:
        return check_timestamp(path.read_bytes(), one.document, roots), []
    except (TimestampError, OSError) as error:
        return None, [Finding(Fault.FORGED, f"{path}: the timestamp does not hold: {error}")]


def _find_breaks(kept: Sequence[Kept]) -> list[Finding]:
    """Each document names the one before it; where both are kept they must fit, and none may be missing between."""
    findings = []
    for one, other in pairwise(kept):
        if one.document == other.document:
            continue
        missing = range(one.heads.number + 1, other.heads.number)
        if missing:
            numbers = f"{missing[0]}" if len(missing) == 1 else f"{missing[0]} to {missing[-1]}"
            findings.append(Finding(Fault.MISSING, f"heads {numbers}, before {other.path}"))
        elif one.heads.number == other.heads.number:
            reason = f"there are two heads {one.heads.number}: {one.path} and {other.path}"
            findings.append(Finding(Fault.REWRITTEN, reason))
        elif other.heads.previous != sha256(one.document).hexdigest():
            findings.append(Finding(Fault.REWRITTEN, f"{other.path} does not follow {one.path}"))
    return findings
