"""A message bus with one service on it: org.bluez."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from dbus_fast import Message, MessageType

from firmware_sim.bluez.connection import Connection, authenticate
from firmware_sim.bluez.errors import BluezError, unknown_method
from firmware_sim.bluez.rules import parse_rule
from firmware_sim.bluez.wire import encode

BUS_NAME = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
SERVICE_NAME = "org.bluez"
SYSTEMD_NAME = "org.freedesktop.systemd1"
GUID = "0" * 32
BACKLOG = 64
CLIENT_ANSWER_S = 5.0
"""How long a client may take to answer a call of the service (its advertisement monitor's properties)."""
_BUS_ALIASES = frozenset({BUS_NAME})
_PRIMARY_OWNER, _ALREADY_RUNNING = 1, 2


class BusService(Protocol):
    """What answers as org.bluez."""

    def handle_call(self, message: Message) -> None:
        """Take a method call; the reply is sent later with ``Bus.send``."""

    def handle_signal(self, message: Message) -> None:
        """Take a signal that a client sent."""

    def handle_systemd(self, message: Message) -> Message | None:
        """Answer a call of systemd; None where there is none on this bus."""

    def handle_client_gone(self, name: str) -> None:
        """Forget what the client of this unique name had asked for."""


def socket_path(address: str) -> Path:
    """Return the path of a D-Bus address ``unix:path=…``; raises ``ValueError`` for any other address."""
    kind, _, rest = address.partition(":")
    keys = dict(part.partition("=")[::2] for part in rest.split(","))
    if kind != "unix" or not keys.get("path"):
        raise ValueError(f"not a bus address of the form unix:path=/some/where: {address!r}")
    return Path(keys["path"])


class Bus:
    """Accepts clients, answers for the bus itself, hands their other calls to ``service``."""

    def __init__(self, address: str, service: BusService) -> None:
        self.address = address
        self._path = socket_path(address)
        self._service = service
        self._clients: dict[str, Connection] = {}
        self._last_name = 0
        self._answers: dict[tuple[str, int], asyncio.Future[Message]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._starts = 0
        self.service_is_running = True

    @property
    def owner(self) -> str:
        """Return the service's unique name; a service that is started anew has another."""
        return f":0.{self._starts}"

    @property
    def _aliases(self) -> frozenset[str]:
        return frozenset({SERVICE_NAME, self.owner})

    async def start(self) -> None:
        """Listen at the address; a socket file that an earlier run left behind is replaced.

        Raises ``OSError`` naming the path.
        """
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        try:
            listener.bind(str(self._path))
        except OSError as error:
            listener.close()
            raise OSError(error.errno, error.strerror or str(error), str(self._path)) from error
        listener.listen(BACKLOG)
        self._listener = listener
        self._keep(asyncio.create_task(self._accept(listener), name="bus accept"))

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.drop_clients()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self._path.unlink(missing_ok=True)

    def drop_clients(self) -> None:
        """Close the connection of every client."""
        for client in tuple(self._clients.values()):
            client.close()

    def send(self, message: Message) -> None:
        """Send a reply to its destination, or a signal to every client that asked for it."""
        receivers = self._receivers(message)
        if not receivers:
            for fd in message.unix_fds:
                os.close(fd)
            return
        data = encode(message, self.owner)
        for receiver in receivers:
            receiver.send(data, message.unix_fds)

    async def call(self, message: Message) -> Message | None:
        """Call a method of a client; None when it is gone or does not answer in time."""
        client = self._clients.get(message.destination or "")
        if client is None:
            return None
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        key = client.name, client.send(encode(message, self.owner))
        self._answers[key] = answer
        try:
            async with asyncio.timeout(CLIENT_ANSWER_S):
                return await answer
        except TimeoutError:
            return None
        finally:
            self._answers.pop(key, None)

    async def drain(self, below: int = 64) -> None:
        """Wait until no client has more than ``below`` unread messages; the sender of a flood calls it."""
        # The kernel empties several queues at once: there is no one event to wait for.
        while any(client.queued > below for client in self._clients.values()):  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.001)

    def announce_service(self, *, is_running: bool) -> None:
        """Let the service's name appear or vanish."""
        self.service_is_running = is_running
        self._starts += is_running
        old, new = ("", self.owner) if is_running else (self.owner, "")
        self._signal_owner(SERVICE_NAME, old, new)

    def _receivers(self, message: Message) -> list[Connection]:
        if message.destination:
            client = self._clients.get(message.destination)
            return [] if client is None else [client]
        return [
            client
            for client in self._clients.values()
            if any(rule.accepts(message, self._aliases) for rule in client.rules)
        ]

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(listener)
            sock.setblocking(False)
            self._keep(asyncio.create_task(self._welcome(sock), name="bus handshake"))

    async def _welcome(self, sock: socket.socket) -> None:
        received = None
        try:
            with contextlib.suppress(OSError):
                received = await authenticate(sock, GUID)
        finally:
            if received is None:
                sock.close()
        if received is None:
            return
        self._last_name += 1
        client = Connection(sock, f":1.{self._last_name}", self._deliver, self._forget)
        self._clients[client.name] = client
        client.open(received)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forget(self, client: Connection) -> None:
        del self._clients[client.name]
        for (name, _), answer in list(self._answers.items()):
            if name == client.name:
                answer.cancel()
        self._signal_owner(client.name, client.name, "")
        self._service.handle_client_gone(client.name)

    def _signal_owner(self, name: str, old: str, new: str) -> None:
        signal = Message.new_signal(BUS_PATH, BUS_NAME, "NameOwnerChanged", "sss", [name, old, new])
        wanting = [
            client
            for client in self._clients.values()
            if any(rule.accepts(signal, _BUS_ALIASES) for rule in client.rules)
        ]
        for client in wanting:
            client.send(encode(signal, BUS_NAME))

    def _deliver(self, client: Connection, message: Message) -> None:
        if message.message_type in (MessageType.METHOD_RETURN, MessageType.ERROR):
            answer = self._answers.get((client.name, message.reply_serial or 0))
            if answer is not None and not answer.done():
                answer.set_result(message)
        elif message.message_type is MessageType.SIGNAL:
            if self.service_is_running:
                self._service.handle_signal(message)
        elif message.destination in _BUS_ALIASES:
            client.send(encode(self._answer(client, message), BUS_NAME))
        elif message.destination in self._aliases and self.service_is_running:
            self._service.handle_call(message)
        elif message.destination == SYSTEMD_NAME and (systemd := self._service.handle_systemd(message)) is not None:
            client.send(encode(systemd, SYSTEMD_NAME))
        else:
            name = f"{BUS_NAME}.Error.ServiceUnknown"
            text = f"The name {message.destination} was not provided by any .service files"
            client.send(encode(Message.new_error(message, name, text), BUS_NAME))

    def _answer(self, client: Connection, message: Message) -> Message:
        """Answer a call of the bus itself."""
        try:
            signature, body = self._obey(client, message)
        except BluezError as error:
            return Message.new_error(message, error.name, error.text)
        return Message.new_method_return(message, signature, body)

    def _obey(self, client: Connection, message: Message) -> tuple[str, list[object]]:
        first = message.body[0] if message.body else ""
        if message.member == "AddMatch":
            client.rules.append(parse_rule(first))
            return "", []
        if message.member == "RemoveMatch":
            _remove_rule(client, first)
            return "", []
        answers: dict[str, Callable[[], tuple[str, list[object]]]] = {
            "Hello": lambda: ("s", [client.name]),
            "GetNameOwner": lambda: ("s", [self._owner(first)]),
            "NameHasOwner": lambda: ("b", [first in self._names()]),
            "ListNames": lambda: ("as", [self._names()]),
            "RequestName": lambda: ("u", [_PRIMARY_OWNER]),
            "ReleaseName": lambda: ("u", [_PRIMARY_OWNER]),
            "StartServiceByName": lambda: ("u", [_ALREADY_RUNNING]),
            "GetId": lambda: ("s", [GUID]),
            "GetMachineId": lambda: ("s", [GUID]),
            "Ping": lambda: ("", []),
        }
        answer = answers.get(message.member or "")
        if answer is None:
            raise unknown_method(message.interface, message.member)
        return answer()

    def _names(self) -> list[str]:
        service = [SERVICE_NAME, self.owner] if self.service_is_running else []
        return [BUS_NAME, *service, *self._clients]

    def _owner(self, name: str) -> str:
        if name not in self._names():
            raise BluezError(f"{BUS_NAME}.Error.NameHasNoOwner", f"Could not get owner of name '{name}': no such name")
        return self.owner if name == SERVICE_NAME else name


def _remove_rule(client: Connection, text: str) -> None:
    rule = parse_rule(text)
    if rule not in client.rules:
        raise BluezError(f"{BUS_NAME}.Error.MatchRuleNotFound", "The given match rule was not found")
    client.rules.remove(rule)
