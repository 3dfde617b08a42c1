"""Messages: each comes out as it went in, and nothing else comes out."""

import random
import typing
from dataclasses import fields

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import LoadTestError
from obswarm.cluster.wire import messages as protocol
from obswarm.cluster.wire.custom_content import message_content
from obswarm.cluster.wire.messages import (
    PROTOCOL_VERSION,
    Heartbeat,
    Hello,
    Message,
    NotAMessage,
    WorkerEvent,
    decode,
    encode,
)

VALUES = {
    int: st.integers(0, 2**63 - 1),
    float: st.floats(0, 1e300),
    str: st.text(max_size=50),
    bytes: st.binary(max_size=50),
    bool: st.booleans(),
    dict[str, int]: st.dictionaries(st.text(max_size=10), st.integers(0, 2**40), max_size=5),
    dict[str, float]: st.dictionaries(st.text(max_size=10), st.floats(0, 1e300), max_size=5),
    tuple[str, ...]: st.lists(st.text(max_size=10), max_size=5).map(tuple),
}


def messages():
    return st.one_of(
        *(
            st.builds(
                kind,
                **{
                    field.name: st.just(PROTOCOL_VERSION)
                    if (kind, field.name) == (Hello, "version")
                    else VALUES[typing.get_type_hints(kind)[field.name]]
                    for field in fields(kind)
                },
            )
            for kind in typing.get_args(Message)
        )
    )


@given(messages())
def test_a_message_comes_out_as_it_went_in(message) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=200))
def test_random_bytes_are_a_message_or_a_refusal(frame: bytes) -> None:
    try:
        decode(frame)
    except NotAMessage:
        pass


def test_changed_frames_are_a_message_or_a_refusal() -> None:
    draw = random.Random(2)
    frames = [encode(Hello(PROTOCOL_VERSION, "1", "a" * 32, "n", 1, "", "")), encode(Heartbeat(1, 2, True))]
    for _ in range(20_000):
        frame = bytearray(draw.choice(frames))
        frame[draw.randrange(len(frame))] = draw.randrange(256)
        try:
            decode(bytes(frame))
        except NotAMessage:
            pass


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [999],
        [True, 1, 2, False],
        ["Heartbeat", 1, 2, True],
        [-1],
        {"a": 1},
        5,
    ],
)
def test_what_is_no_known_type_is_refused(parts) -> None:
    with pytest.raises(NotAMessage):
        decode(msgpack.packb(parts))


@pytest.mark.parametrize(
    "values", [[1, 2], [1, 2, True, 4], [1, 2, 1], [-1, 2, True], [1.0, 2, True], ["1", 2, True], [2**63, 2, True]]
)
def test_fields_have_to_fit(values) -> None:
    number = msgpack.unpackb(encode(Heartbeat(1, 2, True)))[0]
    with pytest.raises(NotAMessage, match="an invalid Heartbeat"):
        decode(msgpack.packb([number, *values]))


def test_numbers_that_are_none_are_refused() -> None:
    ready = protocol.Ready("n", 1.0, 1.0, {}, (), 0)
    number = msgpack.unpackb(encode(ready))[0]
    for capacity in (float("nan"), float("inf"), -1.0):
        with pytest.raises(NotAMessage):
            decode(msgpack.packb([number, "n", capacity, 1.0, {}, []]))


@pytest.mark.parametrize(
    "rates", [{"A": float("nan")}, {"A": float("inf")}, {"A": -0.5}, {"A": "1"}, {"A": True}, {1: 1.0}, [1.0], None]
)
def test_rates_that_are_none_are_refused(rates: object) -> None:
    number = msgpack.unpackb(encode(protocol.Assign(1, {"B": 2}, 1.0)))[0]
    with pytest.raises(NotAMessage):
        decode(msgpack.packb([number, 1, {"B": 2}, 1.0, rates, {}, {}, {}, []]))
    assert decode(
        msgpack.packb([number, 1, {"B": 2}, 1.0, {"A": 0.5}, {"A": 3}, {"A": 2.5}, {"A": 0.1}, ["A"]])
    ) == protocol.Assign(1, {"B": 2}, 1.0, {"A": 0.5}, {"A": 3}, {"A": 2.5}, {"A": 0.1}, ("A",))
    with pytest.raises(NotAMessage):
        decode(msgpack.packb([number, 1, {"B": 2}, 1.0, {"A": 0.5}, {"A": -3}, {}, {}, []]))


def test_a_hello_of_another_version_says_which_whatever_else_it_has() -> None:
    with pytest.raises(NotAMessage) as refusal:
        decode(msgpack.packb([0, PROTOCOL_VERSION + 1, {"new": "things"}]))
    assert refusal.value.version == PROTOCOL_VERSION + 1


def test_half_of_a_character_keeps_no_message_from_being_sent() -> None:
    assert decode(encode(WorkerEvent("error", "no stock for \ud83d"))) == WorkerEvent("error", "no stock for \\ud83d")
    assert message_content("orders", {"error": "\ud83d"}) == message_content("orders", {"error": "\\ud83d"})


def test_the_type_of_a_message_has_to_be_a_text() -> None:
    with pytest.raises(LoadTestError, match="the type of a message has to be a string"):
        message_content(7, None)  # type: ignore[arg-type]  # as a load test may call it
