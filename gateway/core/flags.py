"""Breach flags: what a gateway tells the hub at once, over HTTP, before its log arrives.

A flag only accelerates. The hub raises the same breach from the archive; `key` makes both one breach.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gateway.core.configuration import Code
from gateway.core.errors import InputError
from gateway.core.identifiers import refuse_identity_number
from gateway.core.profiles import Celsius, Identifier, Model
from gateway.core.segments import Position
from gateway.core.verdicts import Breach, BreachKind, Judgement

KEY_LENGTH = 32
"""Hexadecimal digits of a key: 128 bits, so that no two breaches of a nation share one."""
FLAG_BYTES_MAX = 8 * 1024
"""A flag takes some 600 bytes; this leaves room for the longest codes in any escaping."""

_EVENTS = frozenset({BreachKind.SINGLE, BreachKind.FORBIDDEN})
_SEPARATOR = "|"
_FAR_FUTURE_MS = 1 << 48


def _not_an_identity(text: str) -> str:
    try:
        return refuse_identity_number("text", text)
    except InputError as error:
        raise ValueError(error.reason) from error


Name = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_not_an_identity)]
"""A short text that is not a code: the name of an examination or a rule."""
Moment = Annotated[int, Field(strict=True, ge=0, lt=_FAR_FUTURE_MS)]
"""UTC in milliseconds."""
Version = Annotated[int, Field(strict=True, ge=0, lt=1 << 31)]


def breach_key(
    *, consignment: str, item: str, examination: str, rule: str, kind: BreachKind, started_at_ms: int
) -> str:
    """Return the identity of a breach: the same on the vehicle and at the hub.

    Cumulative, life and deadline breaches are one for each (item, examination, rule); single and forbidden ones are one
    for each stretch, named by its start. What separates the parts cannot occur in codes.
    """
    parts = [consignment, item, examination, rule, kind.value]
    if kind in _EVENTS:
        parts.append(str(started_at_ms))
    return sha256(_SEPARATOR.join(parts).encode()).hexdigest()[:KEY_LENGTH]


class BreachFlag(Model):
    """One breach as a gateway saw it.

    profile_version  of the profile that judged
    config_version   of the configuration that the gateway obeyed
    extreme_c        hottest or coldest reading so far; None for lives and deadlines
    minutes          time beyond the limit so far
    epoch, offset    where the triggering observation is sealed in the gateway's log (epoch in hexadecimal)
    """

    key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    gateway: Code
    consignment: Code
    item: Code
    examination: Name
    profile: Identifier
    profile_version: Version
    config_version: Version
    rule: Name
    kind: BreachKind
    started_at_ms: Moment
    triggered_at_ms: Moment
    extreme_c: Celsius | None = None
    minutes: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
    epoch: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    offset: Annotated[int, Field(strict=True, ge=0, lt=1 << 32)]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        expected = breach_key(
            consignment=self.consignment,
            item=self.item,
            examination=self.examination,
            rule=self.rule,
            kind=self.kind,
            started_at_ms=self.started_at_ms,
        )
        if self.key != expected:
            raise ValueError(f"key is not the one of this breach ({expected})")
        if self.triggered_at_ms < self.started_at_ms:
            raise ValueError("triggered_at_ms is before started_at_ms")
        return self

    @property
    def position(self) -> Position:
        """Where the trigger is sealed."""
        return Position(bytes.fromhex(self.epoch), self.offset)


def flag_breach(
    breach: Breach, judgement: Judgement, *, gateway: str, config_version: int, position: Position
) -> BreachFlag:
    """Return the flag for one breach of one judgement, sealed at `position` of the gateway's log."""
    key = breach_key(
        consignment=judgement.consignment,
        item=judgement.item,
        examination=judgement.examination,
        rule=breach.rule,
        kind=breach.kind,
        started_at_ms=breach.started_at_ms,
    )
    return BreachFlag(
        key=key,
        gateway=gateway,
        consignment=judgement.consignment,
        item=judgement.item,
        examination=judgement.examination,
        profile=judgement.profile,
        profile_version=judgement.profile_version,
        config_version=config_version,
        rule=breach.rule,
        kind=breach.kind,
        started_at_ms=breach.started_at_ms,
        triggered_at_ms=breach.triggered_at_ms,
        extreme_c=breach.extreme_c,
        minutes=breach.minutes,
        epoch=position.epoch.hex(),
        offset=position.offset,
    )
