"""Parsing answers: the same result however they are split, and nothing but errors of ours from garbage."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obswarm.http.connection import Connection
from obswarm.http.deadlines import StreamTimeout
from obswarm.http.errors import HttpError, ProtocolError
from obswarm.http.response_parser import ParsedResponse, ResponseHead
from obswarm.http.route import Route
from obswarm.http.urls import Origin

ROUTE = Route.to(Origin("http", "target.test", 80))

ANSWERS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", 200, b"hello", True),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", 200, b"hello", True),
    "trailers": (b"HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", 201, b"hello", True),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304, b"", True),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", True),
    "closing": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", False),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", False),
    "old, kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", 200, b"hi", True),
    "blank lines before": (b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", True),
    "folded": (b"HTTP/1.1 200 OK\r\nX-A: one\r\n  two\r\n\tthree\r\nContent-Length:\r\n 5\r\nX-B: c\r\n \r\n\r\nhello", 200, b"hello", True),
    "folded after an interim one": (b"HTTP/1.1 103 Early\r\nLink: a\r\n b\r\n\r\nHTTP/1.1 200 OK\nX: a\n b\nContent-Length: 2\n\nhi", 200, b"hi", True),
    "equal lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\ncontent-length:5\r\n\r\nhello", 200, b"hello", True),
    "equal lengths in one line": (b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", 200, b"hello", True),
    "a length beside chunks": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, b"hi", False),
    "a length behind chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, b"hi", False),
    "identity with a length": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", True),
    "identity until the end": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhi", 200, b"hi", False),
    "until the end": (b"HTTP/1.1 200 OK\r\n\r\nall of this", 200, b"all of this", False),
}  # fmt: skip


class Script:
    """A stream that gives the pieces, and then the end."""

    due = 0.0
    unread = False

    def __init__(self, pieces: list[bytes], last: Exception | None = None) -> None:
        self.pieces = pieces
        self.last = last
        self.closed = False

    def receive(self) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        if self.last is not None:
            raise self.last
        return b""

    def send(self, payload: bytes) -> None:
        pass

    def has_news(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(borders) if a != b]


def read(
    pieces: list[bytes], head_only: bool = False, last: Exception | None = None
) -> tuple[Connection, ParsedResponse]:
    connection = Connection(Script(pieces, last), ROUTE)
    connection.read_timeout_s = 1.0
    return connection, connection.send_request(b"", head_only, 0.0)


@pytest.mark.parametrize("case", ANSWERS)
@given(cuts=st.lists(st.integers(0, 400), max_size=12))
@settings(max_examples=40, deadline=None)
def test_an_answer_is_the_same_however_it_is_split(case: str, cuts: list[int]) -> None:
    data, status, body, kept = ANSWERS[case]
    connection, answer = read(split(data, cuts))
    assert (answer.status, b"".join(answer.body), connection.reusable) == (status, body, kept)
    whole = ResponseHead(data, answer.interim)
    assert (answer.head().headers, answer.head().reason) == (whole.headers, whole.reason)
    answer.recycle()


@pytest.mark.parametrize("case", ANSWERS)
def test_byte_by_byte(case: str) -> None:
    data, status, body, kept = ANSWERS[case]
    connection, answer = read([bytes([byte]) for byte in data])
    assert (answer.status, b"".join(answer.body), connection.reusable) == (status, body, kept)


@given(
    case=st.sampled_from(sorted(ANSWERS)),
    edits=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=4), st.integers(0, 6)), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    head_only=st.booleans(),
    ending=st.sampled_from([None, ConnectionResetError(104, "reset"), StreamTimeout()]),
)
@settings(max_examples=1500, deadline=None)
def test_mutated_answers_raise_nothing_but_our_own_errors(
    case: str, edits: list, cuts: list[int], head_only: bool, ending: Exception | None
) -> None:
    data = ANSWERS[case][0]
    for position, inserted, removed in edits:
        position %= len(data) + 1
        data = data[:position] + inserted + data[position + removed :]
    try:
        _, answer = read(split(data, cuts), head_only, ending)
    except HttpError:
        pass
    else:
        assert 100 <= answer.status <= 999
        answer.head()
        answer.recycle()


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=6))
@settings(max_examples=500, deadline=None)
def test_garbage_raises_nothing_but_our_own_errors(data: bytes, cuts: list[int]) -> None:
    with pytest.raises(HttpError):
        read(split(data, cuts))


def test_an_answer_that_was_recycled_after_an_error_does_not_spoil_the_next_one() -> None:
    for _ in range(3):
        with pytest.raises(HttpError):
            read([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"])
        _, answer = read([ANSWERS["length"][0]])
        assert b"".join(answer.body) == b"hello"
        answer.recycle()


def test_what_comes_after_a_complete_answer_costs_the_connection_only() -> None:
    first, second = ANSWERS["length"][0], ANSWERS["chunked"][0]
    for surplus in (second, second[:7], b"garbage"):
        connection, answer = read([first + surplus])
        assert b"".join(answer.body) == b"hello"
        assert not connection.reusable


def test_an_answer_to_head_has_no_body_whatever_its_headers_say() -> None:
    connection, answer = read([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"], head_only=True)
    assert answer.complete
    assert connection.reusable
    connection, answer = read([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"], head_only=True)
    assert answer.body == []
    assert not connection.reusable


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 200 O", "in the middle of its answer's headers"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "in the middle of its answer's body"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhi", "in the middle of its answer's body"),
        (b"SSH-2.0-OpenSSH\r\n", "did not answer in HTTP"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "did not answer in HTTP: its status is 2x0"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi", "did not answer in HTTP"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "did not answer in HTTP: Invalid character in chunk size",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nhi", "did not answer in HTTP"),
        (
            b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi",
            "Duplicate Content-Length",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi", "did not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\n X: a\r\nContent-Length: 2\r\n\r\nhi", "Unexpected space after start line"),
        (b"HTTP/1.1 200 OK\r\nX: a\r\n b", "in the middle of its answer's headers"),
        (b"HTTP/1.1 200 OK\r\nX: a\r\n b" + b"c" * 300_000, "sent more than 256 KiB of headers"),
        (b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n", "its status is 099; there are those from 100 to 999"),
        (b"HTTP/1.1 000 Odd\r\nContent-Length: 0\r\n\r\n", "its status is 000; there are those from 100 to 999"),
        (b"HTTP/1.1 1000 Odd\r\nContent-Length: 0\r\n\r\n", "its status is 1000; there are those from 100 to 999"),
        (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "begins with 'HTTP/2.0 200 OK'; HTTP/1.0 and HTTP/1.1"),
        (b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n", "begins with 'HTTP/0.9 200 OK'; HTTP/1.0 and HTTP/1.1"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "begins with 'RTSP/1.0 200 OK'; HTTP/1.0 and HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nX y: z\r\n\r\n", "did not answer in HTTP: Invalid header token"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 300_000, "sent more than 256 KiB of headers"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 200, "sent more than 100 interim answers"),
    ],
)
def test_illegal_answers_say_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(HttpError) as caught:
        read([data[i : i + 65536] for i in range(0, len(data), 65536)])
    assert message in str(caught.value)
    assert "target.test" in str(caught.value)


def test_headers_of_an_answer() -> None:
    head = ResponseHead(
        b"HTTP/1.1 200 All is well \r\nA: 1\r\nb:  2 \t\r\nSet-Cookie: x\r\nSet-Cookie: y\r\n\r\nbody: no\r\n\r\n"
    )
    assert head.reason == b"All is well"
    assert head.headers == [(b"A", b"1"), (b"b", b"2"), (b"Set-Cookie", b"x"), (b"Set-Cookie", b"y")]


def test_headers_that_were_folded_or_repeated_are_those_that_were_sent() -> None:
    _, answer = read([ANSWERS["folded"][0]])
    assert answer.head().headers == [(b"X-A", b"one two three"), (b"Content-Length", b"5"), (b"X-B", b"c")]
    _, answer = read([ANSWERS["a length beside chunks"][0]])
    assert answer.head().headers == [(b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")]


@pytest.mark.parametrize("size", [65536, 1000, 300_000])
@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_a_head_may_have_256_kib_exactly_however_it_is_split(size: int, interim: bytes) -> None:
    limit = 256 * 1024
    begin, end = interim + b"HTTP/1.1 200 OK\r\nX: ", b"\r\nContent-Length: 5\r\n\r\n"

    def answered(head_bytes: int) -> int:
        data = begin + b"a" * (head_bytes - len(begin) - len(end)) + end + b"hello"
        return read([data[at : at + size] for at in range(0, len(data), size)])[1].status

    assert answered(limit) == 200
    with pytest.raises(ProtocolError, match="256 KiB of headers"):
        answered(limit + 1)
