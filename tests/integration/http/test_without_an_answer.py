"""The response of a request that got no answer: whatever a load test does with a response works, and says what was wrong."""

import copy
import inspect
import pickle
from typing import Any

import pytest
import requests

from obswarm.api import CatchResponseError, ResponseError
from obswarm.http import CountedResponse, FastHttpUser, FastResponse, HttpUser
from tests.support.scripted_server import ScriptedServer, answer

KINDS = [FastHttpUser, HttpUser]
OPTIONS: list[dict[str, Any]] = [
    {"catch_response": catch, "stream": stream} for catch in (False, True) for stream in (False, True)
]
NOWHERE = "http://127.0.0.1:1"
REFUSED = "no connection to 127.0.0.1:1: Connection refused"
PUBLIC = [*sorted(name for name in dir(requests.Response) if not name.startswith("_")), "raw", "request", "elapsed"]
SPECIAL = ("__bool__", "__iter__", "__repr__", "__enter__", "__exit__")

EMPTY = {
    "apparent_encoding": "utf-8",
    "close": None,
    "content": b"",
    "is_permanent_redirect": False,
    "is_redirect": False,
    "iter_content": [],
    "iter_lines": [],
    "links": {},
    "next": None,
    "ok": False,
    "text": "",
}
"""What each of them is then."""

RAISE = ("json", "raise_for_status")


def user(kind: type, environment: Any, url: str = NOWHERE) -> Any:
    return type("Visitor", (kind,), {"host": url})(environment)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_every_attribute_of_a_response_of_requests_works(kind: type, options: dict[str, Any], environment: Any) -> None:
    client = user(kind, environment).client
    assert set(EMPTY) | set(RAISE) | {"raw", "request", "elapsed"} == set(PUBLIC), "requests has new ones"
    for name in PUBLIC:
        response = client.get("/asked", **options)
        if name in RAISE:
            with pytest.raises(type(response.error)) as raised:
                getattr(response, name)()
            assert raised.value is response.error
            continue
        value = getattr(response, name)
        value = value() if inspect.ismethod(value) else value
        value = list(value) if inspect.isgenerator(value) or hasattr(value, "__next__") else value
        if name in EMPTY:
            assert value == EMPTY[name], name
    response = client.get("/asked", **options)
    assert (response.status_code, response.reason, response.headers, response.history) == (0, "", {}, [])
    assert response.cookies.get_dict() == {}
    assert (response.request.method, response.request.url, response.url) == ("GET", *2 * (NOWHERE + "/asked",))
    assert response.elapsed.total_seconds() > 0
    assert response.raw.read() == response.raw.read(10) == b""
    assert list(response.raw.stream()) == []
    assert (response.raw.status, dict(response.raw.headers), response.raw.closed) == (0, {}, True)
    assert str(response.encoding) in ("None", "utf-8")
    assert all(hasattr(response, name) for name in SPECIAL)
    assert not response
    assert list(response) == []
    assert repr(response).endswith("Response [0]>") or REFUSED in repr(response)
    with response as same:
        assert same is response
    response.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_a_response_without_an_answer_can_be_pickled_and_copied(
    kind: type, options: dict[str, Any], environment: Any
) -> None:
    environment.events.request.add_listener(lambda **_: None)
    response = user(kind, environment).client.get("/asked", **options)
    for again in (pickle.loads(pickle.dumps(response)), copy.copy(response)):
        assert isinstance(again, CountedResponse | FastResponse)
        assert (again.status_code, again.content, again.url) == (0, b"", NOWHERE + "/asked")
        assert REFUSED in str(again.error)
        with pytest.raises(type(response.error)):
            again.json()
        again.close()
    del again


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_too_large_can_be_pickled(kind: type, user_of: Any) -> None:
    with ScriptedServer(answer(b"x" * 50)) as server:
        response = user_of(kind, server.url, 20).client.get("/")
    assert str(pickle.loads(pickle.dumps(response)).error) == str(response.error)
    assert "larger than 20 B" in str(response.error)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answered_one_can_be_pickled_with_its_body(kind: type, environment: Any) -> None:
    with ScriptedServer(answer(b"body", Set_Cookie="a=1")) as server:
        client = user(kind, environment, server.url).client
        for options in OPTIONS:
            with client.get("/", **options) as response:
                again = pickle.loads(pickle.dumps(response))
            assert (again.text, again.status_code, again.cookies.get_dict()) == ("body", 200, {"a": "1"})
        client.close()


IN_BLOCKS = {
    "nothing": lambda response: None,
    "raise_for_status": lambda response: response.raise_for_status(),
    "json": lambda response: response.json()["token"],
    "the lines": lambda response: list(response.iter_lines()),
    "the pieces": lambda response: list(response.iter_content(10)),
    "close": lambda response: response.close(),
    "text and status": lambda response: None if response.status_code == 200 else response.text + response.reason,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", IN_BLOCKS)
def test_a_block_around_it_raises_nothing_and_it_is_counted_with_what_was_wrong(
    what: str, kind: type, environment: Any
) -> None:
    client = user(kind, environment).client
    for stream in (False, True):
        with client.get("/asked", catch_response=True, stream=stream) as response:
            IN_BLOCKS[what](response)
    table = environment.recorder.take()
    assert {key.name: (stats.requests, stats.failures) for key, stats in table.endpoints.items()} == {"/asked": (2, 2)}
    assert [key.message for key in table.errors] == [REFUSED]


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_has_the_last_word(kind: type, environment: Any) -> None:
    client = user(kind, environment).client
    with client.get("/", name="fine", catch_response=True) as response:
        response.success()
        response.raise_for_status()
    with client.get("/", name="mine", catch_response=True) as response:
        response.failure("mine")
        response.json()
    with pytest.raises(KeyError), client.get("/", name="own", catch_response=True) as response:
        raise KeyError("own")
    errors = {key.name: key.message for key in environment.recorder.take().errors}
    assert errors == {"mine": "mine", "own": "KeyError: 'own'"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("listened_to", [False, True])
def test_without_catch_response_nothing_ends_at_the_block(listened_to: bool, kind: type, environment: Any) -> None:
    if listened_to:
        environment.events.request.add_listener(lambda **_: None)
    client = user(kind, environment).client
    with pytest.raises(Exception, match=REFUSED), client.get("/") as response:
        response.raise_for_status()
    for raised in (CatchResponseError("mine"), ResponseError("mine")):
        with pytest.raises(type(raised)), client.get("/"):
            raise raised


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("charset", ["idna", "undefined", "punycode", "hex", "klingon", "\x80", '"'])
def test_a_character_set_that_is_none_raises_nothing(charset: str, kind: type, environment: Any) -> None:
    with ScriptedServer(answer(b"caf\xff", Content_Type=f"text/html; charset={charset}")) as server:
        client = user(kind, environment, server.url).client
        assert client.get("/").text.startswith("caf")
        client.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_redirect_that_is_not_followed_says_where_it_leads(kind: type, environment: Any) -> None:
    scripts = [
        answer(status=status, Location=location, Link='</a>; rel="next"')
        for status, location in (
            ("303 See Other", "there?a=b"),
            ("308 Permanent Redirect", "/there"),
            ("302 Found", "http://[::bad"),
            ("302 Found", "file:///x"),
            ("200 OK", "/there"),
        )
    ]
    with ScriptedServer(*scripts) as server:
        client = user(kind, environment, server.url).client
        first, second, third, fourth, fifth = (client.post("/asked", allow_redirects=False) for _ in scripts)
        client.close()
    assert (first.next.method, first.next.url) == ("GET", server.url + "/there?a=b")
    assert (second.next.method, second.next.url) == ("POST", server.url + "/there")
    assert [each.is_permanent_redirect for each in (first, second)] == [False, True]
    assert (third.next, fifth.next, fifth.is_redirect) == (None, None, False)
    assert fourth.status_code == 302
    assert first.links["next"]["url"] == "/a"
    assert environment.recorder.take().errors == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_response_takes_another_character_set_and_gives_its_raw_body(kind: type, environment: Any) -> None:
    with ScriptedServer(answer("Grüße, Grüße".encode("latin-1"))) as server:
        client = user(kind, environment, server.url).client
        response = client.get("/")
        response.encoding = "latin-1"
        assert response.text == "Grüße, Grüße"
        assert client.get("/").apparent_encoding
        streamed = client.get("/", stream=True)
        assert (streamed.raw.read(2), streamed.raw.status) == (b"Gr", 200)
        assert streamed.raw.read() == "üße, Grüße".encode("latin-1")
        client.close()


def test_what_a_hook_raises_while_redirects_are_followed_is_the_load_tests_own(environment: Any) -> None:
    def wrong(response: requests.Response, **_: Any) -> None:
        if response.request.url.endswith("/there"):
            raise ValueError("of the hook")

    with ScriptedServer(answer(status="302 Found", Location="/there"), answer()) as server:
        client = user(HttpUser, environment, server.url).client
        with pytest.raises(ValueError, match="of the hook"):
            client.get("/asked", hooks={"response": wrong})
        client.close()
    assert [key.name for key in environment.recorder.take().errors] == ["/asked"]
