"""The content of a segment: exact there and back, and one kind of error for whatever else arrives."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.contents import BODY_BYTES_MAX, RECORDS_MAX, Content, decode_content, encode_content
from gateway.core.errors import ContentError
from gateway.core.observations import Observation, Source
from gateway.core.records import AnyRecord, ClockCorrection, CustodyEvent, DeviceFault, Health, MemoryRead
from tests.core.specimens import examples
from tests.core.trips import observe, observe_all, steady

integers = st.integers(-(1 << 40), 1 << 40)
loggers = (
    st.sampled_from(["C0:FF:EE:00:00:01", "c0:ff:ee:00:00:01", "00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF"]) | st.text()
)
observations = st.builds(
    Observation,
    logger=loggers,
    source=st.sampled_from(Source),
    measured_at_ms=integers,
    clock_trusted=st.booleans(),
    monotonic_ms=integers,
    interval_s=st.integers(0, 86_400),
    temperature_mc=integers,
    counter=st.none() | integers,
    humidity_cpct=st.none() | integers,
    battery_mv=st.none() | integers,
    time_error_ms=integers,
)
texts, counts = st.text(max_size=8), st.dictionaries(st.text(max_size=8), integers, max_size=3)
records: st.SearchStrategy[AnyRecord] = st.one_of(
    st.builds(CustodyEvent, integers, st.booleans(), texts, texts, texts, texts, texts, texts),
    st.builds(ClockCorrection, integers, st.booleans(), integers, integers, texts),
    st.builds(DeviceFault, integers, st.booleans(), texts, texts, counts),
    st.builds(MemoryRead, integers, st.booleans(), texts, integers, integers, integers, integers, st.booleans()),
    st.builds(Health, integers, st.booleans(), counts),
)
contents = st.builds(
    Content,
    observations=st.lists(observations, max_size=8).map(tuple),
    records=st.lists(records, max_size=4).map(tuple),
)


def refusal_of(data: bytes) -> ContentError | None:
    """The error with which it is refused; any other exception is a fault."""
    try:
        decode_content(data)
    except ContentError as error:
        return error
    return None


BUSY = Content(
    observations=tuple(
        dataclasses.replace(one, counter=place % 65_536, battery_mv=2990, humidity_cpct=4000 + place % 7)
        for place, one in enumerate(observe_all(steady(5.0, 0, 30, 0.5)))
    ),
    records=(
        CustodyEvent(1, True, "loaded", "BOX-1", holder="NURSE-7"),
        ClockCorrection(2, True, 3, 4, "ntp"),
        DeviceFault(3, False, "C0:FF:EE:00:00:01", "low_battery", {"battery_mv": 2100}),
        MemoryRead(4, True, "C0:FF:EE:00:00:01", 0, 300_000, 12, 3, complete=True),
        Health(5, True, {"heard": 7}),
    ),
)


@examples
@given(contents)
def test_what_is_decoded_is_what_was_encoded(content: Content) -> None:
    assert decode_content(encode_content(content)) == content


def test_records_of_each_kind_keep_their_kind() -> None:
    decoded = decode_content(encode_content(BUSY))
    assert decoded == BUSY
    assert [type(record) for record in decoded.records] == [type(record) for record in BUSY.records]


def test_nothing_is_something() -> None:
    assert decode_content(encode_content(Content())) == Content()
    assert len(Content()) == 0


def test_a_full_segment_is_small() -> None:
    full = Content(tuple(observe_all(steady(5.0, 0, RECORDS_MAX / 2, 0.5))))
    assert len(full) == RECORDS_MAX
    encoded = encode_content(full)
    assert len(encoded) < 64 * 1024
    assert decode_content(encoded) == full


def test_more_than_a_segment_holds_is_refused_on_both_sides() -> None:
    too_many = tuple(observe(0, 5) for _ in range(RECORDS_MAX + 1))
    with pytest.raises(ValueError, match="4097 records"):
        encode_content(Content(too_many))
    with pytest.raises(ContentError, match="content_count"):
        decode_content(b"\x00" + msgspec.msgpack.encode([[["x", 0, 1, 1 << 30]], [], [], [], [], [], [], [], [], []]))


@pytest.mark.parametrize("encoded", [encode_content(BUSY), encode_content(Content(BUSY.observations[:1]))])
def test_every_truncation_is_an_error_with_a_reason(encoded: bytes) -> None:
    for size in range(len(encoded)):
        with pytest.raises(ContentError):
            decode_content(encoded[:size])


@examples
@given(st.sampled_from([encode_content(BUSY), encode_content(Content(BUSY.observations[:2]))]), st.data())
def test_a_flipped_bit_is_an_error_or_another_content_and_never_another_exception(
    encoded: bytes, data: st.DataObject
) -> None:
    bit = data.draw(st.integers(0, len(encoded) * 8 - 1))
    flipped = bytearray(encoded)
    flipped[bit // 8] ^= 1 << bit % 8
    if refusal_of(bytes(flipped)) is None:
        assert len(decode_content(bytes(flipped))) <= RECORDS_MAX


def test_text_that_is_no_text_is_an_error_with_a_reason() -> None:
    encoded = b"\x00" + msgspec.msgpack.encode([[["abc", 0, 1, 0]], [], [], [], [], [], [], [], [], []])
    with pytest.raises(ContentError, match="content_malformed"):
        decode_content(encoded.replace(b"abc", b"a\xc5c"))


@examples
@given(st.binary(max_size=200))
def test_whatever_arrives_is_a_content_or_an_error_with_a_reason(data: bytes) -> None:
    for kind in (b"", b"\x00", b"\x01", b"\x02"):
        error = refusal_of(kind + data)
        assert error is None or (error.code.startswith("content_") and error.reason)


scalars = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text(max_size=5)
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=10), max_leaves=30)
bodies = st.tuples(
    st.lists(st.tuples(st.text(max_size=3) | integers, st.integers(-3, 3), integers, st.integers(-3, 5)), max_size=3),
    *[st.lists(st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1), max_size=5)] * 8,
    st.lists(trees, max_size=2),
)


@examples
@given(trees | bodies)
def test_a_well_formed_body_of_another_shape_is_an_error_with_a_reason(tree: object) -> None:
    error = refusal_of(b"\x00" + msgspec.msgpack.encode(tree))
    assert error is None or error.reason


def test_what_would_unpack_to_more_than_a_body_is_not_unpacked() -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=True).compress(bytes(BODY_BYTES_MAX + 1))
    assert len(bomb) < 1000
    with pytest.raises(ContentError, match="content_size"):
        decode_content(b"\x01" + bomb)


def test_a_frame_that_hides_its_size_is_not_unpacked() -> None:
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(100))
    with pytest.raises(ContentError, match="content_size"):
        decode_content(b"\x01" + hidden)


def test_a_plain_body_has_the_same_bound() -> None:
    with pytest.raises(ContentError):
        decode_content(b"\x00" + bytes(BODY_BYTES_MAX + 1))
