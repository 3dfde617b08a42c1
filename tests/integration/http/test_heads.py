"""Nothing that a load test sets makes a request's head say more than it may: it is refused at the call."""

from collections.abc import Callable
from typing import Any

import pytest
import requests
from requests.auth import AuthBase

from obswarm import http
from obswarm.api import Environment, ObswarmError, RequestSigner
from obswarm.http.route import parse_proxy
from tests.support.scripted_server import ScriptedServer, answer

BAD = ("b\r\nContent-Length: 3", "b\nX: y", "b\rX: y", "b\0")
Client = Any


def of_the_jar(client: Client, bad: str) -> None:
    client.cookies.set("a", bad)
    client.post("/asked", data=b"0123456789")


def of_the_session(client: Client, bad: str) -> None:
    client.headers.update({"X": bad})
    client.post("/asked", data=b"0123456789")


def named_by_the_session(client: Client, bad: str) -> None:
    client.headers[bad] = "x"
    client.post("/asked", data=b"0123456789")


def of_a_signer(client: Client, bad: str) -> None:
    class Signer(RequestSigner):
        def headers(self, path: str, run_id: str) -> dict[str, str]:
            return {"X": bad}

    client.request_signer = Signer("k" * 16)
    client.post("/asked", data=b"0123456789")


def of_an_auth_class(client: Client, bad: str) -> None:
    class Auth(AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f'Digest username="{bad}"'
            return request

    client.post("/asked", data=b"0123456789", auth=Auth())


def prepared_by_hand(**changed: Any) -> Callable[[Client, str], None]:
    def send(client: Client, bad: str) -> None:
        prepared = client.prepare_request(requests.Request("POST", f"{client.base_url}/asked", data=b"0123456789"))
        for name, value in changed.items():
            setattr(prepared, name, value.replace("BAD", bad) if isinstance(value, str) else None)
        if "headers" not in changed:
            client.send(prepared)
            return
        prepared.headers = {"X": bad, bad: "X"}
        client.send(prepared)

    return send


BOTH = (of_the_jar, of_the_session, named_by_the_session, of_a_signer)
OF_REQUESTS = {
    "auth": of_an_auth_class,
    "method": prepared_by_hand(method="POST /BAD HTTP/1.1"),
    "headers": prepared_by_hand(headers=None),
    "url": prepared_by_hand(url="http://127.0.0.1:1/BAD"),
}
WAYS = [
    *[pytest.param(kind, way, id=f"{kind.__name__}-{way.__name__}") for kind in (http.FastHttpSession, http.HttpSession)
      for way in BOTH],
    *[pytest.param(http.HttpSession, way, id=f"HttpSession-{name}") for name, way in OF_REQUESTS.items()],
]  # fmt: skip


@pytest.mark.parametrize(("kind", "way"), WAYS)
def test_a_line_break_in_what_goes_into_a_head_is_refused_and_not_counted(
    kind: Any, way: Callable[[Client, str], None], environment: Environment
) -> None:
    with ScriptedServer(answer(b"fine")) as server:
        for bad in BAD:
            with kind(environment, server.url) as client, pytest.raises(ValueError, match=r"."):
                way(client, bad)
        assert not server.exchanges
        with kind(environment, server.url) as client:
            assert client.get("/next").content == b"fine"
    assert {key.name: stats.requests for key, stats in environment.recorder.take().endpoints.items()} == {"/next": 1}


@pytest.mark.parametrize("bad", BAD)
def test_a_line_break_in_an_attribute_of_the_class_is_refused_at_the_start(bad: str, environment: Environment) -> None:
    for attributes in ({"default_headers": {"X": bad}}, {"proxy": f"http://proxy{bad}:1"}):
        cls = type("Visitor", (http.FastHttpUser,), {"host": "http://127.0.0.1", **attributes})
        with pytest.raises(ObswarmError):
            cls(environment)


@pytest.mark.parametrize("kind", [http.FastHttpSession, http.HttpSession])
def test_line_breaks_of_a_user_name_are_encoded_with_it(kind: Any, environment: Environment) -> None:
    with ScriptedServer(answer(b"fine")) as server, kind(environment, server.url) as client:
        assert client.get("/", auth=("u\r\nX: y", "p")).content == b"fine"
        assert server.exchanges[0].headers["authorization"] == "Basic dQ0KWDogeTpw"
    proxy = parse_proxy("http://u%0D%0AX:p@127.0.0.1:1")
    assert proxy.authorization == "Basic dQ0KWDpw"


@pytest.mark.parametrize("kind", [http.FastHttpSession, http.HttpSession])
def test_a_cookie_in_any_script_is_sent(kind: Any, environment: Environment) -> None:
    with ScriptedServer(answer(b"fine")) as server, kind(environment, server.url) as client:
        assert client.get("/", cookies={"a": "☃"}).content == b"fine"
        assert server.exchanges[0].headers["cookie"].encode("latin-1") == "a=☃".encode()
