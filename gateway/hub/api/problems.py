"""Errors as RFC 9457 problem details: one shape, naming the field at fault."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import InterfaceError, OperationalError

from gateway.core.errors import InputError
from gateway.core.profiles import MisplacedError
from gateway.hub.breaches.lifecycle import NotNowError
from gateway.hub.registry.faults import FaultsError
from gateway.hub.review.alerts import UnknownAlertError
from gateway.hub.review.competence import NotYoursError
from gateway.hub.review.decisions import UnknownItemError
from gateway.hub.review.desk import UnknownBreachError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
FAULTS_SHOWN = 20


class Fault(BaseModel):
    """One field and what is wrong with it."""

    field: str
    reason: str


class Problem(BaseModel):
    """What went wrong. `field` and `errors` are there when the request's content was at fault."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "about:blank",
                "title": "Unprocessable Content",
                "status": 422,
                "detail": "use_before: input should have timezone info",
                "field": "items[0].use_before",
                "errors": [{"field": "items[0].use_before", "reason": "input should have timezone info"}],
            }
        }
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    field: str | None = None
    errors: list[Fault] = []


SAID: dict[int, str] = {
    401: "Nobody has logged in, or the token is missing or not valid.",
    403: "Whoever asks may not do that.",
    404: "There is nothing of that code.",
    408: "The body did not arrive in time.",
    409: "It contradicts what is stored.",
    413: "The body is too large.",
    415: "The body is not of a type that is read here.",
    422: "The content is not valid; field and reason are named.",
    429: "Too many requests; Retry-After says when to ask again.",
    502: "A system behind this one did not answer as it should.",
    503: "The hub's database does not answer; Retry-After says when to ask again.",
}
RETRY_AFTER_S = 5
"""After which a request that found no database is worth another try: PostgreSQL restarts within seconds."""


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that may answer with these problems.

    Only what its own rules lead to (404, 409, 429 …) has to be named: what follows from its shape, 401 and 403 of one
    that asks who calls, 413, 415 and 422 of one with a body, is added to every operation by `description`.
    """
    schema = {"$ref": "#/components/schemas/Problem"}
    return {status: {"description": SAID[status], "content": {MEDIA_TYPE: {"schema": schema}}} for status in statuses}


def problem(
    status: int,
    detail: str = "",
    *,
    faults: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return a problem response."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        field=faults[0].field if faults else None,
        errors=list(faults),
    )
    content = body.model_dump(exclude_defaults=False, exclude_none=True)
    return JSONResponse(content, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def input_problem(error: InputError) -> JSONResponse:
    """Return the problem of an input that is wrong."""
    return problem(422, f"{error.field}: {error.reason}", faults=[Fault(field=error.field, reason=error.reason)])


def install_problems(app: FastAPI) -> None:
    """Have every error in what was sent answered as a problem."""

    @app.exception_handler(FaultsError)
    async def _faults(_request: Request, error: FaultsError) -> JSONResponse:
        faults = [Fault(field=fault.field, reason=fault.reason) for fault in error.faults]
        return problem(422, f"{error.field}: {error.reason}", faults=faults)

    @app.exception_handler(InputError)
    async def _input(_request: Request, error: InputError) -> JSONResponse:
        return input_problem(error)

    @app.exception_handler(UnknownAlertError)
    @app.exception_handler(UnknownBreachError)
    @app.exception_handler(UnknownItemError)
    async def _unknown(_request: Request, error: InputError) -> JSONResponse:
        return problem(404, error.reason)

    @app.exception_handler(NotNowError)
    async def _not_now(_request: Request, error: NotNowError) -> JSONResponse:
        return problem(409, str(error))

    @app.exception_handler(NotYoursError)
    async def _not_yours(_request: Request, error: NotYoursError) -> JSONResponse:
        return problem(403, str(error))

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [_to_fault(fault) for fault in error.errors()[:FAULTS_SHOWN]]
        given = request.headers.get("content-type", "")
        if faults[0].field == "body" and not is_json(given) and isinstance(error.body, bytes):
            return problem(415, "send JSON, as application/json", headers={"Accept": "application/json"})
        return problem(422, f"{faults[0].field}: {faults[0].reason}", faults=faults)

    @app.exception_handler(InterfaceError)
    @app.exception_handler(OperationalError)
    async def _no_store(_request: Request, error: InterfaceError | OperationalError) -> JSONResponse:
        log.error("the database does not answer: %s", error.orig)
        return problem(503, "the hub's database does not answer", headers={"Retry-After": str(RETRY_AFTER_S)})

    @app.exception_handler(Exception)
    async def _fault(_request: Request, _error: Exception) -> JSONResponse:
        """Answer in the shape of every other error; the server logs what it was, nobody else learns of it."""
        return problem(500, "the hub has a fault; its log says more")


def is_json(content_type: str) -> bool:
    """Say whether a Content-Type is JSON, or something written in it."""
    kind, _, subtype = content_type.partition(";")[0].strip().lower().partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


def _to_fault(fault: Mapping[str, Any]) -> Fault:
    """Translate pydantic's fault; what was given is not repeated, it may be what must not be kept."""
    reason = str(fault["msg"]).removeprefix("Value error, ")
    cause = fault.get("ctx", {}).get("error")
    below = cause.path if isinstance(cause, MisplacedError) else ()
    return Fault(field=_path((*fault["loc"], *below)), reason=reason[:1].lower() + reason[1:])


def _path(location: Sequence[str | int]) -> str:
    parts = list(location)
    if len(parts) > 1 and parts[0] in {"body", "query", "path", "header"}:
        parts = parts[1:]
    written = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return written.removeprefix(".") or "body"
