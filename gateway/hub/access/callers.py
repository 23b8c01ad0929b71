"""Who asks, whichever way they showed who they are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.hub.access.roles import Right, Role, rights_of


class Way(StrEnum):
    """How a caller is known."""

    SESSION = "session"
    TOKEN = "token"  # noqa: S105  a word, not a secret
    HUB = "hub"  # the token in the hub's own folder
    NOBODY = "nobody"  # the settings let everyone on this machine in


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks. `name` is what the audit trail says; `csrf` is what a session's forms carry."""

    name: str
    roles: frozenset[Role]
    rights: frozenset[Right]
    way: Way
    printed_name: str = ""
    csrf: str = ""

    def may(self, right: Right) -> bool:
        """Whether an operation that asks for this right is open."""
        return right in self.rights


def make_caller(name: str, roles: frozenset[Role], way: Way, *, printed_name: str = "", csrf: str = "") -> Caller:
    """Return a caller with all that their roles allow."""
    return Caller(name, roles, rights_of(roles), way, printed_name or name, csrf)
