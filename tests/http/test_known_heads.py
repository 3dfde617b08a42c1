"""Responses whose head has been parsed before: the same result as from the parser, whatever else comes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obswarm.api import Environment
from obswarm.api.events import Events
from obswarm.http import FastHttpUser
from obswarm.http.known_heads import known_heads
from obswarm.stats import EndpointKey, Recorder
from tests.http.test_response_parser import ANSWERS
from tests.support.scripted_stream import ScriptedPeer, peers

_OFTEN = 12
"""Requests until a head that recurs is known, and some more."""

_EXCESS = b"HTTP/1.1 500 Excess\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(autouse=True)
def none_known():
    known_heads.clear()
    yield
    known_heads.clear()


def client_of(environment: Environment):
    return type("Visitor", (FastHttpUser,), {"host": "http://127.0.0.1:8001"})(environment).client


def fresh_environment() -> Environment:
    return Environment(events=Events(), recorder=Recorder())


@pytest.mark.parametrize("case", ANSWERS)
def test_each_of_many_equal_answers_is_what_the_first_one_was(case: str, environment) -> None:
    data, status, body, is_kept = ANSWERS[case]
    server = ScriptedPeer([data])
    with peers(p8001=server):
        client = client_of(environment)
        for _ in range(_OFTEN):
            response = client.get("/")
            assert (response.status_code, response.content, response.error) == (status, body, None)
    assert len(server.requests) == _OFTEN
    assert len(server.streams) == (1 if is_kept else _OFTEN)
    stats = environment.recorder.take().endpoints[EndpointKey("GET", "/")]
    assert (stats.requests, stats.response_bytes, stats.failures) == (_OFTEN, _OFTEN * len(body), 0)


def test_a_known_head_is_not_parsed_again(environment) -> None:
    data, _, _, _ = ANSWERS["length"]
    with peers(p8001=ScriptedPeer([data])):
        client = client_of(environment)
        for _ in range(_OFTEN):
            client.get("/")
    assert list(known_heads) == [data.removesuffix(b"hello")]


def test_an_answer_to_head_has_no_body_though_its_head_is_known(environment) -> None:
    data, _, _, _ = ANSWERS["length"]
    head = data.removesuffix(b"hello")
    with peers(p8001=ScriptedPeer(*[[data]] * _OFTEN, [head])):
        client = client_of(environment)
        for _ in range(_OFTEN):
            assert client.get("/").content == b"hello"
        response = client.head("/")
        assert (response.status_code, response.content, response.error) == (200, b"", None)


def test_what_follows_a_known_answer_is_not_taken_for_the_next_one(environment) -> None:
    data, status, body, _ = ANSWERS["length"]
    server = ScriptedPeer(*[[data]] * _OFTEN, [data + _EXCESS], [data])
    with peers(p8001=server):
        client = client_of(environment)
        for _ in range(_OFTEN + 3):
            response = client.get("/")
            assert (response.status_code, response.content) == (status, body)
    assert len(server.streams) == 2


_HEADERS = st.sampled_from(
    [b"", b"X-A: 1\r\n", b"Connection: close\r\n", b"Set-Cookie: a=b\r\n", b"content-encoding: gzip\r\n", b"X-B: c\r\n d\r\n"]
)  # fmt: skip
_BODIES = st.sampled_from([b"", b"hello", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"{}\n set-cookie: x"])
_STATUS = st.sampled_from([b"200 OK", b"204 No", b"304 Not", b"404 Not Found", b"503", b"99 No", b"2000 OK"])


@st.composite
def _answers(draw: st.DrawFn) -> list[bytes]:
    """An answer, whole or in two pieces; now and then its length is wrong."""
    body = draw(_BODIES)
    length = draw(st.sampled_from([len(body), len(body), len(body), len(body) + 1, 1]))
    data = b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (draw(_STATUS), draw(_HEADERS), length, body)
    cut = draw(st.integers(0, len(data))) if draw(st.booleans()) else len(data)
    return [piece for piece in (data[:cut], data[cut:]) if piece]


@pytest.mark.parametrize("data", [None, b"order"], ids=["without a body", "with one"])
@given(kinds=st.lists(_answers(), min_size=1, max_size=4), order=st.lists(st.integers(0, 3), max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_sequence_of_answers_is_read_as_without_known_heads(
    data: bytes | None, kinds: list[list[bytes]], order: list[int]
) -> None:
    replies = [kinds[number % len(kinds)] for number in order] + [[_EXCESS]]
    seen = []
    for learns in (True, False):
        known_heads.clear()
        environment, server = fresh_environment(), ScriptedPeer(*replies)
        with peers(p8001=server), pytest.MonkeyPatch.context() as patch:
            if not learns:
                patch.setattr("obswarm.http.connection.learn", lambda piece, answer: None)
            client, responses = client_of(environment), []
            for _ in replies:
                response = client.request("GET", "/", data=data)
                responses.append(
                    (response.status_code, response.body, str(response.error), response.headers, response.reason)
                )
        table = environment.recorder.take()
        stats = table.endpoints[EndpointKey("GET", "/")]
        errors = {key: error.count for key, error in table.errors.items()}
        counted = (stats.successes, stats.failures_by, stats.response_bytes, errors)
        seen.append((responses, counted, len(server.streams), server.requests))
        assert learns or not known_heads
    assert seen[0] == seen[1]
