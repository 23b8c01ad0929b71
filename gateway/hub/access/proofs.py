"""Proofs that the owner of a session has shown once more who they are: for one purpose, one use, a few minutes.

A proof is a row and no secret: whoever uses it shows the session that it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import delete, select
from sqlalchemy.sql import ColumnElement

from gateway.core.errors import InputError
from gateway.hub.access.tokens import hash_secret
from gateway.hub.database.schema import proofs
from gateway.hub.database.store import Store, replace_row

PROOF_MS = 300_000
"""From the provider's page to the button: the signer has read it already, and now reads what the button says."""
PURPOSE_MAX = 200
_PURPOSE = re.compile(r"[a-z]{1,20}(:[A-Za-z0-9._-]{1,100}){1,5}")


def check_purpose(text: str) -> str:
    """Return what can be a purpose: words and codes between colons. Raises InputError naming `for`."""
    if len(text) > PURPOSE_MAX or not _PURPOSE.fullmatch(text):
        raise InputError("for", 'is not what can be signed, such as "breach:4:reviewed:<hash>"')
    return text


class Proofs:
    """Keeps and takes proofs. Blocking: call it from a thread."""

    def __init__(self, store: Store, real_ms: Callable[[], int]) -> None:
        self._store = store
        self._real_ms = real_ms

    def add(self, session: str, account: str, purpose: str) -> None:
        """Keep that an account's owner has just shown who they are, in a session, for a purpose."""
        now_ms = self._real_ms()
        with self._store.write() as connection:
            connection.execute(delete(proofs).where(proofs.c.expires_at_ms <= now_ms))
            replace_row(
                connection,
                proofs,
                session_hash=hash_secret(session),
                purpose=purpose,
                account=account,
                expires_at_ms=now_ms + PROOF_MS,
            )

    def is_there(self, session: str, account: str, purpose: str) -> bool:
        """Whether there is one to take, so that a page can offer to sign."""
        with self._store.read() as connection:
            wanted = select(proofs.c.account).where(self._fits(session, account, purpose))
            return connection.execute(wanted).first() is not None

    def take(self, session: str, account: str, purpose: str) -> bool:
        """Use a proof up; say whether there was one."""
        with self._store.write() as connection:
            taken = delete(proofs).where(self._fits(session, account, purpose)).returning(proofs.c.account)
            return connection.execute(taken).first() is not None

    def _fits(self, session: str, account: str, purpose: str) -> ColumnElement[bool]:
        return (
            (proofs.c.session_hash == hash_secret(session))
            & (proofs.c.purpose == purpose)
            & (proofs.c.account == account)
            & (proofs.c.expires_at_ms > self._real_ms())
        )
