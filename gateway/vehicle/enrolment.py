"""Enrolment: once, with a one-time code, the gateway gives the hub its key and pins the hub's."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from pathlib import Path
from typing import Annotated

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.client import AsyncHubClient, BusyError, NoHubError, ProblemError, UnreachableError, calls
from gateway.core.errors import InputError
from gateway.keys import SigningKey
from gateway.mqtt import backoff_s

log = logging.getLogger(__name__)

FILE = "enrolment.json"
RETRY_MAX_S = 30.0
ANSWER_BYTES_MAX = 64 << 10
"""The hub's answer has 200 bytes."""
_SERVER_ERROR = 500


class Enrolment(BaseModel):
    """What the gateway learnt: the hub's key, and its own token for the HTTP interface.

    public_key   the gateway's own, that goes with the token; "" in what an older version wrote
    former_hub_keys  that were pinned before: they signed the configuration which is on the card
    former_keys  its own before that; changes: how it handed over, encoded (see gateway.vehicle.identity)
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    hub_public_key: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]
    token: Annotated[str, Field(min_length=1, max_length=1000)]
    public_key: str = ""
    former_keys: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...] = ()
    changes: tuple[str, ...] = ()
    former_hub_keys: tuple[Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")], ...] = ()

    @property
    def hub_key(self) -> bytes:
        """The pinned key, raw."""
        return bytes.fromhex(self.hub_public_key)


def load_enrolment(data_dir: Path) -> Enrolment | None:
    """Return what an earlier start learnt, None before the first; raises InputError for a damaged file."""
    path = data_dir / FILE
    try:
        return Enrolment.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise InputError("enrolment", "damaged; enrol again with a new code", where=str(path)) from error


def save_enrolment(data_dir: Path, enrolment: Enrolment) -> None:
    """Write it so that it is whole or not there; its owner's alone (0600)."""
    path = data_dir / FILE
    partial = path.with_suffix(".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, enrolment.model_dump_json().encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.rename(path)


async def enrol(
    client: httpx.AsyncClient, gateway: str, code: str, key: SigningKey, rng: random.Random | None = None
) -> Enrolment:
    """Enrol at the hub; tries until it answers. Raises InputError if the hub refuses the code."""
    hub, call, failures = (
        AsyncHubClient(client, answer_bytes_max=ANSWER_BYTES_MAX),
        calls.enrol(gateway, code, key.public_bytes),
        0,
    )
    while True:
        asked_s = 0.0
        try:
            learnt = await hub.ask(call)
            return Enrolment(hub_public_key=learnt.hub_public_key, token=learnt.token)
        except BusyError as error:
            reason, asked_s = str(error), error.retry_after_s
        except UnreachableError as error:
            reason = str(error)
        except NoHubError as error:
            raise InputError("hub.url", f"what answers there is no hub of ours: {error}", where=hub.url) from error
        except ProblemError as error:
            if error.status < _SERVER_ERROR:
                reason = f"the hub refuses it: {error.detail}"
                raise InputError("enrolment_code", reason, where=hub.url) from error
            reason = str(error)
        failures += 1
        log.warning("enrolment: the hub %s cannot be reached yet: %s", hub.url, reason)
        pause_s = backoff_s(failures, RETRY_MAX_S, rng or random.Random())  # noqa: S311  jitter, no secret
        await asyncio.sleep(asked_s + pause_s)
