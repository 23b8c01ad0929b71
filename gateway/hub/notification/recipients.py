"""Recipients: who can be told, in which language, and how. The addresses of their channels are secrets."""

from __future__ import annotations

from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SecretStr,
    SerializationInfo,
    StringConstraints,
    field_serializer,
    field_validator,
    model_validator,
)

from gateway.core.configuration import Code
from gateway.core.profiles import Identifier, Model
from gateway.hub.notification.hours import Hours
from gateway.language import Language

CHANNELS_MAX = 5
URL_MAX = 2000
SECRET_MIN = 24
"""Characters of a webhook's secret: 128 bits in Base64 have 24."""
MESSAGES_MAX = 5
"""Messages to one channel of a recipient within `WINDOW_MIN`, unless stated otherwise; what is more is gathered."""
WINDOW_MIN = 10
_REVEAL = "reveal_secrets"
_MASK = "**********"


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("no time zone of that name") from error
    return name


class Channel(Model):
    """One way to reach a recipient. Nobody reads `url` and `secret` again; asterisks stand for what is known.

    url     "mailto:ward@hospital.example", "https://…" of a webhook, or what Apprise calls a service
    secret  of a webhook: with it each message is signed
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    id: Identifier
    url: SecretStr | None = None
    secret: SecretStr | None = None

    @field_validator("url", "secret")
    @classmethod
    def _is_stated(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or value.get_secret_value() in {_MASK, ""}:
            return None
        if len(value.get_secret_value()) > URL_MAX:
            raise ValueError(f"has more than {URL_MAX} characters")
        return value

    @model_validator(mode="after")
    def _has_a_long_secret(self) -> Self:
        if self.secret is not None and len(self.secret.get_secret_value()) < SECRET_MIN:
            raise ValueError(f"secret: has fewer than {SECRET_MIN} characters")
        return self

    @field_serializer("url", "secret", when_used="json-unless-none")
    def _write_secret(self, value: SecretStr, info: SerializationInfo) -> str:
        return value.get_secret_value() if info.context == _REVEAL else _MASK


class Recipient(Model):
    """A ward, an on-call telephone, a mailbox, a program: by function, best never a person by name.

    duties    what it answers for: policies name duties ("pharmacy-on-call")
    places    it only hears of consignments from, to or by these; none: of all
    quiet     hours in which what can wait is kept for later
    messages  at most so many in `window_min` minutes to each channel; beyond, one message tells of several alerts
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    name: Code
    duties: Annotated[tuple[Code, ...], Field(max_length=20)] = ()
    places: Annotated[tuple[Code, ...], Field(max_length=100)] = ()
    channels: Annotated[tuple[Channel, ...], Field(max_length=CHANNELS_MAX)] = ()
    language: Language = Language.NB
    zone: Annotated[str, StringConstraints(max_length=64), AfterValidator(_zone)] = "Europe/Oslo"
    quiet: Annotated[tuple[Hours, ...], Field(max_length=14)] = ()
    messages: Annotated[int, Field(ge=1, le=100)] = MESSAGES_MAX
    window_min: Annotated[int, Field(ge=1, le=120)] = WINDOW_MIN
    enabled: bool = True

    @model_validator(mode="after")
    def _has_distinct_channels(self) -> Self:
        ids = [channel.id for channel in self.channels]
        if len(set(ids)) != len(ids):
            raise ValueError("channels: two have the same id")
        return self

    @property
    def is_reachable(self) -> bool:
        """Whether anything can be sent to it."""
        return self.enabled and bool(self.channels)

    def channel(self, name: str) -> Channel | None:
        """Return one of its channels."""
        return next((channel for channel in self.channels if channel.id == name), None)


def reveal(recipient: Recipient) -> str:
    """Return the JSON of a recipient with its secrets: for the hub's own store and nobody else."""
    return recipient.model_dump_json(context=_REVEAL)
