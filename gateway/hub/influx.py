"""Writing joined lines to InfluxDB 2.x or 3 through its v2 write API, and what its answers mean.

Synchronous writes: the batching WriteApi of the client drops what it cannot deliver and tells nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from gateway.core.errors import ColdchainError
from gateway.hub.settings import InfluxSettings

TIMEOUT_MS = 30_000
"""A write of 5,000 points takes milliseconds; a server that compacts may take seconds."""

_MILLISECONDS: Any = WritePrecision.MS  # annotated as an instance of its class, in truth a text
_CONTENT = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}


class Fault(Enum):
    """Who is at fault when a write is refused."""

    CONTENT = auto()
    """Some of the lines: without them the rest can be written."""
    SERVER = auto()
    """The server, the way to it, or its settings: the same lines can be written later."""


class InfluxError(ColdchainError):
    """A write was not confirmed. `retry_after_s` is what the server asked for, 0 if nothing."""

    def __init__(self, fault: Fault, reason: str, retry_after_s: float = 0.0) -> None:
        self.fault = fault
        self.reason = reason
        self.retry_after_s = retry_after_s
        super().__init__(reason)


class InfluxWriter:
    """Writes lines to one bucket. Blocking."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._bucket = settings.bucket
        self._client = InfluxDBClient(
            url=settings.url,
            token=settings.token.get_secret_value(),
            org=settings.org,
            timeout=TIMEOUT_MS,
            enable_gzip=True,
        )
        self._api = self._client.write_api(write_options=SYNCHRONOUS)

    def write(self, lines: Sequence[str]) -> None:
        """Write lines with timestamps in milliseconds; raises InfluxError unless the server confirms them."""
        try:
            self._api.write(bucket=self._bucket, record="\n".join(lines), write_precision=_MILLISECONDS)
        except ApiException as error:
            raise _translate(error) from error
        except HTTPError as error:
            raise InfluxError(Fault.SERVER, f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._api.close()  # type: ignore[no-untyped-call]  # the client left it untyped
        self._client.close()  # type: ignore[no-untyped-call]  # the same


def _translate(error: ApiException) -> InfluxError:
    fault = Fault.CONTENT if error.status in _CONTENT else Fault.SERVER
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    asked = headers.get("Retry-After", "")
    retry_after_s = float(asked) if asked.isdecimal() else 0.0
    said = " ".join(str(error.body or error.reason or "").split())[:500]
    return InfluxError(fault, f"HTTP {error.status}: {said}", retry_after_s)
