"""What stands where a Prometheus was expected, or says something else than values: each has a sentence, and what will
not pass ends the run before it begins."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from obswarm.api import ObswarmError
from obswarm.http import ApiAccess
from obswarm.targets import PrometheusSource, SourceError, prometheus_api
from tests.support.proxy import Proxy
from tests.support.scripted_server import HANG, RESET, Exchange, ScriptedServer, answer

VALUE = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "3"]}]}}
OK = answer(json.dumps(VALUE).encode(), Content_Type="application/json")
HTML = {"Content_Type": "text/html; charset=utf-8"}
LOGIN = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>secret</body></html>"


def api_error(status: str, kind: str, text: str) -> list[bytes]:
    return answer(json.dumps({"status": "error", "errorType": kind, "error": text}).encode(), status)


def asked(url: str, timeout_s: float = 10, **access: object) -> PrometheusSource:
    source = PrometheusSource(url, access=ApiAccess(**access), timeout_s=timeout_s, total_timeout_s=20)  # type: ignore[arg-type]
    source.check("up")
    return source


WILL_NOT_PASS = [
    (answer(b"Unauthorized\n", "401 Unauthorized"), "wants a user or a token; give --prometheus-auth"),
    (
        answer(b"no org id", "401 Unauthorized"),
        "give --prometheus-header 'X-Scope-OrgID: TENANT' (HTTP 401: no org id)",
    ),
    (answer(LOGIN, "403 Forbidden", **HTML), "--prometheus-token or --prometheus-token-file (HTTP 403: Sign in)"),
    (answer(b"404 page not found", "404 Not Found"), "has no Prometheus API at {url}/api/v1/query: check the path"),
    (answer(b"", "302 Found"), "redirects to nowhere (HTTP 302)"),
    (answer(b"", "302 Found", Location="/again"), "redirects again and again"),
    (answer(b"", "302 Found", Location="ftp://x/"), "leads to what is no URL of HTTP"),
    (answer(LOGIN, **HTML), "answers with a page of HTML (Sign in) where something else was asked for: a login page"),
    (answer(b" \n"), "answers with nothing (HTTP 200, an empty body)"),
    (answer(b"", "204 No Content"), "answers with nothing (HTTP 204, an empty body)"),
    (
        answer(b'{"message": "hello"}'),
        'returned JSON that is not a Prometheus response (HTTP 200): {"message": "hello"}',
    ),
    (answer(b'{"status": "success", "data": {}}'), "returned JSON without a query result"),
    (answer(b"# HELP up\nup 1\n"), "returned something other than JSON (HTTP 200): # HELP up"),
    (answer(b"Client sent an HTTP request to an HTTPS server.\n", "400 Bad Request"), "write https:// instead of"),
    (api_error("400 Bad Request", "bad_data", "parse error: x"), "refuses the query up: parse error: x"),
    (answer(json.dumps({**VALUE, "data": {"resultType": "matrix", "result": []}}).encode()), "returns a matrix"),
    (
        answer(
            json.dumps(
                {
                    "status": "success",
                    "data": {"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {}]}]},
                }
            ).encode()
        ),
        "returns native histograms; it has to return numbers, e.g. by histogram_quantile",
    ),
]
MAY_PASS = [
    (answer(b"slow down", "429 Too Many Requests", Retry_After="7"), "takes no more requests now, for 7s"),
    (answer(b"oops", "500 Internal Server Error"), "failed (HTTP 500: oops)"),
    (
        answer(LOGIN, "502 Bad Gateway", **HTML),
        "is not reached by the proxy or load balancer in front of it (HTTP 502: Sign in)",
    ),
    (answer(b"Service Unavailable", "503 Service Unavailable"), "is not ready, or has too much to do (HTTP 503"),
    (api_error("503 Service Unavailable", "timeout", "timed out"), "aborted the query up: timed out"),
    (api_error("422 Unprocessable Entity", "execution", "many-to-many"), "cannot evaluate the query up (HTTP 422"),
    (answer(json.dumps(VALUE).encode()[:-20]), "returned truncated JSON, 82 bytes (HTTP 200)"),
    ([b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", RESET], "broke its answer off"),
    ([HANG], "does not answer: nothing came within 0.3s"),
    (answer(json.dumps({"pad": "x" * 5000}).encode()), "the answer is larger than 4.0 KiB"),
]


@pytest.mark.parametrize(("script", "sentence"), WILL_NOT_PASS)
def test_what_will_not_pass_is_known_before_the_run(script: list[bytes], sentence: str) -> None:
    with ScriptedServer(script) as server:
        source = asked(server.url)
        with pytest.raises(ObswarmError) as refused:
            source.start()
        assert sentence.replace("{url}", server.url) in str(refused.value)
        assert str(refused.value).endswith(".")
        assert "<" not in str(refused.value), "a page of HTML is no message"
        with pytest.raises(SourceError):
            source.query("up")
        source.close()


@pytest.mark.parametrize(("script", "sentence"), MAY_PASS)
def test_what_may_pass_is_warned_of(
    script: list[bytes], sentence: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus_api, "_MAX_RESPONSE_BYTES", 4096)
    with ScriptedServer(script, OK, close=True) as server, caplog.at_level(logging.WARNING):
        source = asked(server.url, 0.3 if HANG in script else 10)
        source.start()
        assert sentence in caplog.text
        assert "This may be temporary; the query is retried." in caplog.text
        assert [sample.value for sample in source.query("up")] == [3.0]
        source.close()


@pytest.mark.parametrize(
    ("access", "which"),
    [
        ({"token": "s3cret-of-mine"}, "the token of --prometheus-token"),
        ({"auth": "me:s3cret-of-mine"}, "the user and password of --prometheus-auth"),
        ({"headers": (("Authorization", "s3cret-of-mine"),)}, "the Authorization of --prometheus-header"),
        ({}, "the user and password in its URL"),
    ],
)
def test_credentials_that_are_not_accepted_are_named_and_not_shown(access: dict[str, object], which: str) -> None:
    with ScriptedServer(answer(b"", "401 Unauthorized")) as server:
        source = asked(server.url if access else server.url.replace("//", "//me:s3cret-of-mine@"), **access)
        with pytest.raises(ObswarmError) as refused:
            source.start()
        assert f"does not accept {which} (HTTP 401)" in str(refused.value)
        assert "s3cret" not in str(refused.value)
        assert server.exchanges[0].header("authorization") is not None


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("{url}", "/api/v1/query?query=up"),
        ("{url}/", "/api/v1/query?query=up"),
        ("{url}/prom", "/prom/api/v1/query?query=up"),
        ("{url}/a/b/?x=1#top", "/a/b/api/v1/query?x=1&query=up"),
    ],
)
def test_a_path_before_the_api_is_kept(address: str, path: str) -> None:
    with ScriptedServer(OK) as server:
        asked(address.format(url=server.url)).query("up")
        assert server.exchanges[0].request_line == f"GET {path} HTTP/1.1"


def test_user_and_password_of_the_url_are_decoded_and_sent_in_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(OK) as server:
        asked(server.url.replace("//", "//m%40e:p%3Aw%C3%B6rt@")).query("up")
        # m@e:p:wört
        assert server.exchanges[0].header("authorization") == "Basic bUBlOnA6d8O2cnQ="
        assert "@" not in (server.exchanges[0].header("host") or "")


def test_a_token_file_is_read_again_and_its_token_is_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Would count before the token with requests.
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    file = tmp_path / "token"
    file.write_text("first-token-1\n")
    with ScriptedServer(OK) as server:
        source = asked(server.url, token_file=str(file))
        source.query("up")
        file.write_text("second-token-2\n")
        source.query("up")
        file.unlink()
        source.query("up")
        sent = [exchange.header("authorization") for exchange in server.exchanges]
        assert sent == ["Bearer first-token-1", "Bearer second-token-2", "Bearer second-token-2"]
        assert "second-token" not in str(SourceError("it says second-token-2"))


SECRET_HEADERS = {"headers": (("X-Scope-OrgID", "shop"), ("X-Api-Key", "k")), "token": "abc"}


def test_credentials_stay_behind_where_another_host_is_redirected_to() -> None:
    with ScriptedServer(OK) as other, ScriptedServer(answer(b"", "307 T", Location=f"{other.url}/there")) as server:
        source = asked(server.url, **SECRET_HEADERS)
        assert [sample.value for sample in source.query("up")] == [3.0]
        first, second = server.exchanges[0].headers, other.exchanges[0].headers
        assert {"authorization", "x-scope-orgid", "x-api-key"} <= set(first)
        assert {"authorization", "x-scope-orgid", "x-api-key"}.isdisjoint(second)


def test_they_go_with_a_redirect_on_the_same_host() -> None:
    with ScriptedServer(answer(b"", "301 M", Location="/prom/api/v1/query?query=up"), OK) as server:
        asked(server.url, **SECRET_HEADERS).query("up")
        assert server.exchanges[1].headers["authorization"] == "Bearer abc"
        assert server.exchanges[1].headers["x-scope-orgid"] == "shop"


def test_a_login_page_that_is_redirected_to_is_told() -> None:
    with ScriptedServer(answer(b"", "302 F", Location="/login?next=a"), answer(LOGIN, **HTML)) as server:
        with pytest.raises(ObswarmError) as refused:
            asked(server.url).start()
        assert f"(Sign in), to which it redirects ({server.url}/login)," in str(refused.value)


LONG = " or ".join(f'up{{instance="{number}"}}' for number in range(200))


@pytest.mark.parametrize(
    ("refusal", "methods"),
    [
        (OK, ["POST", "POST"]),
        (answer(b"", "405 Method Not Allowed"), ["POST", "GET", "GET"]),
        (answer(b"", "403 Forbidden"), ["POST", "GET", "GET"]),
        (answer(b"", "302 Found", Location="/elsewhere"), ["POST", "GET", "GET", "GET"]),
    ],
)
def test_a_long_query_is_posted_where_that_is_taken(refusal: list[bytes], methods: list[str]) -> None:
    with ScriptedServer(refusal, OK) as server:
        source = asked(server.url)
        for _ in range(2):
            assert [sample.value for sample in source.query(LONG)] == [3.0]
        assert [exchange.request_line.partition(" ")[0] for exchange in server.exchanges] == methods
        source.query("up")
        assert server.exchanges[-1].request_line.startswith("GET /api/v1/query?query=up")


def test_what_is_noted_of_an_answer_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    notes = {"warnings": ["receive failed"], "infos": ["PromQL info: x"], "isPartial": True}
    with ScriptedServer(answer(json.dumps({**VALUE, **notes}).encode())) as server, caplog.at_level(logging.INFO):
        source = asked(server.url)
        for _ in range(3):
            source.query("up")
        noted = [(record.levelname, record.getMessage().partition(": ")[2]) for record in caplog.records]
        partial = "the result is partial, since some of its stores do not respond"
        assert noted == [("WARNING", "receive failed"), ("INFO", "PromQL info: x"), ("WARNING", partial)]
        source.query("down")
        assert len(caplog.records) == 3
    with ScriptedServer(answer(json.dumps({**VALUE, "infos": ["y"]}).encode())) as server:
        assert asked(server.url).metric_values(["a_metric_of_a_kind"]) == [None], "it says which query a value is for"
        assert len(caplog.records) == 3, "hints about our own queries are for nobody"


UNREAD = "{__name__=~`up\\d?`}"
"""Prometheus reads it, our parser does not."""


def by_path(**scripts: list[bytes]) -> Callable[[Exchange], None]:
    def answers(exchange: Exchange) -> None:
        (script,) = scripts["format_query" if "format_query" in exchange.request_line else "query"]
        exchange.connection.sendall(script)

    return answers


@pytest.fixture
def unread() -> Iterator[Callable[[str], PrometheusSource]]:
    def make(url: str) -> PrometheusSource:
        source = PrometheusSource(url, timeout_s=10, total_timeout_s=20)
        source.check(UNREAD)
        return source

    return make


def test_a_query_that_prometheus_answers_is_none_that_we_refuse(unread: Callable[[str], PrometheusSource]) -> None:
    with ScriptedServer(OK) as server:
        unread(server.url).start()
        assert len(server.exchanges) == 1


def test_a_query_that_the_prometheus_parses_may_time_out_at_the_start(
    unread: Callable[[str], PrometheusSource],
) -> None:
    slow = api_error("503 Unavailable", "timeout", "timed out")
    with ScriptedServer(by_path(query=slow, format_query=answer(b'{"status": "success", "data": "up"}'))) as server:
        unread(server.url).start()
    bad = api_error("400 Bad Request", "bad_data", "unknown function")
    refused = pytest.raises(ObswarmError, match="refuses the query .* unknown function")
    with ScriptedServer(by_path(query=slow, format_query=bad)) as server, refused:
        unread(server.url).start()


def test_a_query_that_neither_obswarm_nor_the_prometheus_parses_is_refused(
    unread: Callable[[str], PrometheusSource],
) -> None:
    with pytest.raises(ObswarmError, match=r"is not PromQL: unknown escape.*Connection refused"):
        unread("http://127.0.0.1:1").start()


@pytest.mark.parametrize("by_option", [True, False])
def test_a_proxy_is_used(by_option: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy(password="u:p") as proxy, ScriptedServer(OK) as server:
        address = f"http://u:p@127.0.0.1:{proxy.port}"
        if by_option:
            monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        else:
            monkeypatch.setenv("HTTP_PROXY", address)
        monkeypatch.delenv("NO_PROXY", raising=False)
        access = {"proxy": address} if by_option else {}
        assert [sample.value for sample in asked(server.url, **access).query("up")] == [3.0]
        assert proxy.requests == [f"GET {server.url}/api/v1/query?query=up HTTP/1.1"]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        asked(server.url).query("up")
        assert len(proxy.requests) == 1
        with pytest.raises(ObswarmError, match=r"the proxy wants a user and a password \(HTTP 407\)"):
            asked(server.url, proxy=f"http://127.0.0.1:{proxy.port}").start()
    with pytest.raises(SourceError, match=rf"is not reached through the proxy http://127.0.0.1:{proxy.port}: Conn"):
        asked("https://127.0.0.1:2", proxy=address).query("up")
