"""Somebody who reads pages and sends their forms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import unescape

import httpx

from gateway.hub.access.roles import Role
from gateway.hub.audit.trail import Wanted, read_entries
from gateway.hub.rooms import Rooms

PASSWORD = "ni rolige elger"
Form = Mapping[str, str | Sequence[str]]


@dataclass
class Visitor:
    http: httpx.AsyncClient
    rooms: Rooms
    csrf: str = ""

    def be(self, role: Role) -> None:
        session = self.rooms.sessions.open(self.rooms.accounts.check(role.value, PASSWORD))
        self.http.cookies.set("coldchain", session.secret)
        self.csrf = session.caller.csrf

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=headers)

    async def send(self, path: str, form: Form, **files: tuple[str, bytes]) -> httpx.Response:
        return await self.http.post(path, data={"csrf": self.csrf, **form}, files=files or None)

    def acts(self, act: str) -> list[tuple[str, str, str]]:
        with self.rooms.store.read() as connection:
            return [(one.who, one.subject, one.reason) for one in read_entries(connection, Wanted(act=act))]


def words_of(answer: httpx.Response) -> str:
    """The page's words, without tags and runs of blanks."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


def faults_of(answer: httpx.Response) -> dict[str, str]:
    """What stands at the fields of a form that was refused."""
    found = re.findall(r'<span class="fault" id="fault-([^"]+)">([^<]*)</span>', answer.text)
    return {name: unescape(text) for name, text in found}


def value_of(answer: httpx.Response, name: str) -> str:
    """What stands in an input or a textarea."""
    found = re.search(rf'<input id="{name}"[^>]*? value="([^"]*)"', answer.text) or re.search(
        rf'<textarea id="{name}"[^>]*>\n?(.*?)</textarea>', answer.text, re.DOTALL
    )
    assert found is not None, name
    return unescape(found[1])
