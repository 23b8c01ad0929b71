"""The hub's settings: a TOML file and the environment."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from gateway.clock import ClockSettings
from gateway.core.configuration import Code, CodeRule
from gateway.core.errors import InputError
from gateway.hub.access.identities import Identity, make_identity
from gateway.hub.access.oidc_settings import OidcSettings, is_safe
from gateway.hub.access.roles import Role
from gateway.language import Language
from gateway.mqtt import MqttSettings
from gateway.settings import Settings

EMBEDDED = "embedded"
Days = Annotated[int, Field(ge=0, le=36_500)]


class HttpSettings(BaseModel):
    """Where pages and API are served; port 0 chooses a free one.

    public_url  what people's browsers call it, behind a proxy that speaks TLS: "https://coldchain.hospital.example"
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    public_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^/\s]+)?$")] = ""

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it over TLS."""
        return self.public_url.startswith("https://")

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine reach it."""
        return self.host == "localhost" or (_is_address(self.host) and ip_address(self.host).is_loopback)


class AccessSettings(BaseModel):
    """Who gets in without a password.

    anonymous  roles of whoever reaches a hub that listens on this machine alone; for demonstrations and development
    oidc       the hospital's single sign-on
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    anonymous: frozenset[Role] = frozenset()
    oidc: OidcSettings | None = None

    def identity_of(self, subject: str) -> Identity:
        """Return the identity that the provider's subject stands for; raises InputError naming `subject`."""
        if self.oidc is None:
            raise InputError("subject", "the hub has no single sign-on: access.oidc is not set")
        return make_identity(self.oidc.issuer, subject)


class InfluxSettings(BaseModel):
    """An InfluxDB 2.x or 3 that receives the readings. Without `url` there is no projection.

    bucket               everything, for `retention_days` (0: for ever; the server must be told by `hub init`)
    long_bucket          an hour a point, for `long_retention_days`; "" is the bucket's name with "_long"
    timeout_s            a write of 5,000 points takes milliseconds; a server that compacts may take seconds
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, StringConstraints(pattern=r"^(https?://\S+)?$")] = ""
    token: SecretStr = SecretStr("")
    org: str = ""
    bucket: str = "coldchain"
    long_bucket: str = ""
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    long_retention_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.url and not self.bucket:
            raise ValueError("url needs a bucket")
        if self.url and self.long_bucket_name == self.bucket:
            raise ValueError("long_bucket and bucket are one: they are kept for different times")
        return self

    @property
    def long_bucket_name(self) -> str:
        """The bucket of the long history."""
        return self.long_bucket or f"{self.bucket}_long"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class MailServerSettings(BaseModel):
    """How the hub sends mail.

    security  "starttls", "tls" (from the first byte), or "none", for a server of this machine
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: SecretStr = SecretStr("")
    ca_file: Path | None = None
    sender: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")]


class MailSettings(MailServerSettings):
    """A mail server, and who gets the mail."""

    to: Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")], ...], Field(min_length=1)]


class NotificationSettings(BaseModel):
    """How alerts leave.

    private  hosts (names or addresses) that may be reached although they are private: an SMS gateway in the house.
             Everything else on a private, loopback or link-local address is refused
    mail     the server for channels "mailto:…"; it is reached wherever it is
    zone     in which policies' hours are meant
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    private: Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^\S{1,253}$")], ...], Field(max_length=20)] = ()
    mail: MailServerSettings | None = None
    zone: str = "Europe/Oslo"

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("no time zone of that name") from error
        return name


class HeadsSettings(BaseModel):
    """Where the signed heads of all chains go each day: best to several places that the administrator cannot change.

    folder         a mounted share, better one that lets nobody change a file; without it data_dir/heads
    webhook        an address to which each file is posted, with `webhook_token` as its bearer token
    mail           a mailbox
    timestamp_url  a time-stamping authority (RFC 3161), whose answer goes where the heads go
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path | None = None
    webhook: Annotated[str, StringConstraints(pattern=r"^(https?://\S+)?$")] = ""
    webhook_token: SecretStr = SecretStr("")
    mail: MailSettings | None = None
    timestamp_url: Annotated[str, StringConstraints(pattern=r"^(https?://\S+)?$")] = ""


class RetentionSettings(BaseModel):
    """For how many days what is kept; 0: for ever. See docs/retention.md for where the figures come from.

    readings    what gateways sealed, from its receipt; imported: recordings, from their import
    cases       consignments with their verdicts, breaches, reviews and decisions, from the receipt
    audit       who did what
    custody     what was told at vehicles; stops: where vehicles stood
    inbox       breaches of unregistered boxes that are settled
    messages    what left, and alerts that are no breach's
    access      sessions, tokens and codes after their end
    quarantine  what could not be processed, from when it came last
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    readings_days: Days = 1830
    imported_days: Days = 1830
    cases_days: Days = 1830
    audit_days: Days = 3650
    custody_days: Days = 1830
    stops_days: Days = 90
    inbox_days: Days = 1830
    messages_days: Days = 365
    access_days: Days = 90
    quarantine_days: Days = 365


def _name_choices(value: object) -> object:
    if isinstance(value, str) and value != EMBEDDED:
        raise ValueError(f'{value!r} is neither "{EMBEDDED}" nor a table with a url')
    return value


class HubSettings(Settings):
    """All of the hub's settings.

    data_dir       keys, and the database unless `database` names another
    database       SQLAlchemy URL; "" is a SQLite file in data_dir
    broker         "embedded", or how to reach a broker
    broker_port    of the embedded broker; 0 chooses a free one
    language       of pages and messages, where nobody has chosen one and no browser asks for one
    code_rules     what codes are that nobody registered beforehand, by how they begin: for registration at a vehicle
    badges         what the codes of badges begin with
    judges_apart   `hub run` and `hub watch` judge in a process of their own: more readings a second, and 130 MiB more
    demonstration  count example profiles as approved, and say so on every page
    """

    data_dir: Path
    clock: ClockSettings = ClockSettings()
    database: str = ""
    broker: Annotated[Literal["embedded"] | MqttSettings, BeforeValidator(_name_choices)] = "embedded"
    broker_port: Annotated[int, Field(ge=0, le=65535)] = 0
    http: HttpSettings = HttpSettings()
    access: AccessSettings = AccessSettings()
    influx: InfluxSettings = InfluxSettings()
    heads: HeadsSettings = HeadsSettings()
    notification: NotificationSettings = NotificationSettings()
    retention: RetentionSettings = RetentionSettings()
    language: Language = Language.NB
    code_rules: Annotated[tuple[CodeRule, ...], Field(max_length=200)] = ()
    badges: Annotated[tuple[Code, ...], Field(max_length=20)] = ("BADGE-",)
    judges_apart: bool = False
    demonstration: bool = False

    @model_validator(mode="after")
    def _is_closed(self) -> Self:
        if self.access.anonymous and (not self.http.is_loopback or self.http.public_url):
            raise ValueError("access.anonymous is only for a hub that serves this machine alone: http.host is not it")
        if self.access.oidc is not None and not is_safe(self.http.public_url):
            raise ValueError("access.oidc needs http.public_url, with https: the provider sends people back there")
        return self

    @property
    def database_url(self) -> str:
        """The URL of the database in use."""
        return self.database or f"sqlite:///{self.data_dir / 'hub.sqlite3'}"

    @property
    def key_file(self) -> Path:
        """Where the hub's signing key is."""
        return self.data_dir / "hub.key"
