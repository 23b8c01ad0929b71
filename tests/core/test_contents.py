"""The content of a segment: exact there and back, and one kind of error for whatever else arrives."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.core.contents import BODY_BYTES_MAX, RECORDS_MAX, Content, decode_content, encode_content
from gateway.core.errors import ContentError
from gateway.core.observations import Observation, Source
from gateway.core.packing import Reader, pack_column, pack_varint, unpack_column
from gateway.core.records import AnyRecord, ClockCorrection, CustodyEvent, DeviceFault, Health, MemoryRead, Withdrawal
from tests.core.specimens import examples
from tests.core.trips import observe, observe_all, steady

integers = st.integers(-(1 << 40), 1 << 40)
loggers = (
    st.sampled_from(
        ["C0:FF:EE:00:00:01", "c0:ff:ee:00:00:01", "00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF", "GG:00:00:00:00:00"]
    )
    | st.text()
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
    st.builds(Withdrawal, integers, st.booleans(), texts, texts),
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
        structs.replace(one, counter=place % 65_536, battery_mv=2990, humidity_cpct=4000 + place % 7)
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
        decode_content(b"\x00" + pack_varint(RECORDS_MAX + 1) + bytes(200))


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


ONE = b"\x00" + pack_varint(1)
"""The beginning of a plain body with one observation."""
ADDRESS = b"\x00" + pack_varint(1) + bytes(6)


@pytest.mark.parametrize("source", [-1, 2, None])
def test_a_source_that_is_not_known_is_an_error(source: int | None) -> None:
    with pytest.raises(ContentError, match="content_source"):
        decode_content(ONE + ADDRESS + pack_column([0], ()) + pack_column([source], ()))


@pytest.mark.parametrize("loggers", [b"\x00" + pack_varint(1 << 60), b"\x02" + pack_varint(1) + bytes(6)])
def test_loggers_of_no_known_kind_are_an_error(loggers: bytes) -> None:
    with pytest.raises(ContentError, match="content_logger"):
        decode_content(ONE + loggers)


@pytest.mark.parametrize("group", [-1, 1, None])
def test_an_observation_of_no_logger_is_an_error(group: int | None) -> None:
    with pytest.raises(ContentError, match="content_logger"):
        decode_content(ONE + ADDRESS + pack_column([group], ()))


def test_text_that_is_no_text_is_an_error_with_a_reason() -> None:
    names = msgspec.msgpack.encode(["abc"]).replace(b"abc", b"a\xc5c")
    with pytest.raises(ContentError, match="content_malformed"):
        decode_content(ONE + b"\x01" + pack_varint(len(names)) + names)


def test_a_number_beyond_any_database_is_an_error() -> None:
    with pytest.raises(ContentError, match="content_number"):
        decode_content(ONE + ADDRESS + pack_column([1 << 62], ()))


def test_one_logger_takes_little_and_many_their_addresses() -> None:
    alone = Content(BUSY.observations)
    assert len(encode_content(alone)) < 4 * len(alone)
    crowd = tuple(
        structs.replace(one, logger=f"C0:FF:EE:{place * 7919 % 256:02X}:{place:02X}:{place * 31 % 256:02X}")
        for place, one in enumerate(BUSY.observations)
    )
    assert len(encode_content(Content(crowd))) < 12 * len(crowd)


@examples
@given(st.binary(max_size=200))
def test_whatever_arrives_is_a_content_or_an_error_with_a_reason(data: bytes) -> None:
    for kind in (b"", b"\x00", b"\x01", b"\x02", ONE, ONE + ADDRESS):
        error = refusal_of(kind + data)
        assert error is None or (error.code.startswith("content_") and error.reason)


scalars = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text(max_size=5)
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=10), max_leaves=30)


@examples
@given(trees)
def test_records_of_another_shape_are_an_error_with_a_reason(tree: object) -> None:
    error = refusal_of(b"\x00" + pack_varint(0) + msgspec.msgpack.encode(tree))
    assert error is None or error.reason


columns = st.lists(st.none() | integers, min_size=1, max_size=40) | st.lists(
    st.integers(0, 300).map(lambda number: number * 5 + 1_750_000_000_000), min_size=1, max_size=40
)


@examples
@given(columns, st.data())
def test_a_column_is_read_as_it_was_written(column: list[int | None], data: st.DataObject) -> None:
    groups = data.draw(st.just([]) | st.lists(st.integers(0, 3), min_size=len(column), max_size=len(column)))
    reader = Reader(pack_column(column, groups))
    assert unpack_column(reader, len(column), groups).values == column
    assert reader.rest() == b""


@examples
@given(st.binary(max_size=60), st.integers(0, 50), st.booleans())
def test_whatever_arrives_is_a_column_or_an_error(packed: bytes, count: int, grouped: bool) -> None:  # noqa: FBT001  drawn
    groups = [place % 3 for place in range(count)] if grouped else []
    with suppress(ContentError):
        assert len(unpack_column(Reader(packed), count, groups).values) == count


def test_numbers_too_far_apart_for_a_column_are_refused() -> None:
    with pytest.raises(ValueError, match="too far apart"):
        pack_column([0, 1 << 65, 1], ())


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
