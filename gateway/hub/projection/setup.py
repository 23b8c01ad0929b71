"""Buckets and retention, by the documented v2 interface. What a server does not know is said, and the rest goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import httpx
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.bucket import Bucket
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from gateway.core.errors import ColdchainError
from gateway.hub.projection.history import HistoryError, query
from gateway.hub.projection.points import LONG_MEASUREMENTS, MEASUREMENTS
from gateway.hub.projection.writing import is_missing, open_client, read_answer
from gateway.hub.settings import InfluxSettings

DAY_S = 86_400
_UNKNOWN = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
_END = datetime(2262, 1, 1, tzinfo=UTC)
"""InfluxDB counts nanoseconds in 64 bits; they end in this year."""


class SetupError(ColdchainError):
    """The server cannot be reached, or refuses: the token or the organisation, for example."""


def set_up(settings: InfluxSettings) -> Iterator[str]:
    """Make buckets and set their retention; yield a line on each thing done or not possible. Raises SetupError."""
    with open_client(settings) as client:
        if not client.ping():
            raise SetupError(f"no InfluxDB answers at {settings.url}")
        yield f"InfluxDB {client.version()} at {settings.url}"
        _check_organisation(client, settings.org)
        for name, days in _buckets(settings):
            yield _set_up_bucket(client, settings, name, days)
    yield from _try_query(settings)


def remove_points(settings: InfluxSettings) -> Iterator[str]:
    """Remove all points of the projection; yield a line on each bucket. Raises SetupError."""
    with open_client(settings) as client:
        for (name, _), measurements in zip(_buckets(settings), (MEASUREMENTS, LONG_MEASUREMENTS), strict=True):
            yield _remove(client, settings, name, measurements)


def _check_organisation(client: InfluxDBClient, name: str) -> None:
    """Raise SetupError where the server has organisations and this is none; what it does not show is taken as right."""
    try:
        organisations: Any = client.organizations_api()  # the client left it untyped
        found = organisations.find_organizations(**({"org": name} if name else {}))
    except ApiException as error:
        if is_missing("organization", error):
            raise SetupError(f"influx.org: the server has no organisation {name!r}") from error
        return
    except HTTPError as error:
        raise SetupError(f"influx.org: {error}") from error
    if found and not name:
        raise SetupError(f"influx.org: is not set; the server has {', '.join(repr(each.name) for each in found)}")


def _buckets(settings: InfluxSettings) -> tuple[tuple[str, int], tuple[str, int]]:
    return (
        (settings.bucket, settings.retention_days),
        (settings.long_bucket_name, settings.long_retention_days),
    )


def _set_up_bucket(client: InfluxDBClient, settings: InfluxSettings, name: str, days: int) -> str:
    kept = f"kept for {days} days" if days else "kept for ever"
    try:
        done = _make_or_change(client, settings, name, days)
    except ApiException as error:
        if error.status not in _UNKNOWN:
            raise SetupError(f"bucket {name}: HTTP {error.status}: {_said(error)}") from error
        return (
            f"bucket {name}: this server has no v2 interface for buckets (HTTP {error.status}); "
            f"create the database {name!r} with its own tool if the first write does not. It is to be {kept}"
        )
    except HTTPError as error:
        raise SetupError(f"bucket {name}: {error}") from error
    return f"bucket {name}: {done} {kept}"


def _make_or_change(client: InfluxDBClient, settings: InfluxSettings, name: str, days: int) -> str:
    expiry: Any = BucketRetentionRules  # the client left its constructor untyped
    rules = [expiry(type="expire", every_seconds=days * DAY_S)] if days else []
    buckets: Any = client.buckets_api()  # the same
    found: Bucket | None = buckets.find_bucket_by_name(name)
    if found is None:
        buckets.create_bucket(bucket_name=name, retention_rules=rules, org=settings.org)
        return "made,"
    if sum(rule.every_seconds for rule in found.retention_rules or []) == days * DAY_S:
        return "there already,"
    found.retention_rules = rules
    buckets.update_bucket(found)
    return "there already, now"


def _remove(client: InfluxDBClient, settings: InfluxSettings, name: str, measurements: tuple[str, ...]) -> str:
    begin = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        for measurement in measurements:
            client.delete_api().delete(begin, _END, f'_measurement="{measurement}"', name, settings.org)
    except ApiException as error:
        if is_missing("bucket", error):
            raise SetupError(f"bucket {name}: is not there; `coldchain hub init` makes it") from error
        if error.status not in _UNKNOWN or is_missing("organization", error):
            raise SetupError(f"bucket {name}: HTTP {error.status}: {_said(error)}") from error
        return (
            f"bucket {name}: this server has no v2 interface for deleting (HTTP {error.status}); what is there stays, "
            "and every point of the archive is written over it"
        )
    except HTTPError as error:
        raise SetupError(f"bucket {name}: {error}") from error
    return f"bucket {name}: emptied of {', '.join(measurements)}"


def _try_query(settings: InfluxSettings) -> Iterator[str]:
    """Say whether dashboards and the explorer will be able to read."""
    token = settings.token.get_secret_value()
    headers = {"Authorization": f"Token {token}"} if token else {}
    with httpx.Client(base_url=settings.url, headers=headers, timeout=settings.timeout_s) as client:
        for name, _ in _buckets(settings):
            try:
                query(client, name, 'SELECT "readings" FROM "reading_hour" LIMIT 1')
                yield f"bucket {name}: answers InfluxQL"
            except HistoryError as error:
                yield f"bucket {name}: does not answer InfluxQL yet, dashboards will stay empty: {error}"


def _said(error: ApiException) -> str:
    return " ".join(read_answer(error).split())[:300]
