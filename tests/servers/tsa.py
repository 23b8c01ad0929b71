"""A time-stamping authority of one's own: `openssl ts` behind a small HTTP server."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_CONFIG = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
[tsa]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = critical, timeStamping
[stamping]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
"""


@dataclass(frozen=True)
class Authority:
    url: str
    ca: Path


def make_authority(folder: Path) -> Path:
    """Make keys and certificates; return the root's."""
    folder.mkdir()
    (folder / "openssl.cnf").write_text(_CONFIG)
    (folder / "serial").write_text("01\n")
    for command in (
        (
            "req -new -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem"
            " -subj /CN=Test-Root -days 30 -extensions ca -config openssl.cnf"
        ),
        (
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tsa.key -out tsa.csr"
            " -subj /CN=Test-TSA -config openssl.cnf"
        ),
        (
            "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tsa.pem -days 30"
            " -extensions tsa -extfile openssl.cnf"
        ),
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607  the machine's openssl
    return folder / "ca.pem"


@contextmanager
def running_authority(folder: Path) -> Iterator[Authority]:
    """Serve until the end of the block."""
    ca = make_authority(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            (folder / "query.tsq").write_bytes(query)
            command = (
                "ts -reply -queryfile query.tsq -signer tsa.pem -inkey tsa.key -config openssl.cnf -section stamping"
            )
            done = subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607  the same
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(done.stdout)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Authority(f"http://127.0.0.1:{server.server_port}/", ca)
        finally:
            server.shutdown()
            thread.join()
