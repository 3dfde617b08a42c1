"""Both clients sign what goes to the user's host, hop by hop, and nothing else."""

import hashlib
import hmac

import pytest

from obswarm.api import Environment, RequestSigner
from obswarm.http import FastHttpUser, HttpUser
from tests.support.scripted_server import Exchange, ScriptedServer, answer

pytestmark = pytest.mark.usefixtures("no_leaked_socket")

KEY = "a key of some length"


@pytest.fixture(params=[FastHttpUser, HttpUser], ids=lambda cls: cls.__name__)
def client(request, environment: Environment):
    """client(url) gives the client of a user that signs."""
    environment.run_id = "run-1"
    made = []

    def make(url: str):
        cls = type("Visitor", (request.param,), {"host": url, "request_signer": RequestSigner(KEY)})
        made.append(cls(environment).client)
        return made[-1]

    yield make
    for session in made:
        session.close()


def check(exchange: Exchange, path: str) -> None:
    message = f"run-1\n{exchange.header('x-obswarm-time')}\n{path}".encode()
    assert exchange.header("x-obswarm-run") == "run-1"
    assert exchange.header("x-obswarm-signature") == hmac.new(KEY.encode(), message, hashlib.sha256).hexdigest()


def test_each_request_is_signed_for_its_path_without_the_query(client) -> None:
    with ScriptedServer(answer(b"a"), answer(b"b"), answer(b"c")) as server:
        session = client(server.url)
        session.get("/a path/ü?page=2", headers={"X-Own": "1"})
        session.post("/b", json={"x": 1})
        session.get(server.url, params={"q": "1"})
        first, second, third = server.exchanges
    check(first, "/a%20path/%C3%BC")
    check(second, "/b")
    check(third, "/")
    assert first.header("x-own") == "1"
    assert second.body == b'{"x": 1}' or second.body == b'{"x":1}'


def test_a_redirect_on_the_same_host_is_signed_anew(client) -> None:
    with ScriptedServer(answer(b"", status="302 Found", Location="/there?a=1"), answer(b"there")) as server:
        assert client(server.url).get("/here").status_code == 200
        first, second = server.exchanges
    check(first, "/here")
    check(second, "/there")


def test_another_host_gets_no_signature(client) -> None:
    with ScriptedServer(answer(b"other"), answer(b"other")) as other:
        with ScriptedServer(answer(b"", status="302 Found", Location=other.url + "/x")) as server:
            session = client(server.url)
            assert session.get("/").status_code == 200
            assert session.get(other.url + "/y").status_code == 200
        check(server.exchanges[0], "/")
        for exchange in other.exchanges:
            assert not [name for name in exchange.headers if name.startswith("x-obswarm")]
