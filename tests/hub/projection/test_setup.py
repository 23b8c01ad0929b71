from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from gateway.hub.projection.setup import SetupError, remove_points, set_up
from gateway.hub.settings import InfluxSettings

ORGANISATIONS = {"orgs": [{"id": "0" * 16, "name": "laboratory"}]}


class Handler(BaseHTTPRequestHandler):
    """Answers about organisations as InfluxDB 2.7 does, and knows no bucket."""

    def do_GET(self) -> None:
        if self.path.startswith("/api/v2/orgs?org=wrong"):
            self._answer(404, {"code": "not found", "message": 'organization name "wrong" not found'})
        elif self.path.startswith("/api/v2/orgs"):
            self._answer(200, ORGANISATIONS)
        else:
            self._answer(200, {})

    def do_POST(self) -> None:
        self._answer(404, {"code": "not found", "message": 'bucket "nix" not found'})

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("org", "reason"), [("wrong", "no organisation 'wrong'"), ("", "the server has 'laboratory'")])
def test_an_organisation_that_is_not_there_is_named(url: str, org: str, reason: str) -> None:
    with pytest.raises(SetupError, match=f"^influx.org: .*{reason}$"):
        list(set_up(InfluxSettings(url=url, org=org, bucket="b")))


def test_a_bucket_that_is_not_there_is_not_taken_for_a_server_that_cannot_delete(url: str) -> None:
    with pytest.raises(SetupError, match=r"^bucket nix: is not there; .*hub init"):
        list(remove_points(InfluxSettings(url=url, org="laboratory", bucket="nix")))
