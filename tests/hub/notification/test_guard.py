from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_address

import httpx
import pytest

from gateway.core.errors import InputError
from gateway.hub.notification.guard import (
    PrivateAddressError,
    check_host,
    guarded,
    is_public,
    refused_address,
)

PRIVATE = [
    "10.0.0.1", "172.16.3.4", "192.168.1.1", "127.0.0.1", "127.8.8.8", "0.0.0.0", "169.254.169.254",  # noqa: S104
    "100.64.0.1", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1",
    "::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:1::1", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(InputError, match="private address"):
        check_host(address, ())
    check_host(address, (address,))


@pytest.mark.parametrize("address", ["193.156.1.1", "8.8.8.8", "2a00:1450::1", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_what_is_public(address: str) -> None:
    assert is_public(ip_address(address))
    check_host(address, ())


def test_unencrypted_only_where_it_is_allowed_by_name() -> None:
    with pytest.raises(InputError, match="unencrypted"):
        check_host("sms.example.org", (), clear=True)
    check_host("SMS.example.org.", ("sms.example.org",), clear=True)
    with pytest.raises(InputError, match="this machine"):
        check_host("LocalHost.", ())


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "0.0.0.0", "127.1", "2130706433", "::ffff:127.0.0.1"])  # noqa: S104
def test_a_name_is_no_way_around_it(listening: int, name: str) -> None:
    with guarded(()):
        with pytest.raises(OSError, match="private address"):
            socket.create_connection((name, listening), timeout=5)
        assert refused_address()


def test_a_socket_that_is_given_a_name_is_refused(listening: int) -> None:
    with guarded(("localhost",)), socket.socket() as plain, pytest.raises(PrivateAddressError):
        plain.connect(("localhost", listening))
    with guarded(()), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain, pytest.raises(PrivateAddressError):
        plain.sendto(b"x", ("127.0.0.1", listening))
    with guarded(()), socket.socket(socket.AF_UNIX) as plain, pytest.raises(PrivateAddressError):
        plain.connect("/run/nothing.sock")


def test_what_the_settings_name_is_reached_and_other_threads_are_left_alone(listening: int) -> None:
    with guarded(("localhost",)):
        socket.create_connection(("127.0.0.1", listening), timeout=5).close()
    reached: list[bool] = []
    with guarded(()):
        other = threading.Thread(
            target=lambda: reached.append(socket.create_connection(("127.0.0.1", listening), timeout=5).close() is None)
        )
        other.start()
        other.join()
    assert reached == [True]
    socket.create_connection(("127.0.0.1", listening), timeout=5).close()


def test_a_name_that_is_public_when_asked_and_private_when_used(
    listening: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["93.184.215.14", "127.0.0.1"])
    real = socket.getaddrinfo

    def rebind(host: str, port: int, *more: object, **options: object) -> list[object]:
        return real(next(answers) if host == "rebind.example" else host, port, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    assert socket.getaddrinfo("rebind.example", listening)[0][4][0] == "93.184.215.14"
    with guarded(()), pytest.raises(httpx.ConnectError):
        httpx.get(f"http://rebind.example:{listening}/", trust_env=False)
