"""HttpUser's client is requests in everything but its transport."""

import gzip
import pickle

import gevent
import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import AuthBase, HTTPDigestAuth

from obswarm.http import CountedResponse, HttpSession
from tests.support.scripted_server import HANG, RESET, Exchange, ScriptedServer, answer

pytestmark = pytest.mark.usefixtures("no_leaked_socket")


@pytest.fixture
def make(environment):
    made = []

    def make(url: str | None) -> HttpSession:
        made.append(HttpSession(environment, url))
        return made[-1]

    yield make
    for session in made:
        session.close()


def test_a_session_has_every_attribute_that_requests_gives_one(make) -> None:
    theirs, session = vars(requests.Session()), make("http://x.test")
    # Some are made when they are first used.
    ours = {name: getattr(session, name) for name in theirs}
    assert set(theirs) <= set(vars(session))
    same = set(theirs) - {"adapters", "cookies"}
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert list(ours["adapters"]) == list(theirs["adapters"])


def test_a_response_has_every_attribute_that_requests_gives_one(make) -> None:
    with ScriptedServer(answer(b"x", Set_Cookie="a=1")) as server:
        theirs = requests.get(server.url + "/")
        ours = make(server.url).get("/")
    assert set(vars(theirs)) - set(vars(ours)) <= {"cookies"}
    for name in (
        "status_code",
        "reason",
        "headers",
        "encoding",
        "url",
        "text",
        "ok",
        "apparent_encoding",
        "is_redirect",
        "links",
    ):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.cookies.get_dict() == {"a": "1"}
    copy = pickle.loads(pickle.dumps(theirs))
    assert copy.text == "x"


def test_hooks_auth_classes_params_and_headers_of_the_session(make) -> None:
    class Token(AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["X-Token"] = "t"
            return request

    seen: list[object] = []
    with ScriptedServer(answer(b"x")) as server:
        session = make(server.url)
        session.auth = Token()
        session.params = {"key": "1"}
        session.headers["X-All"] = "a"
        session.hooks["response"].append(lambda response, *args, **kwargs: seen.append(response))
        response = session.get(
            "/p?q=2", headers={"X-One": "1", "X-All": None}, hooks={"response": lambda r, *a, **k: seen.append("call")}
        )
        exchange = server.exchanges[0]
        assert exchange.request_line == "GET /p?q=2&key=1 HTTP/1.1"
        assert (exchange.header("x-token"), exchange.header("x-one"), exchange.header("x-all")) == ("t", "1", None)
        assert seen == ["call"]  # those of a call replace the session's
        response = session.get("/")
        assert seen == ["call", response]


def test_digest_authentication_goes_round_twice(make) -> None:
    challenge = answer(status="401 Unauthorized", WWW_Authenticate='Digest realm="r", nonce="n", qop="auth"')
    with ScriptedServer(challenge, answer(b"in")) as server:
        response = make(server.url).get("/", auth=HTTPDigestAuth("u", "p"))
        assert response.content == b"in"
        assert server.exchanges[1].header("authorization").startswith('Digest username="u"')
        assert server.connections == 1


def test_cookies_redirects_and_prepared_requests(make, environment) -> None:
    moved = answer(status="302 Found", Location="/home", Set_Cookie="session=1")
    with ScriptedServer(moved, answer(b"home")) as server:
        session = make(server.url)
        session.cookies.set("before", "0")
        response = session.post("/login", data={"user": "u"}, cookies={"once": "2"})
        assert (response.content, [each.status_code for each in response.history]) == (b"home", [302])
        assert set(server.exchanges[0].header("cookie").split("; ")) == {"before=0", "once=2"}
        assert server.exchanges[1].request_line == "GET /home HTTP/1.1"
        assert "session=1" in server.exchanges[1].header("cookie")
        prepared = session.prepare_request(requests.Request("PUT", server.url + "/prepared", json={"a": 1}))
        assert session.send(prepared).content == b"home"
        assert "session=1" in server.exchanges[2].header("cookie")
        assert server.exchanges[2].body == b'{"a": 1}'
        assert server.connections == 1
    stats = environment.recorder.take().endpoints
    assert {key.name: each.requests for key, each in stats.items()} == {"/login": 1}


def test_other_adapters_can_be_mounted(make, environment) -> None:
    class Canned(BaseAdapter):
        def send(self, request, **kwargs):  # type: ignore[no-untyped-def]
            response = requests.Response()
            response.status_code = 200
            response._content = b"canned"
            response.url = request.url
            response.request = request
            return response

        def close(self) -> None: ...

    with ScriptedServer(answer(b"real")) as server:
        session = make(server.url)
        session.mount("http://canned.test", Canned())
        session.mount(server.url, HTTPAdapter())
        assert session.get("http://canned.test/").content == b"canned"
        response = session.get("/")
        assert response.content == b"real"
        assert isinstance(response, CountedResponse)
        assert response.timings is None
        with session.get("/", catch_response=True) as judged:
            judged.failure("no")
    assert sum(stats.failures for stats in environment.recorder.take().endpoints.values()) == 1


def test_streams(make, environment) -> None:
    body = b"line one\nline two\n" * 500
    with ScriptedServer(
        answer(gzip.compress(body), Content_Encoding="gzip"),
        [b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nhello", RESET],
    ) as server:
        session = make(server.url)
        with session.get("/", stream=True) as response:
            assert b"".join(response.iter_content(64)) == body
        server.scripts.insert(0, answer(b"abcdef" * 3))
        response = session.get("/", stream=True)
        assert response.raw.read(4) == b"abcd"
        assert response.raw.read() == b"efabcdefabcdef"
        server.scripts.insert(0, answer(body))
        assert list(session.get("/", stream=True).iter_lines()) == body.splitlines()
        broken = session.get("/", stream=True)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            _ = broken.content
        unread = session.get("/", stream=True)
        unread.close()
        del unread


ERRORS = {
    "refused": (None, {}, requests.exceptions.ConnectionError, "Connection refused"),
    "reset": ([RESET], {}, requests.exceptions.ConnectionError, "reset by peer"),
    "silent": ([HANG], {"timeout": 0.1}, requests.exceptions.ReadTimeout, "for 0.1s"),
    "no HTTP": ([b"nonsense\r\n\r\n"], {}, requests.exceptions.ConnectionError, "did not answer in HTTP"),
    "damaged": (answer(b"no gzip", Content_Encoding="gzip"), {}, requests.exceptions.ContentDecodingError, "the body is not gzip"),
    "endless": (answer(status="302 Found", Location="/"), {}, requests.exceptions.TooManyRedirects, "30 redirects"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_those_of_requests_and_counted(make, environment, case: str) -> None:
    script, arguments, kind, message = ERRORS[case]
    with ScriptedServer(script or answer()) as server:
        session = make(server.url if script is not None else "http://127.0.0.1:1")
        response = session.get("/x", **arguments)
        assert isinstance(response.error, kind)
        assert response.status_code == 0
        with pytest.raises(kind):
            response.raise_for_status()
    table = environment.recorder.take()
    ((key, _),) = table.errors.items()
    assert message in key.message


@pytest.mark.parametrize("url", ["http://certificate.invalid/", "http://the-proxy.invalid/header"])
def test_what_is_raised_does_not_depend_on_names_in_the_text(make, url: str) -> None:
    with ScriptedServer() as server:
        response = make(server.url).get(url)
    with pytest.raises(requests.exceptions.ConnectionError) as raised:
        response.raise_for_status()
    assert type(raised.value) is requests.exceptions.ConnectionError


@pytest.mark.parametrize(
    ("url", "arguments", "kind"),
    [
        ("http://", {}, requests.exceptions.InvalidURL),
        ("http://exa mple/", {}, requests.exceptions.InvalidURL),
        ("/", {"headers": {"X": "a\r\nb"}}, requests.exceptions.InvalidHeader),
        ("/", {"timeout": -1}, ValueError),
        ("/", {"timeout": "soon"}, ValueError),
        ("/", {"timeout": (1, 2, 3)}, ValueError),
    ],
)
def test_wrong_calls_raise_as_in_requests(make, environment, url: str, arguments: dict, kind: type) -> None:
    with ScriptedServer(answer()) as server, pytest.raises(kind):
        make(server.url).get(url, **arguments)
    assert not environment.recorder.take().endpoints


def test_several_greenlets_may_use_one_session(make) -> None:
    def slow(exchange: Exchange) -> None:
        gevent.sleep(0.05)
        exchange.connection.sendall(answer(exchange.request_line.split()[1].encode())[0])

    with ScriptedServer(slow) as server:
        session = make(server.url)
        greenlets = [gevent.spawn(session.get, f"/{number}") for number in range(15)]
        gevent.joinall(greenlets)
        assert [greenlet.value.text for greenlet in greenlets] == [f"/{number}" for number in range(15)]


def test_timings_and_wire_bytes(make, environment) -> None:
    coded = gzip.compress(b"a" * 5000)
    with ScriptedServer(answer(coded, Content_Encoding="gzip")) as server:
        session = make(server.url)
        first, second = session.get("/"), session.get("/")
    assert first.timings.connect_s > 0
    assert second.timings.connect_s is None
    (stats,) = environment.recorder.take().endpoints.values()
    assert stats.response_bytes == 2 * len(coded)
    assert stats.timings.counts == [1, 0, 2, 2]


STEPS = (
    "send",
    "get_adapter",
    "prepare_request",
    "merge_environment_settings",
    "resolve_redirects",
    "get_redirect_target",
)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_a_subclass_overrides_gets_every_call(environment, step: str) -> None:
    calls: list[str] = []

    def overriding(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        calls.append(step)
        return getattr(HttpSession, step)(self, *args, **kwargs)

    kind = type("Own", (HttpSession,), {step: overriding})
    with ScriptedServer(answer(b"x")) as server, kind(environment, server.url) as session:
        for _ in range(4):
            assert session.get("/").content == b"x"
    assert len(calls) >= 4


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_a_library_patches_from_now_on_gets_every_call(make, monkeypatch, step: str) -> None:
    calls: list[str] = []
    with ScriptedServer(answer(b"x")) as server:
        session = make(server.url)
        for _ in range(3):
            session.get("/")
        owner = HttpSession if step in vars(HttpSession) else requests.Session
        before = getattr(owner, step)

        def patched(self, *args, **kwargs):  # type: ignore[no-untyped-def]
            calls.append(step)
            return before(self, *args, **kwargs)

        monkeypatch.setattr(owner, step, patched)
        for _ in range(4):
            session.get("/")
    assert len(calls) >= 4


def test_a_patched_send_of_requests_gets_every_call(make, monkeypatch) -> None:
    calls: list[requests.PreparedRequest] = []
    before = requests.Session.send

    def traced(self, request, **kwargs):  # type: ignore[no-untyped-def]
        calls.append(request)
        return before(self, request, **kwargs)

    with ScriptedServer(answer(b"x")) as server:
        session = make(server.url)
        for _ in range(3):
            session.get("/")
        monkeypatch.setattr(requests.Session, "send", traced)
        session.get("/")
    assert len(calls) == 1
