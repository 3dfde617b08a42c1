"""Base URLs, paths below them, and what cannot be requested."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import Environment, ObswarmError, User
from obswarm.http import FastHttpUser, HttpUser
from obswarm.http.errors import InvalidRequest, MissingHost
from obswarm.http.urls import Origin, absolute, check_host, parse_url, with_params


@pytest.mark.parametrize(
    ("base", "path", "expected"),
    [
        ("http://a.test", "/x", "http://a.test/x"),
        ("http://a.test", "x", "http://a.test/x"),
        ("http://a.test/base", "/x", "http://a.test/base/x"),
        ("http://a.test", "?q=1", "http://a.test?q=1"),
        ("http://a.test", "", "http://a.test"),
        ("http://a.test", "https://b.test/x", "https://b.test/x"),
        ("http://a.test", "HTTPS://b.test/x", "https://b.test/x"),
        ("http://a.test", "/go?to=http://b.test", "http://a.test/go?to=http://b.test"),
        ("http://a.test", "/go/http://b.test/x", "http://a.test/go/http://b.test/x"),
        ("http://a.test", "go/ftp://b.test/x", "http://a.test/go/ftp://b.test/x"),
    ],
)
def test_paths_are_below_the_base(base: str, path: str, expected: str) -> None:
    assert absolute(base, path) == expected


def test_without_a_base_there_has_to_be_a_whole_url() -> None:
    assert absolute(None, "http://a.test/") == "http://a.test/"
    with pytest.raises(MissingHost):
        absolute(None, "/x")


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("http://a.test", Origin("http", "a.test", 80), "/"),
        ("https://A.Test:8443/x?y=z#f", Origin("https", "a.test", 8443), "/x?y=z"),
        ("http://[::1]:8080/", Origin("http", "::1", 8080), "/"),
        ("http://bücher.test/ü?ä", Origin("http", "xn--bcher-kva.test", 80), "/%C3%BC?%C3%A4"),
        ("http+unix://%2Frun%2FApp.sock/x", Origin("http+unix", "/run/App.sock", 0), "/x"),
    ],
)
def test_urls_are_cut_into_origin_and_target(url: str, origin: Origin, target: str) -> None:
    parsed = parse_url(url)
    assert (parsed.origin, parsed.target) == (origin, target)
    assert parse_url(str(parsed)) == parsed


def test_authorities() -> None:
    assert Origin("http", "a.test", 80).authority == "a.test"
    assert Origin("https", "a.test", 80).authority == "a.test:80"
    assert Origin("http", "::1", 8080).authority == "[::1]:8080"


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_an_invalid_request(text: str) -> None:
    try:
        parsed = parse_url("http://a.test/" + text)
    except InvalidRequest as error:
        assert "a.test" in str(error)  # noqa: PT017 - the error is one of two fine outcomes
    else:
        assert parsed.target.isascii()
        assert not set(parsed.target) & set(" \r\n\t\0")


@given(st.text("/.aZ09-_~!$&'()*+,;=:@?%[]|é", max_size=20))
def test_targets_that_stay_as_they_are_are_those_that_requests_leaves(text: str) -> None:
    from obswarm.http import urls

    parts = urlsplit("http://a.test/" + text)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    assert parse_url("http://a.test/" + text).target == urls._normalised(target)


@given(st.text(max_size=20))
def test_any_text_is_a_host_or_a_sentence(text: str) -> None:
    try:
        parse_url(check_host(text))
    except (ValueError, InvalidRequest) as error:
        assert str(error)  # noqa: PT017


HOSTS: dict[object, str] = {
    "grpc://db:50051": "like https://www.example.com; grpc:// cannot be requested",
    "ws://x": "like https://www.example.com; ws:// cannot be requested",
    "db:50051": "like http://db:50051",
    "unix:/run/x.sock": "like http+unix://%2Frun%2Fx.sock",
    "http://[::bad": "like https://www.example.com",
    5: "5 is not a base URL; it needs a scheme and a host, as text",
}


@pytest.mark.parametrize("host", HOSTS)
def test_http_users_refuse_hosts_of_other_schemes_and_say_what_they_take(host: object) -> None:
    with pytest.raises(ValueError, match="not a base URL") as refused:
        FastHttpUser.check_host(host)
    assert str(refused.value).endswith(HOSTS[host])
    with pytest.raises(ValueError, match="not a base URL"):
        HttpUser.check_host(host)
    assert User.check_host(host) is host


def test_sockets_are_for_the_fast_one_alone() -> None:
    assert FastHttpUser.check_host(" http+unix://%2Fx/ ") == "http+unix://%2Fx"
    with pytest.raises(ValueError, match=r"http\+unix:// cannot be requested"):
        HttpUser.check_host("http+unix://%2Fx/")


@pytest.mark.parametrize("kind", [FastHttpUser, HttpUser])
def test_a_host_that_a_listener_has_set_is_checked_when_a_user_is_made(
    kind: type[User], environment: Environment
) -> None:
    environment.host = "https://x.test/"
    assert type("Visitor", (kind,), {"host": "http://own"})(environment).client.base_url == "https://x.test"
    environment.host = "grpc://db"
    with pytest.raises(ObswarmError, match=r"^environment\.host: 'grpc://db' is not a base URL"):
        type("Visitor", (kind,), {})(environment)
    environment.host = None
    with pytest.raises(ObswarmError, match=r"^Visitor\.host: 'db:1' is not a base URL"):
        type("Visitor", (kind,), {"host": "db:1"})(environment)


@pytest.mark.parametrize(
    "host",
    ["example.com", "ftp://x", "http://", "https://:80", "http://a:0", "http://a:b", "http://a:65536", "", "//x"],
)
def test_what_is_no_base_url(host: str) -> None:
    with pytest.raises(ValueError, match="scheme and a host"):
        check_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "http://a b",
            "http://a\tb",
            "http://a\0b",
            "http://a\x7fb",
            "http://a\r\nX",
            "http://a/x\ny",
            "http://a..b",
        ),
        *(
            "http://.a",
            "http://..",
            "http://a%20b",
            "http://*.a",
            "http://a,b",
            "http://a<b>",
            "http://ü..b",
            "http://a@b c",
        ),
        *("http://" + "a" * 64, "http://" + "a." * 128, "http://" + "ü" * 63),
    ],
)
def test_a_host_that_no_request_can_be_made_to_is_refused_at_the_start(host: str) -> None:
    for kind in (FastHttpUser, HttpUser):
        with pytest.raises(ValueError, match="is not a base URL; (it contains a line|.* cannot be the name of a host)"):
            kind.check_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "http://a",
            "https://a.b.",
            "http://a_b.c-d:80",
            "http://127.0.0.1",
            "http://[::1]:8080",
            "http://user:p w@a",
        ),
        *("http://bücher.test/a b", "http://xn--bcher-kva.test", "http://" + "a" * 63, "http://A.B/x"),
    ],
)
def test_hosts_that_requests_can_be_made_to_are_taken_as_they_are(host: str) -> None:
    assert FastHttpUser.check_host(host + "/") == HttpUser.check_host(f" {host}\n") == host


def test_a_host_that_only_requests_refuses_is_refused_for_its_user() -> None:
    with pytest.raises(ValueError, match="requests takes no such host name"):
        HttpUser.check_host("http://☃.test")


def test_params() -> None:
    assert with_params("/x", {"a": [1, 2], "b": None, "c": "ü"}) == "/x?a=1&a=2&c=%C3%BC"
    assert with_params("/x?y=1#f", [("a", "b")]) == "/x?y=1&a=b#f"
    assert with_params("/x", "raw=1") == "/x?raw=1"
    assert with_params("/x", {}) == "/x"
    with pytest.raises(InvalidRequest, match="params=5"):
        with_params("/x", 5)
