"""Errors, named by who is at fault."""

from __future__ import annotations


class ColdchainError(Exception):
    """Any error that the product raises on purpose."""


class InputError(ColdchainError):
    """A person's or a program's input is wrong.

    `field` is the path of the field at fault ("items[2].use_before"), `reason` says what is wrong and,
    where there is one, the way out. `where` names the file (and line) if the input came from one.
    """

    def __init__(self, field: str, reason: str, *, where: str = "") -> None:
        self.field = field
        self.reason = reason
        self.where = where
        super().__init__(": ".join(part for part in (where, field, reason) if part))


class SegmentError(ColdchainError):
    """Bytes that claim to be a segment are not a valid one. `code` is stable, for counting."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code}: {reason}")


class ContentError(SegmentError):
    """The segment is authentic, but its content cannot be decoded."""


class EnvelopeError(ColdchainError):
    """A signed message from the hub is malformed, of another kind, or not signed by the pinned key."""


class ForgottenError(ColdchainError):
    """What was kept of earlier readings does not suffice; all of them are needed again."""
