"""Whose matter a breach or an item is. The roles' rights say who may act at all; this says on what."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from sqlalchemy import Connection

from gateway.core.errors import ColdchainError
from gateway.core.profiles import Kind
from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right, Role
from gateway.hub.database.rows import read_profile, read_registered

_ALWAYS = frozenset({Role.QUALITY})
ACKNOWLEDGERS: dict[Kind, frozenset[Role]] = {
    Kind.SAMPLE: _ALWAYS | {Role.NURSE, Role.RECEIVER, Role.LABORATORY_DOCTOR},
    Kind.MEDICINE: _ALWAYS | {Role.PHARMACIST},
    Kind.STORAGE: _ALWAYS | {Role.RECEIVER, Role.LABORATORY_DOCTOR, Role.PHARMACIST},
}
"""Who may acknowledge a breach of what. An unqualified acknowledgement would hide it from those who must act."""


APPROVERS: dict[Kind, tuple[Role, ...]] = {
    Kind.SAMPLE: (Role.LABORATORY_DOCTOR,),
    Kind.MEDICINE: (Role.PHARMACIST,),
    Kind.STORAGE: (Role.LABORATORY_DOCTOR, Role.PHARMACIST),
}
"""Who answers for a profile of what: `gateway.core.profiles` refuses anything else."""


class NotYoursError(ColdchainError):
    """Somebody may act, but not on this."""


def kind_of(connection: Connection, consignment: str, item: str, profile: str) -> Kind | None:
    """Return what an item is: as registered, else by the profile that judged it; None if neither is known."""
    known = read_registered(connection, consignment)
    found = next((one.kind for one in known.consignment.items if one.code == item), None) if known else None
    if found is not None:
        return found
    stated = read_profile(connection, profile)
    return None if stated is None else stated.kind


def may_acknowledge(roles: AbstractSet[Role], kind: Kind | None) -> bool:
    """Say whether any of the roles takes care of such items; where the kind is unknown, everybody does."""
    return kind is None or bool(ACKNOWLEDGERS[kind] & roles)


def check_acknowledger(caller: Caller, kind: Kind | None) -> None:
    """Raise NotYoursError unless somebody takes care of such items."""
    if kind is not None and not may_acknowledge(caller.roles, kind):
        who = ", ".join(role.replace("_", " ") for role in Role if role in ACKNOWLEDGERS[kind])
        raise NotYoursError(f"a breach of a {kind} is acknowledged by: {who}")


def check_decider(caller: Caller, kind: Kind) -> None:
    """Raise NotYoursError unless somebody may decide what becomes of such an item."""
    if kind is Kind.MEDICINE and not caller.may(Right.DECIDE_MEDICINES):
        raise NotYoursError("only a pharmacist decides about a medicine")
    if kind is Kind.SAMPLE and not caller.roles & _SAMPLE_DECIDERS:
        raise NotYoursError("about a sample decide: receiver, laboratory doctor")


def approver_of(caller: Caller, kind: Kind) -> Role | None:
    """Return the role in which somebody may approve such profiles, None if in none."""
    if not caller.may(Right.APPROVE_PROFILES):
        return None
    return next((role for role in APPROVERS[kind] if role in caller.roles), None)


def check_approver(caller: Caller, kind: Kind) -> None:
    """Raise NotYoursError unless somebody may approve such profiles."""
    if approver_of(caller, kind) is None:
        who = ", ".join(role.replace("_", " ") for role in APPROVERS[kind])
        raise NotYoursError(f"a profile of a {kind} is approved by: {who}")


_SAMPLE_DECIDERS = frozenset({Role.RECEIVER, Role.LABORATORY_DOCTOR})
