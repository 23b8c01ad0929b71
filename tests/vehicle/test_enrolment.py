from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from gateway.core.errors import InputError
from gateway.keys import SigningKey
from gateway.vehicle import enrolment as module
from gateway.vehicle.enrolment import FILE, Enrolment, enrol, load_enrolment, save_enrolment
from tests.vehicle.samples import VAN

GOOD = {"hub_public_key": "ab" * 32, "token": "secret"}


async def ask(key: SigningKey, answer: Callable[[httpx.Request], httpx.Response]) -> Enrolment:
    rng = random.Random(1)  # noqa: S311  jitter, no secret
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://hub") as client:
        return await enrol(client, VAN, "CODE", key, rng)


async def test_key_and_code_are_given_and_the_answer_is_learnt(key: SigningKey) -> None:
    asked: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v1/enrolments"
        asked.append(json.loads(request.content))
        return httpx.Response(200, json=GOOD)

    learnt = await ask(key, answer)
    assert asked == [{"gateway": VAN, "code": "CODE", "public_key": key.public_bytes.hex()}]
    assert (learnt.token, learnt.hub_key) == ("secret", b"\xab" * 32)


async def test_a_hub_that_is_not_there_yet_is_waited_for(key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_MAX_S", 0.001)
    tries: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(1)
        if len(tries) == 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(503) if len(tries) == 2 else httpx.Response(201, json=GOOD)

    assert (await ask(key, answer)).token == "secret"


@pytest.mark.parametrize(
    ("response", "field", "words"),
    [
        (httpx.Response(403, json={"detail": "the code is used"}), "enrolment_code", "the code is used"),
        (httpx.Response(404, text="no"), "hub.url", "404"),
        (httpx.Response(422, json=[1]), "hub.url", "422"),
    ],
)
async def test_a_refused_code_is_one_clear_error(
    key: SigningKey, response: httpx.Response, field: str, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        await ask(key, lambda _: response)
    assert caught.value.field == field


async def test_another_server_is_told_apart(key: SigningKey) -> None:
    with pytest.raises(InputError, match="no hub of ours"):
        await ask(key, lambda _: httpx.Response(200, json={"hello": "world"}))


def test_it_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    assert load_enrolment(tmp_path) is None
    learnt = Enrolment.model_validate(GOOD)
    save_enrolment(tmp_path, learnt)
    assert load_enrolment(tmp_path) == learnt
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(InputError, match="damaged"):
        load_enrolment(tmp_path)
