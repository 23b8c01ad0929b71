from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.hub.notification.signing import TOLERANCE_S, is_authentic, sign

PAGE = Path(__file__).parents[3] / "docs" / "notification.md"
SECRET, UID, BODY, AT_S = "0123456789abcdef0123456789abcdef", "coldchain-1", b'{"id":"coldchain-1"}', 1_792_908_000


def headers(**changes: str) -> dict[str, str]:
    return {
        "webhook-id": UID,
        "webhook-timestamp": str(AT_S),
        "webhook-signature": sign(SECRET, UID, AT_S, BODY),
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }


def test_it_is_what_standard_webhooks_publishes() -> None:
    """The example of github.com/standard-webhooks/standard-webhooks, libraries/python."""
    secret, uid, at_s = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330
    assert sign(secret, uid, at_s, b'{"test": 2432232314}') == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("given", "body", "now_s", "authentic"),
    [
        (headers(), BODY, AT_S + 1, True),
        (headers(), BODY, AT_S - TOLERANCE_S, True),
        (headers(), BODY, AT_S + TOLERANCE_S + 1, False),
        (headers(), BODY + b" ", AT_S, False),
        (headers(webhook_id="coldchain-2"), BODY, AT_S, False),
        (headers(webhook_timestamp=str(AT_S + 1)), BODY, AT_S, False),
        (headers(webhook_timestamp="soon"), BODY, AT_S, False),
        (headers(webhook_signature=""), BODY, AT_S, False),
        (headers(webhook_signature="v1,æ"), BODY, AT_S, False),
        (headers(webhook_signature="v1,AAAA " + sign(SECRET, UID, AT_S, BODY)), BODY, AT_S, True),  # keys are changing
        ({}, BODY, AT_S, False),
    ],
)
def test_a_receiver_believes_what_is_fresh_and_signed(
    given: dict[str, str],
    body: bytes,
    now_s: float,
    authentic: bool,  # noqa: FBT001  expected
) -> None:
    assert is_authentic(SECRET, given, body, now_s) is authentic


def test_the_lines_of_the_documentation_do_the_same() -> None:
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    names: dict[str, object] = {}
    exec(code[1], names)  # noqa: S102  our own page
    accept = names["accept"]
    assert callable(accept)
    assert accept(SECRET, headers(), BODY, AT_S) is True
    assert accept(SECRET, headers(), BODY, AT_S) is False  # a replay
    assert accept(SECRET, headers(webhook_id="coldchain-2"), BODY, AT_S) is False
    assert accept(SECRET, headers(), BODY, AT_S + TOLERANCE_S + 1) is False
