"""MQTT topics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InputError
from gateway.core.topics import LEAVES, parse_topic, topic_of
from tests.core.specimens import examples


@pytest.mark.parametrize("leaf", LEAVES)
def test_there_and_back(leaf: str) -> None:
    assert topic_of("VAN-1", leaf) == f"coldchain/v1/VAN-1/{leaf}"
    assert parse_topic(topic_of("VAN-1", leaf)) == ("VAN-1", leaf)


@pytest.mark.parametrize("gateway", ["", "a/b", "+", "#", "VAN+1", "van 1", "VAN#1", "$SYS"])
def test_a_gateway_that_cannot_stand_in_a_topic_is_refused(gateway: str) -> None:
    with pytest.raises(InputError) as caught:
        topic_of(gateway, "log")
    assert caught.value.field == "gateway"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "coldchain",
        "coldchain/v1/VAN-1",
        "coldchain/v1/VAN-1/log/more",
        "coldchain/v2/VAN-1/log",
        "other/v1/VAN-1/log",
        "coldchain/v1/VAN-1/logs",
        "coldchain/v1//log",
        "coldchain/v1/van 1/log",
        "coldchain/v1/+/log",
        "coldchain/v1/VAN+1/log",
        "/coldchain/v1/VAN-1/log",
    ],
)
def test_another_topic_is_refused(topic: str) -> None:
    with pytest.raises(InputError):
        parse_topic(topic)


@examples
@given(st.text(max_size=40))
def test_any_text_is_a_topic_or_an_error(text: str) -> None:
    for topic in (text, f"coldchain/v1/{text}/log"):
        try:
            gateway, leaf = parse_topic(topic)
        except InputError:
            continue
        assert topic == f"coldchain/v1/{gateway}/{leaf}"
        assert topic_of(gateway, leaf) == topic
