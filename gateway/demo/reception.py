"""What the demonstration does at the hub over HTTP: registers the day, follows it, receives the boxes."""

from __future__ import annotations

from typing import Any, Self

import httpx
from pydantic import BaseModel, ConfigDict

from gateway.core.errors import ColdchainError
from gateway.core.verdicts import BreachKind, Judgement, Verdict
from gateway.demo.trip import Trip

TIMEOUT_S = 30.0
"""The hub answers within milliseconds; a busy small computer may take seconds."""


class HubRefusedError(ColdchainError):
    """The hub answered with an error: which request, and what it said."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class KnownBreach(_Answer):
    """A breach as the hub keeps it."""

    id: int
    consignment: str
    item: str
    examination: str
    rule: str
    kind: BreachKind
    state: str
    started_at_ms: int
    triggered_at_ms: int
    ended_at_ms: int | None
    extreme_c: float | None
    minutes: float
    found_by: str
    found_at_ms: int

    @property
    def is_active(self) -> bool:
        """Neither withdrawn nor merged into another."""
        return self.state in {"provisional", "confirmed"}


class KnownAlert(_Answer):
    """An alert that the hub raised; `sent_at_ms` is None until it has left."""

    id: int
    kind: str
    breach: int | None
    created_at_ms: int
    sent_at_ms: int | None


class Summary(_Answer):
    """A consignment in the hub's list."""

    code: str
    verdict: Verdict | None
    received_at: str | None


class _Versioned(_Answer):
    version: int
    judgement: Judgement


class State(_Answer):
    """A consignment with its current judgements; `behind_ms` is how far its data is behind."""

    behind_ms: int
    judgements: tuple[_Versioned, ...]


class Reception:
    """A client of one hub with the administrator's token; used as an asynchronous context."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=f"{url}/api/v1/", headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_S, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._client.aclose()

    async def register(self, trip: Trip) -> None:
        """Register loggers with their calibration, boxes, profiles, and what is carried."""
        for box in trip.registered_boxes():
            await self._put(f"boxes/{box.code}", box)
        for logger in trip.registered_loggers():
            await self._put(f"loggers/{logger.address}", logger)
        for profile in trip.profiles:
            await self._put(f"profiles/{profile.id}", profile)
        for consignment in trip.consignments:
            await self._put(f"consignments/{consignment.code}", consignment)

    async def receive(self, code: str, at: str) -> None:
        """Note that a consignment has arrived."""
        await self._ask("POST", f"consignments/{code}/receive", json={"at": at})

    async def consignments(self) -> list[Summary]:
        """Each consignment with the worst of its verdicts so far."""
        return [Summary.model_validate(row) for row in await self._ask("GET", "consignments")]

    async def consignment(self, code: str) -> State:
        """One consignment with its judgements."""
        return State.model_validate(await self._ask("GET", f"consignments/{code}"))

    async def breaches(self) -> list[KnownBreach]:
        """All breaches, withdrawn ones included."""
        return [KnownBreach.model_validate(row) for row in await self._ask("GET", "breaches")]

    async def alerts(self) -> list[KnownAlert]:
        """All alerts."""
        return [KnownAlert.model_validate(row) for row in await self._ask("GET", "alerts")]

    async def archived_segments(self) -> int:
        """How many segments the hub holds in unbroken chains."""
        status = await self._ask("GET", "status")
        return int(status["archive"]["chained"])

    async def _put(self, path: str, model: BaseModel) -> None:
        await self._ask("PUT", path, json=model.model_dump(mode="json"))

    async def _ask(self, method: str, path: str, *, json: dict[str, Any] | None = None) -> Any:  # noqa: ANN401  JSON
        try:
            answer = await self._client.request(method, path, json=json)
        except httpx.HTTPError as error:
            raise HubRefusedError(f"{method} {path}: {error!r}") from error
        if answer.is_error:
            raise HubRefusedError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()
