"""ID tokens: whether one is genuine, is meant for this hub, and answers this very request. Keys and moments come in.

OpenID Connect Core 1.0, section 3.1.3.7. Signatures and the times of claims are the library's work (joserfc).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, GuestProtocol, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from gateway.core.errors import ColdchainError

ALGORITHMS = {"RS256": "RSA", "ES256": "EC"}
"""Those of which only the provider has the secret half. With HS256 whoever reads the public key could sign."""
LEEWAY_S = 60
"""Clocks of two servers that ask NTP differ by less than a second; a minute forgives one that has lost it."""
RSA_BITS_MIN = 2048
KEYS_MAX = 50
HEADER_BYTES_MAX = 8192
"""Some providers carry their certificates along in each header."""

Key = RSAKey | ECKey


class TokenError(ColdchainError):
    """A token is not to be believed. Says why, without repeating what it holds."""


class UnknownKeyError(TokenError):
    """The token is signed with a key that the provider had not published when its keys were last read."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say. `now_s` and `begun_at_s` are Unix seconds of this machine's clock."""

    issuer: str
    client_id: str
    nonce: str
    begun_at_s: float
    now_s: float


def read_keys(published: Iterable[object]) -> list[Key]:
    """Return those published keys that can have signed an ID token; what is not understood is left out (RFC 7517)."""
    found = []
    for entry in list(published)[:KEYS_MAX]:
        key = _read_key(entry) if isinstance(entry, dict) else None
        if key is not None:
            found.append(key)
    return found


def read_id_token(text: str, keys: Sequence[Key], expected: Expected) -> Mapping[str, Any]:
    """Return the claims of a token; raises UnknownKeyError, and TokenError for everything else that is wrong."""

    def choose(token: GuestProtocol) -> Key:
        return _choose_key(token.headers(), keys)

    registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
    registry.max_header_length = HEADER_BYTES_MAX
    try:
        claims = jwt.decode(text, choose, list(ALGORITHMS), registry).claims
        _registry(expected).validate(claims)
    except JoseError as error:
        raise TokenError(str(error).removesuffix(": ")) from error
    except (ValueError, TypeError, RecursionError) as error:  # base64 and JSON of whatever was sent
        raise TokenError("is no token") from error
    _check_audience(claims, expected.client_id)
    _check_nonce(claims, expected.nonce)
    if claims["iat"] < expected.begun_at_s - LEEWAY_S:
        raise TokenError("iat: was issued before it was asked for")
    return claims


def _registry(expected: Expected) -> JWTClaimsRegistry:
    return JWTClaimsRegistry(
        now=int(expected.now_s),
        leeway=LEEWAY_S,
        iss={"essential": True, "value": expected.issuer},
        aud={"essential": True, "value": expected.client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience, party = claims["aud"], claims.get("azp")
    if isinstance(audience, list) and len(audience) > 1 and party is None:
        raise TokenError("azp: is missing, and the token is meant for several")
    if party is not None and party != client_id:
        raise TokenError("azp: was issued to another client")


def _check_nonce(claims: Mapping[str, Any], nonce: str) -> None:
    given = claims.get("nonce")
    if not isinstance(given, str) or not compare_digest(given.encode(), nonce.encode()):
        raise TokenError("nonce: does not answer this request")


def _choose_key(header: Mapping[str, Any], keys: Sequence[Key]) -> Key:
    algorithm, name = header.get("alg"), header.get("kid")
    kind = ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if kind is None:
        raise TokenError("alg: is neither RS256 nor ES256")
    fitting = [key for key in keys if key.key_type == kind and key.get("alg") in {None, algorithm}]
    chosen = [key for key in fitting if key.get("kid") == name] if name is not None else fitting
    if not chosen:
        raise UnknownKeyError("kid: no published key has this name")
    if len(chosen) > 1:
        raise TokenError("kid: more than one key fits")
    return chosen[0]


def _read_key(entry: dict[str, Any]) -> Key | None:
    if entry.get("use") not in {None, "sig"} or "d" in entry:
        return None
    try:
        if entry.get("kty") == "RSA":
            rsa = RSAKey.import_key(entry)
            return rsa if rsa.public_key.key_size >= RSA_BITS_MIN else None
        if entry.get("kty") == "EC" and entry.get("crv") == "P-256":
            return ECKey.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    return None
