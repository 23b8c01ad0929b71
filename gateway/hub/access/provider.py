"""The provider of identities, over HTTP: its discovery document, its keys, and the exchange of a code for a token.

Every request is bounded in time and size, follows no redirect, and goes only where the discovery document says, which
must be safe from listeners. Blocking: call it from a thread.
"""

from __future__ import annotations

import ssl
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from threading import BoundedSemaphore
from typing import Any, Generic, TypeVar
from urllib.parse import quote_plus, urlencode

import httpx
import msgspec

from gateway.core.errors import ColdchainError
from gateway.hub.access.id_tokens import Expected, Key, UnknownKeyError, read_id_token, read_keys
from gateway.hub.access.oidc_settings import OidcSettings, is_safe

TIMEOUT_S = 5.0
"""For each step of a request. A provider answers within a second, or nobody in the house can log in anywhere."""
WHOLE_S = 10.0
"""For a request altogether: a server that sends a byte now and then keeps nobody waiting longer."""
BYTES_MAX = 256 * 1024
"""Of an answer: discovery documents and key sets are some KiB, tokens with hundreds of groups tens of them."""
AT_ONCE = 8
"""Requests under way: whoever waits for a provider that hangs must not keep pages from those who are logged in."""
FRESH_S = 3600.0
"""How long documents and keys are believed without being read again."""
AGAIN_S = 5.0
"""Keys are read again for a name that is not among them, but not more often than this."""
DISCOVERY = "/.well-known/openid-configuration"


class ProviderError(ColdchainError):
    """The provider cannot be reached, or does not answer as it must. Says why; holds no secret."""


class _Discovery(msgspec.Struct):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


class _Tokens(msgspec.Struct):
    id_token: str


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    value: T
    read_at_s: float


class Provider:
    """One provider, as the settings name it. Safe among threads.

    back         where it sends people's browsers, as it is registered there
    monotonic_s  what the age of documents and the length of requests are counted in
    """

    def __init__(self, settings: OidcSettings, secret: str, back: str, monotonic_s: Callable[[], float]) -> None:
        self._settings = settings
        self._secret = secret
        self._back = back
        self._monotonic_s = monotonic_s
        self._trusted: ssl.SSLContext | None = None
        self._places = BoundedSemaphore(AT_ONCE)
        self._discovery: _Kept[_Discovery] | None = None
        self._keys: _Kept[Sequence[Key]] | None = None

    def authorization_url(self, state: str, nonce: str, verifier: str, *, anew: bool) -> str:
        """Return where a browser goes to log in; `anew`: even if it is logged in there. Raises ProviderError."""
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")
        values = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._back,
            "scope": " ".join(self._settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | ({"prompt": "login", "max_age": "0"} if anew else {})
        return _extend(self._discover().authorization_endpoint, values)

    def logout_url(self, back: str) -> str:
        """Return where a browser logs out of the provider too, "" if that is not offered. Raises ProviderError."""
        endpoint = self._discover().end_session_endpoint
        values = {"client_id": self._settings.client_id, "post_logout_redirect_uri": back}
        return _extend(endpoint, values) if endpoint else ""

    def check_issuer(self, stated: str | None) -> None:
        """Raise ProviderError unless an answer came from this provider, as far as it says from whom (RFC 9207)."""
        if stated is None and not self._discover().authorization_response_iss_parameter_supported:
            return
        if stated != self._settings.issuer:
            raise ProviderError("the answer does not come from the issuer that was asked")

    def exchange(self, code: str, verifier: str) -> str:
        """Return the ID token for a code. Raises ProviderError."""
        discovery = self._discover()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back,
            "code_verifier": verifier,
        }
        headers, client = self._authenticate(discovery.token_endpoint_auth_methods_supported)
        body = self._request("POST", discovery.token_endpoint, form | client, headers)
        return _decode(body, _Tokens, "the answer to the code").id_token

    def read_token(self, text: str, expected: Expected) -> Mapping[str, Any]:
        """Return an ID token's claims, reading the keys again if it has a new one. Raises TokenError, ProviderError."""
        keys = self._known_keys()
        try:
            return read_id_token(text, keys.value, expected)
        except UnknownKeyError:
            if self._monotonic_s() - keys.read_at_s < AGAIN_S:
                raise
        return read_id_token(text, self._read_keys().value, expected)

    def _discover(self) -> _Discovery:
        kept, now_s = self._discovery, self._monotonic_s()
        if kept is not None and now_s - kept.read_at_s < FRESH_S:
            return kept.value
        issuer = self._settings.issuer
        found = _decode(self._request("GET", issuer.rstrip("/") + DISCOVERY), _Discovery, "its discovery document")
        if found.issuer != issuer:
            raise ProviderError("its discovery document is another issuer's")
        endpoints = [found.authorization_endpoint, found.token_endpoint, found.jwks_uri]
        if not all(is_safe(url) for url in (*endpoints, found.end_session_endpoint or issuer)):
            raise ProviderError("its discovery document names an address that anybody between could listen to")
        self._discovery = _Kept(found, now_s)
        return found

    def _known_keys(self) -> _Kept[Sequence[Key]]:
        kept = self._keys
        is_fresh = kept is not None and self._monotonic_s() - kept.read_at_s < FRESH_S
        return kept if kept is not None and is_fresh else self._read_keys()

    def _read_keys(self) -> _Kept[Sequence[Key]]:
        now_s = self._monotonic_s()
        published = _decode(self._request("GET", self._discover().jwks_uri), _KeySet, "its key set").keys
        self._keys = _Kept(read_keys(published), now_s)
        return self._keys

    def _authenticate(self, methods: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return headers and fields by which the hub shows that it is the client (RFC 6749, section 2.3.1)."""
        client_id = self._settings.client_id
        if not self._secret:
            return {}, {"client_id": client_id}
        if "client_secret_basic" in methods or "client_secret_post" not in methods:
            both = f"{quote_plus(client_id)}:{quote_plus(self._secret)}"
            return {"Authorization": f"Basic {b64encode(both.encode()).decode()}"}, {}
        return {}, {"client_id": client_id, "client_secret": self._secret}

    def _request(
        self, method: str, url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        if not self._places.acquire(blocking=False):
            raise ProviderError("too many logins wait for it")
        try:
            return self._fetch(method, url, form, _PLAIN | dict(headers or {}))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderError(f"{type(error).__name__} at {_place(url)}") from error
        finally:
            self._places.release()

    def _fetch(self, method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]) -> bytes:
        until_s, body = self._monotonic_s() + WHOLE_S, bytearray()
        with (
            # A proxy of the environment would decide where it goes, and no redirect does.
            httpx.Client(timeout=TIMEOUT_S, verify=self._certificates(), trust_env=False, follow_redirects=False) as to,
            to.stream(method, url, data=form, headers=headers) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise ProviderError(f"answers {answer.status_code} at {_place(url)}")
            for chunk in answer.iter_raw():  # as it comes: nothing is unpacked, and no byte waits for others
                body += chunk
                if len(body) > BYTES_MAX:
                    raise ProviderError(f"answers more than {BYTES_MAX // 1024} KiB at {_place(url)}")
                if self._monotonic_s() > until_s:
                    raise ProviderError(f"takes more than {WHOLE_S:.0f} s to answer at {_place(url)}")
        return bytes(body)

    def _certificates(self) -> ssl.SSLContext:
        if self._trusted is None:
            self._trusted = ssl.create_default_context(cafile=self._settings.ca_file)
        return self._trusted


_PLAIN = {"Accept": "application/json", "Accept-Encoding": "identity"}

D = TypeVar("D", bound=msgspec.Struct)


def _decode(body: bytes, shape: type[D], what: str) -> D:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProviderError(f"{what} is not as the standard has it") from error


def _extend(url: str, values: Mapping[str, str]) -> str:
    return url + ("&" if "?" in url else "?") + urlencode(values)


def _place(url: str) -> str:
    """Scheme, host and path: a query may hold what must not be written down."""
    return url.partition("?")[0]
