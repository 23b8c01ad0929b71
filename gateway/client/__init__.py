"""A typed client of the hub's HTTP interface, for vehicles, commands, and programs of others.

`calls` says what can be asked, as values; `HubClient` and `AsyncHubClient` ask it; `errors` is what can come of it.
"""

from gateway.client.asking import AsyncHubClient, HubClient
from gateway.client.calls import Call
from gateway.client.errors import (
    BusyError,
    ConflictError,
    ForbiddenError,
    HubError,
    NoHubError,
    NotFoundError,
    NotKnownError,
    NotValidError,
    ProblemError,
    UnreachableError,
)

__all__ = [
    "AsyncHubClient",
    "BusyError",
    "Call",
    "ConflictError",
    "ForbiddenError",
    "HubClient",
    "HubError",
    "NoHubError",
    "NotFoundError",
    "NotKnownError",
    "NotValidError",
    "ProblemError",
    "UnreachableError",
]
