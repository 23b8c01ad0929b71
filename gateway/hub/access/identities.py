"""Whom the sign-on names: an identity, which is issuer and subject together, and what it says of the person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.errors import ColdchainError, InputError
from gateway.core.identifiers import refuse_identity_number
from gateway.hub.access.oidc_settings import OidcSettings
from gateway.hub.access.roles import Role

STORED_MAX = 255
GROUPS_MAX = 2000
"""A person in more groups than this is in none that was meant; providers themselves stop at a few hundred."""


class ClaimError(ColdchainError):
    """The provider states something of a person that cannot be used. Says which claim, never its value."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is: the subject alone means nothing, another issuer gives it to somebody else."""

    issuer: str
    subject: str

    @property
    def stored(self) -> str:
        """As it stands in the database: no issuer has a blank in it."""
        return f"{self.issuer} {self.subject}"


@dataclass(frozen=True, slots=True)
class Person:
    """What a provider has stated of somebody who has just shown who they are.

    name           an account made now would be called that, "" if nothing was stated
    roles          of the groups, None where roles are the administrator's business
    logged_in_at_s when they did, in Unix seconds of the provider's clock, None if not stated
    issued_at_s    when it was stated, of the same clock
    """

    identity: Identity
    name: str
    printed_name: str
    roles: frozenset[Role] | None
    logged_in_at_s: float | None
    issued_at_s: float


def make_identity(issuer: str, subject: str) -> Identity:
    """Return an identity that can be stored; raises InputError naming `subject`."""
    identity = Identity(issuer, subject)
    if not subject or not subject.isprintable() or subject != subject.strip() or len(identity.stored) > STORED_MAX:
        room = STORED_MAX - len(issuer) - 1
        raise InputError("subject", f"1 to {room} printable characters, no blanks at its ends")
    refuse_identity_number("subject", subject)
    return identity


def split_identity(stored: str | None) -> Identity | None:
    """Return what was stored."""
    if stored is None:
        return None
    issuer, blank, subject = stored.partition(" ")
    return Identity(issuer, subject) if blank else Identity("", stored)


def to_person(claims: Mapping[str, Any], settings: OidcSettings) -> Person:
    """Translate an ID token's claims, which have been checked; raises ClaimError."""
    subject = claims.get(settings.account_claim)
    if not isinstance(subject, str):
        raise ClaimError(f"{settings.account_claim} is missing")
    try:
        identity = make_identity(settings.issuer, subject)
    except InputError as error:
        raise ClaimError(f"{settings.account_claim}: {error.reason}") from error
    logged_in_at_s = claims.get("auth_time")
    return Person(
        identity=identity,
        name=_text(claims, settings.username_claim),
        printed_name=_text(claims, settings.name_claim),
        roles=_roles(claims.get(settings.groups_claim), settings) if settings.groups_claim else None,
        logged_in_at_s=logged_in_at_s if _is_number(logged_in_at_s) else None,
        issued_at_s=claims["iat"],
    )


def _roles(groups: object, settings: OidcSettings) -> frozenset[Role]:
    named = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
    found = (settings.roles.get(group) for group in named[:GROUPS_MAX] if isinstance(group, str))
    return frozenset[Role]().union(*(roles for roles in found if roles is not None))


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name) if name else None
    return value.strip() if isinstance(value, str) else ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
