"""The same calls through requests and through both of our clients: what arrives at the server is the same."""

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests

from obswarm.api import Environment
from obswarm.http import FastHttpSession, HttpSession
from tests.support.scripted_server import Exchange, ScriptedServer, answer

# Connection is implied by HTTP/1.1, and both name themselves and what they can decode.
_NOT_COMPARED = {"connection", "user-agent", "accept-encoding", "host"}

CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "plain": ("GET", "/a/b", {}),
    "query in the path": ("GET", "/a?x=1&y=%20z", {}),
    "blanks and umlauts": ("GET", "/a b/ü?q=ä ö", {}),
    "reserved characters": ("GET", "/a;b=c/d,e:f@g!h$i'(j)*k+l?m[n]=o|p^q`{r}", {}),
    "percent signs": ("GET", "/100%25/%7Euser", {}),
    "a fragment": ("GET", "/a?b=c#d", {}),
    "dots": ("GET", "/a/./b/../c", {}),
    "no path": ("GET", "", {}),
    "params": ("GET", "/", {"params": {"a": 1, "b": ["x", "y"], "c": None, "d": "ü &="}}),
    "params as pairs": ("GET", "/?z=0", {"params": [("a", "1"), ("a", "2")]}),
    "params as text": ("GET", "/", {"params": "a=1&b"}),
    "empty params": ("GET", "/", {"params": {}}),
    "headers": ("GET", "/", {"headers": {"X-One": "1", "accept": "text/html", "X-Bytes": b"b"}}),
    "a header left out": ("GET", "/", {"headers": {"Accept": None}}),
    "a host of its own": ("GET", "/", {"headers": {"Host": "elsewhere.test"}}),
    "basic auth": ("GET", "/", {"auth": ("user", "pässword")}),
    "cookies": ("GET", "/", {"cookies": {"a": "1"}}),
    "head": ("HEAD", "/", {}),
    "options": ("OPTIONS", "/", {}),
    "delete": ("DELETE", "/x", {}),
    "own method": ("purge", "/x", {}),
    "post nothing": ("POST", "/", {}),
    "put nothing": ("PUT", "/", {}),
    "post bytes": ("POST", "/", {"data": b"\x00\xff"}),
    "post text": ("POST", "/", {"data": "grün"}),
    "form": ("POST", "/", {"data": {"a": 1, "b": ["x", "y"], "ü": "ö &="}}),
    "form as pairs": ("POST", "/", {"data": [("a", "1"), ("a", "2")]}),
    "form with None": ("POST", "/", {"data": {"a": None, "b": ""}}),
    "json": ("POST", "/", {"json": {"a": [1, None, "ü"]}}),
    "json list": ("PUT", "/", {"json": []}),
    "json with its own type": ("PATCH", "/", {"json": {}, "headers": {"Content-Type": "application/merge-patch+json"}}),
    "get with a body": ("GET", "/", {"json": {"query": 1}}),
    "files": ("POST", "/", {"files": {"f": ("name.txt", b"content", "text/plain")}, "data": {"a": "1", "b": ["x", "y"]}}),
    "files as pairs": ("POST", "/", {"files": [("f", ("a", b"1")), ("f", ("b", b"2", "image/png", {"X-Part": "p"}))]}),
    "file content alone": ("POST", "/", {"files": {"f": b"content"}}),
}  # fmt: skip

STREAMS: dict[str, tuple[str, Callable[[], Any]]] = {
    "a file": ("POST", lambda: io.BytesIO(b"content")),
    "an iterator": ("POST", lambda: iter([b"one", b"two"])),
    "a file from its middle": ("PUT", lambda: _at(io.BytesIO(b"content"), 3)),
}


def _at(file: io.BytesIO, position: int) -> io.BytesIO:
    file.seek(position)
    return file


def compared(exchange: Exchange) -> tuple[str, dict[str, str], bytes]:
    headers = {name: value for name, value in exchange.headers.items() if name not in _NOT_COMPARED}
    body = exchange.body
    boundary = re.search(r"boundary=(\w+)", headers.get("content-type", ""))
    if boundary:
        headers["content-type"] = headers["content-type"].replace(boundary[1], "BOUNDARY")
        body = body.replace(boundary[1].encode(), b"BOUNDARY")
    host = exchange.header("host") or ""
    headers["host"] = "the server" if host.startswith("127.0.0.1:") else host
    return exchange.request_line, headers, body


@pytest.mark.parametrize("client", [FastHttpSession, HttpSession])
@pytest.mark.parametrize("case", CALLS)
def test_a_call_sends_what_requests_sends(environment: Environment, client: type, case: str) -> None:
    method, path, arguments = CALLS[case]
    script = [b"HTTP/1.1 204 No Content\r\n\r\n"]
    with ScriptedServer(script) as server, requests.Session() as reference, client(environment, server.url) as session:
        reference.request(method, server.url + path, **arguments)
        session.request(method, path, **arguments)
        theirs, ours = map(compared, server.exchanges)
    assert ours == theirs


@pytest.mark.parametrize("client", [FastHttpSession, HttpSession])
@pytest.mark.parametrize("case", STREAMS)
def test_a_streamed_body_arrives_as_from_requests(environment: Environment, client: type, case: str) -> None:
    method, make = STREAMS[case]
    with (
        ScriptedServer(answer()) as server,
        requests.Session() as reference,
        client(environment, server.url) as session,
    ):
        reference.request(method, server.url, data=make())
        session.request(method, "/", data=make())
        theirs, ours = map(compared, server.exchanges)
    assert ours == theirs


@pytest.mark.parametrize("kind", [FastHttpSession, HttpSession])
def test_credentials_of_the_host_go_with_redirects_to_it_and_nowhere_else(kind: Any, environment: Any) -> None:
    with ScriptedServer(answer(b"there")) as elsewhere:
        location = elsewhere.url.replace("//", "//c:d@")
        scripts = [answer(status="302 Found", Location="/there"), answer(status="302 Found", Location=location)]
        with ScriptedServer(*scripts) as server, kind(environment, server.url.replace("//", "//a:b@")) as client:
            assert client.get("/asked").content == b"there"
            sent = [each.header("authorization") for each in server.exchanges + elsewhere.exchanges]
    assert sent == ["Basic YTpi", "Basic YTpi", None]
