"""Errors as RFC 9457 problem details: one shape, naming the field at fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from gateway.core.errors import InputError
from gateway.hub.manifests.importing import ManifestError, where_of
from gateway.hub.review.alerts import UnknownAlertError
from gateway.hub.review.competence import NotYoursError
from gateway.hub.review.decisions import UnknownItemError
from gateway.hub.review.desk import UnknownBreachError
from gateway.hub.review.lifecycle import NotNowError
from gateway.language import ENGLISH

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


_SAID: dict[int, str] = {
    401: "Nobody has logged in, or the token is missing or not valid.",
    403: "Whoever asks may not do that.",
    404: "There is nothing of that code.",
    409: "It contradicts what is stored.",
    413: "The body is too large.",
    429: "Too many requests; Retry-After says when to ask again.",
    422: "The content is not valid; field and reason are named.",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that may answer with these problems."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _SAID[status], "model": Problem, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


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


def install_problems(app: FastAPI) -> None:
    """Have every error in what was sent answered as a problem."""

    @app.exception_handler(ManifestError)
    async def _manifest(_request: Request, error: ManifestError) -> JSONResponse:
        faults = [Fault(field=where_of(fault), reason=fault.say(ENGLISH)) for fault in error.faults]
        return problem(422, f"{error.field}: {error.reason}", faults=faults)

    @app.exception_handler(InputError)
    async def _input(_request: Request, error: InputError) -> JSONResponse:
        return problem(422, f"{error.field}: {error.reason}", faults=[Fault(field=error.field, reason=error.reason)])

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
    async def _validation(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [_to_fault(fault) for fault in error.errors()[:FAULTS_SHOWN]]
        return problem(422, f"{faults[0].field}: {faults[0].reason}", faults=faults)


def _to_fault(fault: Mapping[str, Any]) -> Fault:
    """Translate pydantic's fault; what was given is not repeated, it may be what must not be kept."""
    reason = str(fault["msg"]).removeprefix("Value error, ")
    return Fault(field=_path(fault["loc"]), reason=reason[:1].lower() + reason[1:])


def _path(location: Sequence[str | int]) -> str:
    parts = list(location)
    if len(parts) > 1 and parts[0] in {"body", "query", "path", "header"}:
        parts = parts[1:]
    written = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return written.removeprefix(".") or "body"
