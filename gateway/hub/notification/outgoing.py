"""What leaves by a channel, and that it did not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.errors import ColdchainError

TIMEOUT_S = 10.0
"""For each step: an alert that is later than that is better tried again."""


class DeliveryError(ColdchainError):
    """A channel did not take a message. Says why, and nothing of the channel's address."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What leaves. `uid` is the same however often it is sent; `document` is for programs."""

    uid: str
    title: str
    text: str
    document: Mapping[str, object]
