"""Settings of the hospital's single sign-on, OpenID Connect."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator

from gateway.core.errors import InputError
from gateway.hub.access.roles import Role

NUMBERS = frozenset(
    {"pid", "ssn", "fnr", "nin", "national_id", "social_security_number", "noredupersonnin"}
    | {"helseid://claims/identity/pid", "https://n.feide.no/claims/nin"}
)
"""Claims of Norwegian and other providers that hold a national identity number."""
ISSUER_MAX = 120
SECRET_MAX = 4096

Claim = Annotated[str, StringConstraints(pattern=r"^\S{0,120}$")]


class OidcSettings(BaseModel):
    """A provider of identities that people log in with, beside passwords.

    name                what the login page calls it
    issuer              as its discovery document states it, without the path to that document
    client_secret       better in `client_secret_file`, or in the environment; a client without one is public
    account_claim       says who somebody is, for ever: "sub", or Entra's "oid"; never an address or a number of persons
    username_claim      what an account that is made at the first login is called
    name_claim          what its signatures print
    groups_claim        says what somebody belongs to; "" leaves roles to the administrator
    roles               of each group; groups that are not here count for nothing
    creates_accounts    whether somebody with a mapped group gets an account at the first login
    ca_file             certificates to trust instead of the machine's
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]
    issuer: Annotated[str, StringConstraints(max_length=ISSUER_MAX)]
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    client_secret: SecretStr = SecretStr("")
    client_secret_file: Path | None = None
    scopes: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,120}$")], ...],
        Field(max_length=20),
    ] = ("openid", "profile")
    account_claim: Annotated[Claim, Field(min_length=1)] = "sub"
    username_claim: Claim = "preferred_username"
    name_claim: Claim = "name"
    groups_claim: Claim = ""
    roles: Annotated[dict[str, frozenset[Role]], Field(max_length=500)] = {}
    creates_accounts: bool = False
    ca_file: Path | None = None

    @field_validator("issuer")
    @classmethod
    def _is_an_issuer(cls, issuer: str) -> str:
        parts = urlsplit(issuer)
        if not parts.hostname or parts.query or parts.fragment or not issuer.isprintable() or " " in issuer:
            raise ValueError('is not an address such as "https://login.hospital.example/realms/staff"')
        if not is_safe(issuer):
            raise ValueError("begins with https://; only a provider on this very machine may do without")
        return issuer

    @field_validator("account_claim", "username_claim", "name_claim", "groups_claim")
    @classmethod
    def _is_no_number(cls, claim: str) -> str:
        if claim.lower() in NUMBERS:
            raise ValueError("holds national identity numbers, which are not stored here; use sub")
        return claim

    @field_validator("scopes")
    @classmethod
    def _asks_who_it_is(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        return scopes if "openid" in scopes else ("openid", *scopes)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if bool(self.groups_claim) != bool(self.roles):
            raise ValueError("groups_claim and roles belong together: which groups, and what they may do")
        if self.creates_accounts and not self.groups_claim:
            raise ValueError("creates_accounts needs groups_claim and roles: new accounts get theirs from groups")
        if self.client_secret_file is not None and self.client_secret.get_secret_value():
            raise ValueError("client_secret or client_secret_file, not both")
        return self

    def read_secret(self) -> str:
        """Return the client's secret, "" for a public client; raises InputError for a file that cannot be read."""
        if self.client_secret_file is None:
            return self.client_secret.get_secret_value()
        field = "access.oidc.client_secret_file"
        try:
            text = self.client_secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not text"
            raise InputError(field, str(reason)) from error
        if not 0 < len(text) <= SECRET_MAX:
            raise InputError(field, f"1 to {SECRET_MAX} characters")
        return text


def is_safe(url: str) -> bool:
    """Whether nobody between can listen: TLS, or a server of this machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname or ""))
    )


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
