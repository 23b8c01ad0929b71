"""Timestamps of an authority (RFC 3161): proof that a document was there at a moment, from somebody who is not the hub.

What is kept is the authority's whole answer; `openssl ts -verify -in FILE.tsr -data FILE.json` checks it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha512
from pathlib import Path

import httpx
from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import TimestampRequestBuilder, VerificationError, VerifierBuilder, decode_timestamp_response

from gateway.core.errors import ColdchainError, InputError

TIMEOUT_S = 30.0
"""Authorities answer within a second."""
ANSWER_BYTES_MAX = 256 * 1024
"""An answer with its chain of certificates has 3 to 10 KiB."""
GRANTED = (0, 1)


class TimestampError(ColdchainError):
    """The authority did not answer with a timestamp, or a timestamp proves nothing about the document."""


def request_timestamp(url: str, document: bytes) -> bytes:
    """Return the answer of the authority at `url`; raises TimestampError. Blocks."""
    request = TimestampRequestBuilder().data(document).build()
    headers = {"Content-Type": "application/timestamp-query"}
    try:
        answer = httpx.post(url, content=request.as_bytes(), headers=headers, timeout=TIMEOUT_S)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise TimestampError(f"{type(error).__name__}: {error}") from error
    data = answer.content
    if len(data) > ANSWER_BYTES_MAX:
        raise TimestampError(f"an answer of {len(data)} bytes is no timestamp")
    try:
        response = decode_timestamp_response(data)
        if response.status not in GRANTED:
            raise TimestampError(f"refused: {'; '.join(response.status_string) or response.status}")
        stamped = response.tst_info
    except ValueError as error:
        raise TimestampError(f"what answered is no time-stamping authority: {error}") from error
    if stamped.message_imprint.message != sha512(document).digest() or stamped.nonce != request.nonce:
        raise TimestampError("the timestamp is of something else")
    return data


def check_timestamp(answer: bytes, document: bytes, roots: Sequence[Certificate]) -> datetime:
    """Return when the document was there, as an authority under one of `roots` says; raises TimestampError."""
    try:
        response = decode_timestamp_response(answer)
        VerifierBuilder(roots=list(roots)).build().verify_message(response, document)
    except (VerificationError, ValueError) as error:
        raise TimestampError(str(error)) from error
    return response.tst_info.gen_time


def read_roots(path: Path) -> list[Certificate]:
    """Return the certificates of a PEM file; raises InputError."""
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError("--tsa-ca", f"holds no certificates: {error}", where=str(path)) from error
