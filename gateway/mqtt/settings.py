"""How to reach the broker."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from gateway.core.errors import InputError

_PORTS = {"mqtt": 1883, "mqtts": 8883}


class MqttSettings(BaseModel):
    """How to reach the broker: mqtt:// (plain, for loopback and tests) or mqtts:// (TLS)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = "mqtt://127.0.0.1:1883"
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    keepalive_s: Annotated[int, Field(ge=1, le=3600)] = 30
    reconnect_max_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    session_expiry_s: Annotated[int, Field(ge=0, le=0xFFFFFFFF)] = 3 * 86400

    @field_validator("url")
    @classmethod
    def _is_a_broker(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"{url!r} is not mqtt://host[:port] or mqtts://host[:port]")
        if parts.username or parts.password:
            raise ValueError("credentials belong in username and password, not in the url")
        try:
            _ = parts.port
        except ValueError as error:
            raise ValueError(f"{url!r}: {error}") from error
        return url

    @property
    def host(self) -> str:
        """Name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The stated port, else 1883 or 8883."""
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    def tls_context(self) -> ssl.SSLContext | None:
        """A context for mqtts://, None for mqtt://; raises InputError for files that hold no certificate or key."""
        if urlsplit(self.url).scheme != "mqtts":
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise InputError("broker.ca_file", _explain(error), where=str(self.ca_file)) from error
        if self.cert_file is not None:
            try:
                context.load_cert_chain(self.cert_file, self.key_file)
            except OSError as error:
                raise InputError("broker.cert_file", _explain(error), where=str(self.cert_file)) from error
        return context


def _explain(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "holds no certificates in PEM form, or key and certificate do not belong together"
    return error.strerror or str(error)
