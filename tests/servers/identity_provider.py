"""An OpenID Connect provider of one's own, as a process: real keys, real HTTP, and moods in which it misbehaves.

It signs with `cryptography` alone, so that the hub's library meets tokens that it has not made itself.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import json
import secrets
import subprocess
import sys
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote_plus, urlencode

import httpx
import uvicorn
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse

from tests.servers.ports import free_port

CLIENT = "coldchain hub"
SECRET = "s3cr:t/ of the client"
START_TIMEOUT_S = 60
ROOT = Path(__file__).parents[2]

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Provider:
    """The process as tests see it."""

    def __init__(self, url: str) -> None:
        self.url = url
        # One client for all: each new one reads the certificates of the whole world, for plain HTTP to this machine.
        # No connection is kept: the provider may be closing it in the moment in which it is used again.
        fresh = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(base_url=url, timeout=START_TIMEOUT_S, trust_env=False, verify=False, limits=fresh)  # noqa: S501  no TLS

    def set(self, **wanted: object) -> None:
        """Set its mood ("" for none), who logs in (`person`), its keys' kind ("RSA", "EC"), or rotate them."""
        self._http.post("/control", json=wanted).raise_for_status()

    def seen(self) -> dict[str, Any]:
        """How often each endpoint was asked since the last setting of a mood, and the last form that came."""
        found: dict[str, Any] = self._http.get("/control").json()
        return found

    def leave(self) -> None:
        """Ask nothing more."""
        self._http.close()


@contextmanager
def running_provider() -> Iterator[Provider]:
    """Run one until the end of the block."""
    port = free_port()
    command = [sys.executable, "-m", "tests.servers.identity_provider", str(port)]
    provider = Provider(f"http://127.0.0.1:{port}")
    with subprocess.Popen(command, cwd=ROOT) as process:  # noqa: S603  our own interpreter
        try:
            for _ in range(START_TIMEOUT_S * 20):
                try:
                    provider.seen()
                    break
                except httpx.TransportError:
                    assert process.poll() is None, "the provider has ended"
                    time.sleep(0.05)
            yield provider
        finally:
            provider.leave()
            process.kill()  # it may be hanging, on purpose


def make_key(kind: str) -> PrivateKey:
    return rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())


def to_jwk(kid: str, key: PrivateKey) -> dict[str, str]:
    if isinstance(key, rsa.RSAPrivateKey):
        rsa_numbers = key.public_key().public_numbers()
        modulus, exponent = _integer(rsa_numbers.n, 256), _integer(rsa_numbers.e, 3)
        return {"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": modulus, "e": exponent}
    numbers = key.public_key().public_numbers()
    return {"kty": "EC", "kid": kid, "crv": "P-256", "x": _integer(numbers.x, 32), "y": _integer(numbers.y, 32)}


def sign(header: dict[str, object], claims: dict[str, object], key: PrivateKey) -> str:
    """Return a token, signed as its header's alg says, also where no honest provider would."""
    text = f"{_pack(json.dumps(header).encode())}.{_pack(json.dumps(claims).encode())}"
    return f"{text}.{_pack(_sign(str(header['alg']), text.encode(), key))}"


def _sign(algorithm: str, data: bytes, key: PrivateKey) -> bytes:
    if algorithm == "none":
        return b""
    if algorithm == "HS256":
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hmac.new(public, data, sha256).digest()
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _integer(number: int, length: int) -> str:
    return _pack(number.to_bytes(length, "big"))


def _pack(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


class State:
    """What it knows."""

    def __init__(self) -> None:
        self.mood = ""
        self.kind = "RSA"
        self.person: dict[str, object] = {"sub": "kari-1"}
        self.kid = 0
        self.key = make_key(self.kind)
        self.codes: dict[str, dict[str, Any]] = {}
        self.logged_in_at = int(time.time())
        self.counts: dict[str, int] = {}
        self.form: dict[str, str] = {}

    def rotate(self) -> None:
        self.kid += 1
        self.key = make_key(self.kind)

    def make_token(self, issuer: str, way: dict[str, Any]) -> str:
        now_s = int(time.time())
        claims: dict[str, object] = {
            "iss": issuer,
            "aud": CLIENT,
            "iat": now_s,
            "exp": now_s + 300,
            "nonce": way["nonce"],
            "auth_time": way["auth_time"],
            **self.person,
        }
        algorithm = "RS256" if self.kind == "RSA" else "ES256"
        header: dict[str, object] = {"alg": algorithm, "kid": str(self.kid), "typ": "JWT"}
        key = self.key
        wrong: dict[str, dict[str, object]] = {
            "wrong nonce": {"nonce": "another"},
            "no nonce": {"nonce": None},
            "wrong aud": {"aud": "another client"},
            "several aud": {"aud": [CLIENT, "another client"]},
            "wrong azp": {"azp": "another client"},
            "right azp": {"aud": [CLIENT, "another client"], "azp": CLIENT},
            "wrong iss": {"iss": issuer + "/other"},
            "expired": {"exp": now_s - 61, "iat": now_s - 30},
            "just expired": {"exp": now_s - 5, "iat": now_s - 10},
            "no exp": {"exp": None},
            "issued before": {"iat": now_s - 3600},
            "from the future": {"iat": now_s + 3600},
            "stale": {"auth_time": now_s - 3600},
            "no auth_time": {"auth_time": None},
        }
        claims |= wrong.get(self.mood, {})
        if self.mood in {"none", "HS256"}:
            header["alg"] = self.mood
        elif self.mood == "unpublished key":
            key = make_key(self.kind)
        elif self.mood == "unknown key":
            header["kid"] = "nobody's"
        elif self.mood == "no kid":
            del header["kid"]
        return sign(header, {name: value for name, value in claims.items() if value is not None}, key)


def make_app(issuer: str) -> FastAPI:  # noqa: C901, PLR0915  one provider, one function for each endpoint
    app, state = FastAPI(), State()

    def count(name: str) -> Response | None:
        state.counts[name] = state.counts.get(name, 0) + 1
        if state.mood == f"{name} fails":
            return Response(status_code=500)
        if state.mood == f"{name} redirects":
            return RedirectResponse(f"{issuer}/elsewhere", 307)
        if state.mood == f"{name} is huge":
            return Response(b'{"id_token": "' + b"x" * 300_000 + b'"}')
        if state.mood == f"{name} drips":
            return StreamingResponse(_drip())
        return None

    @app.post("/control")
    def control(wanted: dict[str, Any]) -> None:
        state.mood = wanted.get("mood", "")
        state.person = wanted.get("person", state.person)
        state.counts.clear()
        if wanted.get("kind", state.kind) != state.kind or wanted.get("rotate"):
            state.kind = wanted.get("kind", state.kind)
            state.rotate()

    @app.get("/control")
    def show() -> dict[str, Any]:
        return {"counts": state.counts, "form": state.form}

    @app.get("/.well-known/openid-configuration", response_model=None)
    def discover() -> Response | dict[str, object]:
        return count("discovery") or {
            "issuer": issuer + ("/" if state.mood == "another issuer" else ""),
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": "http://192.0.2.1/token" if state.mood == "in clear" else f"{issuer}/token",
            "jwks_uri": f"{issuer}/keys",
            "end_session_endpoint": f"{issuer}/logout",
            "authorization_response_iss_parameter_supported": True,
        }

    @app.get("/keys", response_model=None)
    def publish() -> Response | dict[str, object]:
        odd = {"kty": "AKP", "kid": "of tomorrow", "alg": "ML-DSA-44", "pub": "AA"}
        return count("keys") or {"keys": [odd, to_jwk(str(state.kid), state.key)]}

    @app.get("/authorize", response_model=None)
    def authorize(request: Request) -> Response:
        asked = dict(request.query_params)
        state.form = asked
        if state.mood == "asks":
            fields = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in asked.items())
            return HTMLResponse(f'<form method="post" action="/authorize">{fields}<button>It is me</button></form>')
        return agree(asked)

    @app.post("/authorize", response_model=None)
    async def confirm(request: Request) -> Response:
        return agree({name: str(value) for name, value in (await request.form()).items()})

    def agree(asked: dict[str, str]) -> Response:
        if asked.get("prompt") == "login":
            state.logged_in_at = int(time.time())
        code = secrets.token_urlsafe(16)
        state.codes[code] = {**asked, "auth_time": state.logged_in_at}
        answer = {"state": asked["state"], "iss": issuer, "code": code}
        if state.mood == "refuses":
            answer = {"state": asked["state"], "iss": issuer, "error": "access_denied"}
        elif state.mood == "mixed up":
            answer["iss"] = "https://another.example"
        elif state.mood == "no iss":
            del answer["iss"]
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 302)

    @app.post("/token", response_model=None)
    async def exchange(
        request: Request,
        code: Annotated[str, Form()],
        redirect_uri: Annotated[str, Form()],
        code_verifier: Annotated[str, Form()],
        grant_type: Annotated[str, Form()],
    ) -> Response:
        if state.mood == "token hangs":
            await asyncio.sleep(START_TIMEOUT_S)
        special = count("token")
        if special is not None:
            return special
        given = b64decode(request.headers.get("authorization", "Basic ").removeprefix("Basic ")).decode()
        if [unquote_plus(part) for part in given.split(":")] != [CLIENT, SECRET]:
            return JSONResponse({"error": "invalid_client"}, 401)
        way = state.codes.pop(code, None)
        challenge = _pack(sha256(code_verifier.encode()).digest())
        is_right = way is not None and way["redirect_uri"] == redirect_uri and way["code_challenge"] == challenge
        if way is None or not is_right or grant_type != "authorization_code":
            return JSONResponse({"error": "invalid_grant"}, 400)
        if state.mood == "garbage":
            return Response("<html>")
        if state.mood == "no token":
            return JSONResponse({"id_token": "a.b"})
        token = state.make_token(issuer, way)
        return JSONResponse({"access_token": "unused", "token_type": "Bearer", "id_token": token})

    @app.get("/logout")
    def log_out(client_id: str, post_logout_redirect_uri: str) -> HTMLResponse:
        state.form = {"client_id": client_id, "post_logout_redirect_uri": post_logout_redirect_uri}
        return HTMLResponse("<h1>Logged out of everything</h1>")

    return app


async def _drip() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    port = parser.parse_args().port
    uvicorn.run(make_app(f"http://127.0.0.1:{port}"), host="127.0.0.1", port=port, log_level="error")
