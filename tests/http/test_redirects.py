"""The request that a redirect asks for."""

import pytest

from obswarm.http import InvalidRedirect
from obswarm.http.client.redirects import NextRequest, next_request
from obswarm.http.head import template
from obswarm.http.tls import TlsSettings
from obswarm.http.urls import parse_url

TEMPLATE = template(
    "http://shop.test", (("Accept", "*/*"), ("Authorization", "Basic c2Vzc2lvbg==")), None, TlsSettings()
)


def redirected(
    method: str, status_code: int, location: str, url: str = "http://shop.test/here", **headers: str
) -> NextRequest:
    sent = TEMPLATE.prepare(method, parse_url(url), headers)
    return next_request(sent, headers, status_code, location, TEMPLATE)


@pytest.mark.parametrize(
    ("method", "status_code", "expected", "keeps_body"),
    [
        ("POST", 301, "GET", False),
        ("PUT", 301, "PUT", False),
        ("POST", 302, "GET", False),
        ("PUT", 303, "GET", False),
        ("HEAD", 303, "HEAD", False),
        ("POST", 307, "POST", True),
        ("PUT", 308, "PUT", True),
    ],
)
def test_method_and_body(method: str, status_code: int, expected: str, keeps_body: bool) -> None:
    following = redirected(method, status_code, "/there")
    assert (following.prepared.method, following.keeps_body) == (expected, keeps_body)
    assert str(following.prepared.url) == "http://shop.test/there"


def test_headers_of_the_body_go_with_it() -> None:
    headers = {"Content-Type": "text/csv", "X-Own": "1"}
    assert redirected("POST", 307, "/", **headers).headers == headers
    assert redirected("POST", 302, "/", **headers).headers == {"X-Own": "1"}


def test_credentials_stay_with_their_origin() -> None:
    own = {"Authorization": "Bearer own", "X-Own": "1"}
    same = redirected("GET", 302, "/there", **own)
    assert same.same_origin
    assert b"Bearer own" in same.prepared.start
    for location in ("http://other.test/", "https://shop.test/", "http://shop.test:81/"):
        other = redirected("GET", 302, location, **own)
        assert not other.same_origin
        assert other.headers == {"X-Own": "1"}
        assert b"Authorization" not in other.prepared.start
        assert b"X-Own: 1" in other.prepared.start


def test_a_user_in_the_url_goes_along_but_is_none_of_the_targets_making() -> None:
    here = "http://me:secret@shop.test/"
    assert redirected("GET", 302, "/", here).prepared.url.userinfo == "me:secret"
    assert redirected("GET", 302, "http://you:x@shop.test/", here).prepared.url.userinfo == "me:secret"
    assert redirected("GET", 302, "http://you:x@other.test/", here).prepared.url.userinfo is None


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("ftp://shop.test/", "which cannot be requested"),
        ("/\xff", "which is not UTF-8"),
        ("http+unix://%2Frun%2Fdocker.sock/", "to a Unix socket"),
    ],
)
def test_a_location_of_which_no_request_can_be_made(location: str, reason: str) -> None:
    with pytest.raises(InvalidRedirect, match=reason):
        redirected("GET", 302, location)
