"""What comes from a peer is decoded up to a number of items, and no further."""

import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.bounded_msgpack import Unreadable, unpack, unpack_content
from obswarm.cluster.wire.messages import NotAMessage, decode

VALUES = st.recursive(
    st.one_of(st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), st.text(), st.binary(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=3), inner, max_size=5)),
    max_leaves=30,
)  # fmt: skip


def number_of_items(value: object) -> int:
    if isinstance(value, dict):
        return len(value) + 1 + sum(map(number_of_items, value.values()))
    return len(value) + 1 + sum(map(number_of_items, value)) if isinstance(value, list) else 0


@given(VALUES)
def test_a_value_is_what_it_was_within_the_limit_and_nothing_beyond_it(value: object) -> None:
    packed, items = msgpack.packb(value), number_of_items(value)
    assert unpack(packed, items) == value
    if items:
        with pytest.raises(Unreadable):
            unpack(packed, items - 1)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_unreadable(packed: bytes) -> None:
    try:
        unpack_content(packed, 100)
    except Unreadable:
        pass


BOMBS = {
    "empty lists": b"\xdd" + (2**23).to_bytes(4, "big") + b"\x90" * 2**23,
    "empty lists in short ones": b"\xdd" + (2**19).to_bytes(4, "big") + (b"\x9f" + b"\x90" * 15) * 2**19,
    "empty maps": b"\xdd" + (2**23).to_bytes(4, "big") + b"\x80" * 2**23,
    "announced and not there": b"\xdd\xff\xff\xff\xff",
    "announced again and again": b"\xdd\x00\x0f\xff\xff" * 10_000,
    "lists in lists": b"\x91" * 10**6 + b"\x90",
    "an extension": b"\xc9\x00\x00\x10\x00\x05" + bytes(4096),
    "a time": msgpack.packb(msgpack.Timestamp(1)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_few_bytes_do_not_become_many(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(NotAMessage):
            decode(BOMBS[name])
        with pytest.raises(Unreadable):
            unpack_content(BOMBS[name], 100_000)
        assert tracemalloc.get_traced_memory()[1] < 500e6 / 8
    finally:
        tracemalloc.stop()


def test_contents_of_a_load_tests_own_are_not_nested_without_end() -> None:
    assert unpack_content(b"\x91" * 31 + b"\x90", 100)
    with pytest.raises(Unreadable, match="more than 32 levels of lists"):
        unpack_content(b"\x91" * 33 + b"\x90", 100)
