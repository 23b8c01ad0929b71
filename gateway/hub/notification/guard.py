"""The guard: nothing that a notification sends reaches a private address, unless the settings allow it by name.

It stands where connections are made, and looks at the address that is really connected to: after every name has been
resolved, after every redirect, whatever library asks. So no name can be resolved to one address for a check and to
another for the connection. It guards the threads that ask for it and leaves all others alone.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from gateway.core.errors import InputError

_NAT64 = IPv6Network("64:ff9b::/96")
_CONNECTIONS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
"""Events of the interpreter by which bytes leave for an address."""
_WHERE = 1
"""Among an event's arguments, the address."""

Address = IPv4Address | IPv6Address


class PrivateAddressError(OSError):
    """A connection to a private address was about to be made."""


class _Guarded(threading.local):
    private: Sequence[str] | None = None
    refused: str = ""


_guarded = _Guarded()
_installing = threading.Lock()
_installed = threading.Event()


@contextmanager
def guarded(private: Sequence[str]) -> Iterator[None]:
    """Let this thread connect to public addresses and to the hosts in `private` only; PrivateAddressError elsewhere."""
    _install()
    _guarded.private, _guarded.refused = private, ""
    try:
        yield
    finally:
        _guarded.private = None


def refused_address() -> str:
    """Return the private address that this thread was kept from last, "" if none: libraries hide the error."""
    return _guarded.refused


def is_public(address: Address) -> bool:
    """Say whether an address belongs to the public internet, whatever it is wrapped into."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


def check_host(host: str, private: Sequence[str], *, field: str = "url", clear: bool = False) -> None:
    """Raise InputError for a host that is refused in any case. `clear`: what is sent there is not encrypted."""
    if is_allowed(host, private):
        return
    if clear:
        raise InputError(field, f"unencrypted only to a host that notification.private names, and {host} is none")
    if host.lower().rstrip(".") == "localhost":
        raise InputError(field, f"{host} is this machine; notification.private does not name it")
    address = _parse(host)
    if address is not None and not is_public(address):
        raise InputError(field, f"{host} is a private address; notification.private does not name it")


def is_allowed(host: str, private: Sequence[str]) -> bool:
    """Say whether the settings name a host."""
    wanted = host.lower().rstrip(".").strip("[]")
    return any(name.lower().rstrip(".").strip("[]") == wanted for name in private)


def _install() -> None:
    """Have the interpreter ask before each connection. A hook stays for the life of the process."""
    with _installing:
        if not _installed.is_set():
            sys.addaudithook(_look)
            _installed.set()


def _look(event: str, arguments: tuple[object, ...]) -> None:
    if event not in _CONNECTIONS or _guarded.private is None:
        return
    where = arguments[_WHERE]
    if event == "socket.sendmsg" and where is None:
        return  # over a connection that was looked at when it was made
    host = where[0] if isinstance(where, tuple) and where else where
    address = _parse(host) if isinstance(host, str) else None
    if address is not None and (is_public(address) or address in _resolve(_guarded.private)):
        return
    # Not an address: a name that the kernel's side would resolve, or a socket of this machine.
    _guarded.refused = str(host)
    raise PrivateAddressError(f"{host} is a private address")


def _resolve(names: Sequence[str]) -> set[Address]:
    """Return the addresses of the hosts that are allowed by name, as they are now."""
    found: set[Address] = set()
    for name in names:
        try:
            answers = socket.getaddrinfo(name.strip("[]"), None, type=socket.SOCK_STREAM)
        except OSError:
            continue
        found |= {address for answer in answers if (address := _parse(str(answer[4][0]))) is not None}
    return found


def _parse(text: str) -> Address | None:
    try:
        return ip_address(text.partition("%")[0].strip("[]"))
    except ValueError:
        return None
