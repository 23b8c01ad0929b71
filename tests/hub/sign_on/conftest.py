from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.hub.access.identities import make_identity
from gateway.hub.access.roles import Role
from tests.hub.sign_on.hubs import KARI, Hub, served
from tests.servers.identity_provider import Provider, running_provider


@pytest.fixture(scope="session")
def idp() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def quiet(idp: Provider) -> Provider:
    """In no mood, and Kari stands before it."""
    idp.set(mood="", person=KARI, kind="RSA")
    return idp


@pytest.fixture
async def hub(tmp_path: Path, database: str, quiet: Provider) -> AsyncIterator[Hub]:
    async with served(tmp_path, database, quiet) as opened:
        opened.rooms.accounts.add(
            "kari", "Kari Nordmann", [Role.NURSE], "setup", identity=make_identity(quiet.url, "kari-1")
        )
        yield opened
