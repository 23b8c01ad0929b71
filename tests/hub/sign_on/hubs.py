"""A hub that leads its logins to a provider of identities, and one browser before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from sqlalchemy import select

from gateway.hub.access.accounts import Account
from gateway.hub.database.schema import audit
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from tests.servers.identity_provider import CLIENT, SECRET, Provider
from tests.servers.ports import free_port
from tests.waiting import LIMIT_S

KARI = {"sub": "kari-1", "name": "Kari Nordmann", "preferred_username": "kari.n", "groups": ["lab", "lunch"]}
ROLES = {"lab": ["receiver"], "quality": ["quality", "receiver"]}


class Hub:
    """A hub that is served, and one browser."""

    def __init__(self, rooms: Rooms, http: httpx.AsyncClient) -> None:
        self.rooms = rooms
        self.http = http

    async def leave(self, path: str = "/login/sign-on?next=/bench") -> httpx.Response:
        """Go to the provider; return what it answers."""
        there = await self.http.get(path)
        assert there.status_code == 303, there.text
        return await self.http.get(there.headers["location"])

    async def sign_in(self, path: str = "/login/sign-on?next=/bench") -> httpx.Response:
        """Go there and back."""
        answer = await self.leave(path)
        assert answer.status_code == 302, answer.text
        return await self.http.get(answer.headers["location"])

    async def me(self) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.http.get("/api/v1/me")).json()
        return answer

    def account(self, name: str = "kari") -> Account:
        found = self.rooms.accounts.account(name)
        assert found is not None
        return found

    def acts(self) -> list[tuple[str, str, str]]:
        with self.rooms.store.read() as connection:
            return [(row.who, row.act, row.subject) for row in connection.execute(select(audit).order_by(audit.c.id))]


@asynccontextmanager
async def served(folder: Path, database: str, idp: Provider, **oidc: object) -> AsyncIterator[Hub]:
    port = free_port()
    secret = folder / "oidc.secret"
    secret.write_text(SECRET + "\n")
    wanted = {
        "name": "Sykehuset",
        "issuer": idp.url,
        "client_id": CLIENT,
        "client_secret_file": secret,
        "groups_claim": "groups",
        "roles": ROLES,
    } | oidc
    url = f"http://127.0.0.1:{port}"
    settings = HubSettings(
        data_dir=folder,
        database=database,
        language="en",
        http={"public_url": url, "port": port},
        access={"oidc": wanted},
    )
    rooms = open_rooms(settings)
    # A connection is not closed in the moment in which a slow test uses it again.
    config = uvicorn.Config(create_app(rooms), port=port, log_level="error", lifespan="off", timeout_keep_alive=LIMIT_S)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.02)
    try:
        async with httpx.AsyncClient(base_url=url, timeout=LIMIT_S, headers={"Accept-Language": "en"}) as http:
            yield Hub(rooms, http)
    finally:
        rooms.closing.set()
        server.should_exit = True
        await serving
        rooms.store.close()
