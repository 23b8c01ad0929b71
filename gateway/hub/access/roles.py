"""Roles of people, and what each of them may do. The one place where the two meet."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Role(StrEnum):
    """What somebody is to the transports. A person may have several."""

    NURSE = "nurse"
    DRIVER = "driver"
    RECEIVER = "receiver"
    LABORATORY_DOCTOR = "laboratory_doctor"
    PHARMACIST = "pharmacist"
    QUALITY = "quality"
    ADMINISTRATOR = "administrator"
    INSPECTOR = "inspector"


class Right(StrEnum):
    """What an operation asks for."""

    LOOK_UP = "look_up"
    LIST = "list"
    REGISTER = "register"
    RECEIVE = "receive"
    READ_BOXES = "read_boxes"
    READ_PROFILES = "read_profiles"
    READ_BREACHES = "read_breaches"
    READ_FLEET = "read_fleet"
    CONFIGURE = "configure"
    WRITE_PROFILES = "write_profiles"
    APPROVE_PROFILES = "approve_profiles"
    MANAGE_USERS = "manage_users"
    ACKNOWLEDGE = "acknowledge"
    ACKNOWLEDGE_ALERTS = "acknowledge_alerts"
    REVIEW = "review"
    SIGN = "sign"
    DECIDE = "decide"
    DECIDE_MEDICINES = "decide_medicines"
    EDIT_CHOICES = "edit_choices"
    READ_AUDIT = "read_audit"


EXPLAINED: dict[Right, str] = {
    Right.LOOK_UP: "see a consignment whose code is known, its verdicts, readings and breaches, and live events",
    Right.LIST: "list consignments",
    Right.REGISTER: "register consignments, and new versions of them",
    Right.RECEIVE: "note that a consignment has arrived",
    Right.READ_BOXES: "list boxes",
    Right.READ_PROFILES: "read profiles",
    Right.READ_BREACHES: "list breaches and alerts",
    Right.READ_FLEET: "see gateways, loggers, and the state of the hub",
    Right.CONFIGURE: "change boxes, loggers and gateways",
    Right.WRITE_PROFILES: "register versions of profiles",
    Right.APPROVE_PROFILES: "approve profiles of what the role answers for",
    Right.MANAGE_USERS: "make, change and disable accounts",
    Right.ACKNOWLEDGE: "acknowledge breaches of what the role takes care of, and comment on them",
    Right.ACKNOWLEDGE_ALERTS: "acknowledge alerts that are no breach's: a silent vehicle, a log in two versions",
    Right.REVIEW: "investigate breaches: assign, find cause and corrective action, close",
    Right.SIGN: "sign closed breaches",
    Right.DECIDE: "decide what becomes of an item: receive, hold, reject",
    Right.DECIDE_MEDICINES: "decide that of a medicine",
    Right.EDIT_CHOICES: "edit the lists of causes, actions and reasons",
    Right.READ_AUDIT: "read and export the audit trail",
}

_READS = frozenset(
    {
        Right.LOOK_UP,
        Right.LIST,
        Right.READ_BOXES,
        Right.READ_PROFILES,
        Right.READ_BREACHES,
        Right.READ_FLEET,
    }
)
_BENCH = _READS - {Right.READ_FLEET} | {Right.REGISTER, Right.RECEIVE}

_ACKNOWLEDGES = frozenset({Right.ACKNOWLEDGE, Right.ACKNOWLEDGE_ALERTS})
_EXPERT = (
    _BENCH | _ACKNOWLEDGES | {Right.WRITE_PROFILES, Right.APPROVE_PROFILES, Right.REVIEW, Right.SIGN, Right.DECIDE}
)

RIGHTS: dict[Role, frozenset[Right]] = {
    Role.NURSE: frozenset({Right.LOOK_UP, Right.REGISTER, Right.READ_BOXES, Right.READ_PROFILES}) | _ACKNOWLEDGES,
    Role.DRIVER: frozenset({Right.READ_BOXES}),
    Role.RECEIVER: _BENCH | _ACKNOWLEDGES | {Right.DECIDE},
    Role.LABORATORY_DOCTOR: _EXPERT,
    Role.PHARMACIST: _EXPERT | {Right.DECIDE_MEDICINES},
    Role.QUALITY: _READS
    | _ACKNOWLEDGES
    | {
        Right.WRITE_PROFILES,
        Right.REVIEW,
        Right.SIGN,
        Right.EDIT_CHOICES,
        Right.READ_AUDIT,
    },
    Role.ADMINISTRATOR: _READS
    | {Right.REGISTER, Right.RECEIVE, Right.CONFIGURE, Right.WRITE_PROFILES, Right.MANAGE_USERS}
    | {Right.EDIT_CHOICES, Right.READ_AUDIT, Right.ACKNOWLEDGE_ALERTS},
    Role.INSPECTOR: _READS | {Right.READ_AUDIT},
}


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """Return what these roles may do together."""
    return frozenset[Right]().union(*(RIGHTS[role] for role in roles))


def roles_with(right: Right) -> tuple[Role, ...]:
    """Return who has a right, in the order of the roles."""
    return tuple(role for role in Role if right in RIGHTS[role])
