"""A real InfluxDB for the tests: the one that COLDCHAIN_TEST_INFLUX_URL names, or Debian's 1.6 started here.

The engine of 1.6 has no v2 write interface. A front translates the one call that matters, as InfluxDB's later 1.x do
within; everything else of v2 is as unknown to it as to 1.6. The same front, without translation, stands before a 2.x or
3, because it also plays what goes wrong on the way: refusals, delays, silence.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.servers.ports import free_port

START_S = 60
"""A slow machine gets so long to start an engine."""
WRITE = "/api/v2/write"
_PRECISIONS = {"ns": "n", "us": "u", "ms": "ms", "s": "s"}

CONFIGURATION = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  index-version = "tsi1"
  query-log-enabled = false
  max-values-per-tag = 0
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
[retention]
  enabled = false
[continuous_queries]
  enabled = false
[shard-precreation]
  enabled = false
"""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Engine(Protocol):
    """A server that holds points."""

    name: str
    translates: bool
    token: str
    org: str

    @property
    def url(self) -> str: ...
    def kill(self) -> None: ...
    def restart(self) -> None: ...
    def close(self) -> None: ...


class Debian:
    """influxd 1.6 with a folder and ports of its own, killed as an engine is killed."""

    translates = True
    token = ""
    org = ""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("influxd")
        if program is None:
            raise FileNotFoundError("influxd is not installed: tools/system-packages test installs it")
        folder.mkdir(parents=True, exist_ok=True)
        self.name = f"Debian's influxdb, {_first_line([program, 'version'])}, behind a translation"
        self._program, self._folder = program, folder
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.restart()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        for _ in range(5):  # another process may take a port between its choice and its use
            if self._start():
                return
        raise RuntimeError((self._folder / "log").read_text()[-2000:])

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> bool:
        self._port, rpc = free_port(), free_port()
        config = self._folder / "influxdb.conf"
        config.write_text(CONFIGURATION.format(folder=self._folder, http=self._port, rpc=rpc))
        with (self._folder / "log").open("ab") as log:
            command = [self._program, "-config", str(config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603  our own command
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._process.poll() is None:
            if _pings(self.url):
                return True
            time.sleep(0.05)
        self.kill()
        return False


class Foreign:
    """An InfluxDB that somebody runs; it is never killed, only cut off (see Front)."""

    translates = False

    def __init__(self, url: str, token: str, org: str) -> None:
        self.url, self.token, self.org = url, token, org
        self.name = f"InfluxDB {_version(url)} at {url}"

    def kill(self) -> None:
        """Nothing: it is not ours."""

    def restart(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Front:
    """Stands before an engine. `play` answers a write itself instead; `cut` takes it off the network."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.play: list[Callable[[bytes], Answer | None]] = []
        """Each is asked for one write; None lets it pass."""
        self.let_go = threading.Event()
        self.writes = 0
        self._server: _Server | None = None
        self._port = free_port()
        self.mend()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def cut(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def mend(self) -> None:
        if self._server is None:
            self._server = _Server(self, self._port)

    def kill(self) -> None:
        """The server dies: an own engine for good, one that is not ours as seen from here."""
        self.engine.kill()
        if not self.engine.translates:
            self.cut()

    def restart(self) -> None:
        self.engine.restart()
        self.mend()

    def close(self) -> None:
        self.let_go.set()
        self.cut()

    def hang(self, _body: bytes) -> Answer:
        """Play a server that takes a request and never answers."""
        self.let_go.wait()
        return Answer(503)

    def answer(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        if urlsplit(path).path == WRITE:
            self.writes += 1
            if self.play and (played := self.play.pop(0)(_plain(body, headers))) is not None:
                return played
        if self.engine.translates:
            return _translated(self.engine.url, method, path, body, headers)
        return _forward(self.engine.url, method, path, body, headers)


def ask(url: str, database: str, statement: str, token: str = "") -> list[dict[str, object]]:
    """Ask in InfluxQL, apart from the product's code; rows of all series, times in milliseconds."""
    query = urlencode({"db": database, "q": statement, "epoch": "ms"})
    headers = {"Authorization": f"Token {token}"} if token else {}
    answer = _forward(url, "GET", f"/query?{query}", b"", headers)
    assert answer.status == 200, answer.body
    rows = []
    for result in json.loads(answer.body)["results"]:
        assert "error" not in result, (statement, result["error"])
        for series in result.get("series", []):
            rows += [
                {**series.get("tags", {}), **dict(zip(series["columns"], values, strict=True))}
                for values in series["values"]
            ]
    return rows


def open_engine(folder: Path) -> Engine:
    """Return the engine that the environment names, or start Debian's."""
    url = os.environ.get("COLDCHAIN_TEST_INFLUX_URL")
    if url:
        return Foreign(
            url,
            os.environ.get("COLDCHAIN_TEST_INFLUX_TOKEN", ""),
            os.environ.get("COLDCHAIN_TEST_INFLUX_ORG", ""),
        )
    return Debian(folder)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, front: Front, port: int) -> None:
        super().__init__(("127.0.0.1", port), _handler(front))
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked may have been killed meanwhile; anything else is told."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # whatever it was given

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


def _handler(front: Front) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            answer = front.answer(self.command, self.path, body, dict(self.headers))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_POST = do_HEAD = do_PATCH = do_DELETE = do_GET  # noqa: N815  the base class's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            """Nothing."""

    return Handler


def _translated(url: str, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Turn a v2 write into one of 1.x; pass on what both know; know nothing else."""
    parts = urlsplit(path)
    if parts.path == WRITE:
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        query = urlencode({"db": asked["bucket"], "precision": _PRECISIONS[asked.get("precision", "ns")]})
        sent = {"Content-Encoding": headers["Content-Encoding"]} if "Content-Encoding" in headers else {}
        answer = _forward(url, "POST", f"/write?{query}", body, sent)
        if answer.status < 400 or answer.status >= 500:
            return answer
        said = json.loads(answer.body).get("error", "")
        return Answer(answer.status, json.dumps({"code": "invalid", "message": said}).encode())
    if parts.path in {"/query", "/ping"}:
        return _forward(url, method, path, body, {})
    return Answer(404, json.dumps({"code": "not found", "message": "path not found"}).encode())


def _forward(url: str, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    host = urlsplit(url)
    secure = host.scheme == "https"
    connection = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(host.netloc, timeout=60)
    kept = {n: v for n, v in headers.items() if n.lower() in {"authorization", "content-type", "content-encoding"}}
    try:
        connection.request(method, path, body, kept)
        response = connection.getresponse()
        told = {n: v for n, v in response.getheaders() if n.lower() in {"content-type", "retry-after"}}
        told |= {n: v for n, v in response.getheaders() if n.lower().startswith("x-influxdb-")}
        return Answer(response.status, response.read(), told)
    except (OSError, http.client.HTTPException) as error:
        return Answer(502, str(error).encode())
    finally:
        connection.close()


def _plain(body: bytes, headers: Mapping[str, str]) -> bytes:
    return gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body


def _pings(url: str) -> bool:
    return _forward(url, "GET", "/ping", b"", {}).status == 204


def _version(url: str) -> str:
    answer = _forward(url, "GET", "/ping", b"", {})
    return next((v for n, v in answer.headers.items() if n.lower() == "x-influxdb-version"), "of unknown version")


def _first_line(command: list[str]) -> str:
    out = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  our own command
    return out.stdout.splitlines()[0]
