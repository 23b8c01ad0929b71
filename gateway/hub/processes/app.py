"""The hub's HTTP interface, `/api/v1`, and its pages, in one application."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from gateway.hub.api import (
    accounts,
    alerts,
    audit,
    breaches,
    consignments,
    decisions,
    enrolments,
    hand_ins,
    live,
    manifests,
    notification,
    registry,
    reports,
    reviews,
)
from gateway.hub.api.description import DescribedInterface
from gateway.hub.api.limits import BodyLimit
from gateway.hub.api.problems import documented, install_problems
from gateway.hub.api.rates import Rates
from gateway.hub.rooms import Rooms
from gateway.hub.web.errors import install_error_pages
from gateway.hub.web.pages import include_pages, install_pages

_DESCRIPTION = """
The hub of the Coldchain Gateway: it archives what gateways replicate, judges consignments, and raises alerts.

Moments named `…_ms` are UTC in milliseconds; others are ISO 8601 with their offset. Temperatures are °C.
Errors are RFC 9457 problem details that name the field. **Accept means that the transport requirements were met;
it releases nothing.**
"""


def create_app(rooms: Rooms) -> FastAPI:
    """Return the application that serves these rooms."""
    app = DescribedInterface(
        title="Coldchain Gateway",
        version=version("coldchain-gateway"),
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.rooms = rooms
    app.state.flag_rates = Rates(breaches.FLAGS_AT_ONCE, breaches.FLAG_EACH_S, time.monotonic)
    app.router.routes += _routes()
    app.add_middleware(BodyLimit)  # within what install_pages adds: its refusals carry the security headers too
    install_pages(app)
    install_problems(app)
    install_error_pages(app)
    return app


@cache
def _routes() -> Sequence[BaseRoute]:
    """Return the routes. They are the same for all rooms, and working them out costs a second: once per process."""
    interface = APIRouter(responses=documented(422))
    for part in (
        consignments,
        manifests,
        reports,
        breaches,
        alerts,
        reviews,
        decisions,
        hand_ins,
        live,
        registry,
        enrolments,
        accounts,
        audit,
        notification,
    ):
        interface.include_router(part.router)
    everything = APIRouter()
    # The prefix is said here, not above: without one, every route would be worked out twice.
    everything.include_router(interface, prefix="/api/v1")
    include_pages(everything)
    return everything.routes
