"""Calls of requests.Session, sessions and answers: each alone beside what is usual, and redirects of every kind."""

import copy
import gzip
import io
import zlib
from dataclasses import replace
from enum import Enum
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth
from requests.cookies import RequestsCookieJar, create_cookie
from requests.structures import CaseInsensitiveDict

from tests.support.scripted_server import RESET, Script
from tests.support.session_calls import SessionCall


class Kind(str, Enum):  # noqa: UP042 - whose text is not its value, as it is with StrEnum
    """A header's value that is text and more."""

    FIRST = "first"


class Token(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Token"] = f"{request.method} {request.path_url}"
        return request


def jar_of(**values: str) -> RequestsCookieJar:
    jar = RequestsCookieJar()
    for name, value in values.items():
        jar.set(name, value)
    return jar


def sent(method: str = "GET", /, **arguments: Any) -> SessionCall:
    return SessionCall(method, arguments=arguments)


def off(method: str = "GET", /, **arguments: Any) -> SessionCall:
    return SessionCall(method, arguments=arguments, is_plain=False)


METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get", "Post")
BODIES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "bytes": {"data": b"\0\xff"},
    "text": {"data": "grün & €"},
    "a form": {"data": {"a": 1, "b": "x y", "ü": "é", "n": None, "f": 1.5, "t": True}},
    "a form of lists": {"data": {"a": [1, "2", None], "b": ("x",), "c": []}},
    "pairs": {"data": [("a", "1"), ("a", "2"), ("b", None)]},
    "a tuple of pairs": {"data": (("a", "~"), ("b", "-_."))},
    "JSON": {"json": {"a": [1, None, True, 1.5], "ü": "é"}},
    "JSON null": {"json": None},
    "JSON false": {"json": False},
    "an empty object": {"json": {}},
    "an empty list": {"json": []},
    "an empty text as JSON": {"json": ""},
    "a number": {"json": 0},
    "data and JSON": {"data": {"a": "1"}, "json": {"b": 2}},
    "empty data and JSON": {"data": {}, "json": {"b": 2}},
    "empty bytes": {"data": b""},
    "an empty form": {"data": {}},
}
UNUSUAL_BODIES: dict[str, dict[str, Any]] = {
    "a form of bytes": {"data": {b"a": b"\xff"}},
    "a form of numbers": {"data": {1: 2}},
    "a form of sets": {"data": {"a": {1}}},
    "a form of lists of lists": {"data": {"a": [[1, 2], [3]]}},
    "a bytearray": {"data": bytearray(b"abc")},
}
PARAMS: dict[str, Any] = {
    "a dict": {"q": "a b&c=d", "page": 2, "ü": "é", "none": None},
    "lists": {"a": [1, 2], "b": ("x", None), "c": []},
    "pairs": [("a", "1"), ("a", "2")],
    "nothing": {},
    "no value": {"a": None},
    "an empty value": {"a": ""},
    "safe characters": {"a": "~-_.", "b": "/?:@"},
    "a percent sign": {"a": "100%", "b": "%41"},
    "numbers": {"a": 1.5, "b": True, "c": -1},
}
UNUSUAL_PARAMS: dict[str, Any] = {
    "text": "a=1&b=ü",
    "bytes": b"a=%20",
    "bytes in a dict": {b"a": b"b"},
    "a set": {"a": {1}},
    "a nested dict": {"a": {"b": 1}},
}
PATHS = (
    *("/", "/asked?a=1", "/asked?", "/asked?a=1&b", "/a/../asked", "/./asked", "/asked/.", "//asked", "/asked//x"),
    *("/asked%20b", "/asked%2fb", "/asked%zz", "/asked b", "/grün", "/asked?q=ü b", "/asked;p=1", "/asked?a=[1]"),
    *("/asked#part", "/asked?a#part?b", "/asked?a=/./b", "/(a)'b'!*,", "/a:b@c", "/asked|x", '/a"b', "/a\\b", "/%7Ea"),
    *("?a=1", "", "/asked?a=%C3%BC", "/asked?%", "/a^b", "/a{b}", "/asked?a=b=c", "/asked?x=http://y/z"),
)
WHOLE_URLS = ("$URL/asked", "$URL", "$URL?a=1", "$URL/asked#part")
HEADERS: dict[str, dict[Any, Any]] = {
    "one": {"X-A": "1"},
    "three": {"X-A": "1", "x-b": "2", "X-C": 'a, b; c="d"'},
    "an empty one": {"X-A": ""},
    "a percent sign": {"X-A": "100%", "X-%b": "%s %b"},
    "one of the session": {"User-Agent": "other"},
    "one of the session in small letters": {"user-agent": "other", "ACCEPT": "text/html"},
    "a content type": {"Content-Type": "text/plain"},
    "a cookie": {"Cookie": "own=1"},
    "an authorization": {"Authorization": "Bearer x"},
    "none": {},
}
UNUSUAL_HEADERS: dict[str, dict[Any, Any]] = {
    "one that is left out": {"X-A": "1", "Accept": None},
    "bytes": {b"X-A": b"1"},
    "a value in bytes": {"X-A": b"1"},
    "umlauts": {"X-A": "grün"},
    "an enum": {"X-A": Kind.FIRST},
    "two spellings": {"X-A": "1", "x-a": "2"},
    "another host": {"Host": "shop.example"},
    "a number": {"X-A": 1},
    "a list": {"X-A": ["1"]},
    "a line break": {"X-A": "1\r\nX-B: 2"},
    "a dict of another kind": CaseInsensitiveDict({"X-A": "1"}),  # type: ignore[dict-item]
}
ARGUMENTS: dict[str, SessionCall] = {
    "cookies": sent(cookies={"a": "1", "b": "x y"}),
    "no cookies": sent(cookies={}),
    "a jar": off(cookies=jar_of(a="1")),
    "a cookie with a quote": sent(cookies={"a": '"q"'}),
    "a cookie with umlauts": off(cookies={"a": "ü"}),
    "basic auth": sent(auth=("user", "pass")),
    "basic auth with umlauts": sent(auth=("ü", "é")),
    "basic auth and an authorization": off(auth=("user", "pass"), headers={"Authorization": "Bearer x"}),
    "basic auth and headers": sent("POST", auth=("user", "pass"), headers={"X-A": "1"}, json={}),
    "an auth object": off(auth=HTTPBasicAuth("user", "pass")),
    "an auth class": off(auth=Token()),
    "an auth list": off(auth=["user", "pass"]),
    "a function for auth": off(auth=lambda request: request),
    "digest auth": off(auth=HTTPDigestAuth("user", "pass")),
    "a timeout": sent(timeout=5),
    "two timeouts": sent(timeout=(5, 2.5)),
    "a timeout without an end": sent(timeout=(5, None)),
    "a timeout of nothing": sent(timeout=0),
    "a timeout that is none": sent(timeout="soon"),
    "redirects that are not followed": sent(allow_redirects=False),
    "no verification": sent(verify=False),
    "verification": sent(verify=True),
    "verification with a file": off(verify="/etc/ssl/certs/ca-certificates.crt"),
    "no stream": sent(stream=False),
    "a hook": off(hooks={"response": lambda response, **_: response}),
    "a hook that changes the response": off(
        hooks={"response": lambda response, **_: setattr(response, "reason", "Hooked")}
    ),
    "no hooks": sent(hooks={}),
    "no proxies": sent(proxies={}),
    "no files": sent("POST", files={}),
    "a certificate": off(cert=None, hooks={"response": []}, proxies={"https": "http://127.0.0.1:1"}),
    "all": sent("POST", params={"a": 1}, json={"b": 2}, headers={"X-A": "1"}, auth=("u", "p"), cookies={"c": "3"}),
    "an unserialisable object": sent("POST", json={"a": object()}),
    "not a number": sent("POST", json=float("nan")),
    "a file": SessionCall("POST", arguments=lambda: {"data": io.BytesIO(b"content")}, is_plain=False),
    "an iterator": SessionCall("POST", arguments=lambda: {"data": iter([b"a", b"b"])}, is_plain=False),
    "an iterator as a value": SessionCall(arguments=lambda: {"params": {"a": iter([1, 2])}}, is_plain=False),
    "an iterator of pairs": SessionCall(arguments=lambda: {"params": iter([("a", 1)])}, is_plain=False),
    "a URL in bytes": SessionCall(path=b"/asked", is_plain=False),
}


def on(change: Any, **more: Any) -> SessionCall:
    """A session that is changed before each call: `change` gets it, the target's URL and the number of the round."""
    return SessionCall(set_up=change, **more)


def first(change: Any, **more: Any) -> SessionCall:
    """Changed before the first call."""
    return on(lambda session, url, number: number or change(session), **more)


def last(change: Any, **more: Any) -> SessionCall:
    """Changed before the last call."""
    return on(lambda session, url, number: number == 2 and change(session), **more)


def put(name: str, value: Any) -> Any:
    return lambda session: setattr(session, name, copy.deepcopy(value))


def each_cookie(**attributes: Any) -> Any:
    def change(session: Any, url: str, number: int) -> None:
        if not number:
            session.cookies.set("a", "1", domain="127.0.0.1", path="/")
        elif number == 2:
            for cookie in session.cookies:
                vars(cookie).update(attributes)

    return change


class Adapter(BaseAdapter):
    """Makes its answers up."""

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        response = requests.Response()
        response.status_code, response.reason, response._content, response.request = 200, "Made", b"up", request
        response.url, response.connection = str(request.url), self  # type: ignore[assignment]
        return response

    def close(self) -> None: ...


CHANGES: dict[str, Any] = {
    "a header": lambda session: session.headers.update({"X-All": "1"}),
    "a header in place of another": lambda session: session.headers.update({"accept": "text/html"}),
    "a header that is gone": lambda session: session.headers.pop("Accept"),
    "a header that is left out": lambda session: session.headers.update({"Accept": None}),
    "a percent sign in a header": lambda session: session.headers.update({"X-All": "%b 100%"}),
    "umlauts in a header": lambda session: session.headers.update({"X-All": "grün"}),
    "bytes in a header": lambda session: session.headers.update({"X-All": b"1"}),
    "an enum in a header": lambda session: session.headers.update({"X-All": Kind.FIRST}),
    "a cookie header": lambda session: session.headers.update({"Cookie": "own=1"}),
    "a content type": lambda session: session.headers.update({"Content-Type": "text/plain"}),
    "an authorization": lambda session: session.headers.update({"Authorization": "Bearer x"}),
    "a connection that is closed": lambda session: session.headers.update({"Connection": "close"}),
    "another host": lambda session: session.headers.update({"Host": "shop.example"}),
    "headers of another order": lambda session: (
        session.headers.move_to_end("User-Agent")
        if hasattr(session.headers, "move_to_end")
        else session.headers.update({"User-Agent": session.headers.pop("User-Agent")})
    ),
    "basic auth": put("auth", ("user", "pass")),
    "a cookie": lambda session: session.cookies.set("a", "1"),
    "two cookies": lambda session: session.cookies.update({"a": "1", "b": "2"}),
    "a cookie of the host": lambda session: session.cookies.set("a", "1", domain="127.0.0.1", path="/"),
    "a cookie of another host": lambda session: session.cookies.set("a", "1", domain="other.example"),
    "a cookie of the path": lambda session: session.cookies.set("a", "1", domain="127.0.0.1", path="/asked"),
    "a cookie of another path": lambda session: session.cookies.set("a", "1", domain="127.0.0.1", path="/other"),
    "a secure cookie": lambda session: session.cookies.set("a", "1", domain="127.0.0.1", secure=True),
    "an expired cookie": lambda session: session.cookies.set("a", "1", domain="127.0.0.1", expires=1),
    "a cookie that expires": lambda session: session.cookies.set("a", "1", domain="127.0.0.1", expires=2**33),
    "a cookie and none": lambda session: (session.cookies.set("a", "1"), session.cookies.clear()),
    "a cookie that is deleted": lambda session: (
        session.cookies.update({"a": "1", "b": "2"}),
        session.cookies.pop("a"),
    ),
    "a cookie object": lambda session: session.cookies.set_cookie(create_cookie("a", "1", domain="127.0.0.1")),
    "another jar": put("cookies", jar_of(other="1")),
    "a jar that takes nothing": lambda session: session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[])),
    "no verification": put("verify", False),
    "no environment": put("trust_env", False),
    "fewer redirects": put("max_redirects", 1),
}
LOSSES: dict[str, Any] = {
    "no cookies": lambda session: session.cookies.clear(),
    "no cookie of that name": lambda session: session.cookies.pop("a", None),
    "another cookie of that name": lambda session: session.cookies.set("a", "2", domain="127.0.0.1", path="/"),
    "a jar without cookies": lambda session: setattr(session, "cookies", RequestsCookieJar()),
    "a jar with a policy": lambda session: setattr(
        session, "cookies", RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    ),
}


def add_hook(session: Any) -> None:
    # An earlier change may have taken them all away.
    session.hooks = session.hooks or {"response": []}
    session.hooks["response"].append(lambda response, **_: setattr(response, "reason", "Hooked"))


UNUSUAL_CHANGES: dict[str, Any] = {
    "an auth class": put("auth", Token()),
    "parameters": put("params", {"key": "1"}),
    "a hook": add_hook,
    "hooks of another kind": put("hooks", {"response": [lambda response, **_: None]}),
    "streams": put("stream", True),
    "proxies": put("proxies", {"https": "http://127.0.0.1:1"}),
    "an adapter": lambda session: session.mount("http://", Adapter()),
    "an adapter of another place": lambda session: session.mount("http://other.example", Adapter()),
    "no adapter": lambda session: session.adapters.clear(),
    "a method of its own": lambda session: setattr(
        session, "send", lambda request, **given: type(session).send(session, request, **given)
    ),
    "headers that cannot be": lambda session: session.headers.update({"X": "a\r\nb"}),
    "no hooks": put("hooks", None),
    "a jar of the standard library": lambda session: setattr(session, "cookies", CookieJar()),
}


def headed(*lines: bytes, body: bytes = b'{"a": "b"}', status: bytes = b"200 OK") -> Script:
    head = b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"Content-Length: %d" % len(body)])
    return (head + b"\r\n\r\n" + body,)


def typed(content_type: bytes, body: bytes = b'{"a": "b"}') -> Script:
    return headed(b"Content-Type: " + content_type, body=body)


ANSWERS: dict[str, Script] = {
    "JSON": typed(b"application/json"),
    "JSON with a charset": typed(b'application/json; charset="UTF-8"'),
    "JSON in UTF-16": typed(b"application/json", '{"ü": 1}'.encode("utf-16")),
    "JSON without a type": headed(),
    "JSON in UTF-16 without a type": headed(body='{"ü": 1}'.encode("utf-16")),
    "JSON in UTF-32 without a type": headed(body='{"ü": 1}'.encode("utf-32")),
    "JSON with a mark": typed(b"application/json", b'\xef\xbb\xbf{"a": 1}'),
    "no JSON": typed(b"application/json", b"{nope"),
    "no UTF-8": typed(b"application/json", b'"\xff"'),
    "a body of blanks": typed(b"application/json", b"   "),
    "HTML": typed(b"text/html", "<p>grün</p>".encode("latin-1")),
    "HTML in UTF-8": typed(b"text/html; charset=utf-8", "<p>grün</p>".encode()),
    "text in Latin-1": typed(b"text/plain;charset=ISO-8859-1", b"gr\xfcn"),
    "an unknown charset": typed(b"text/plain; charset=nope", b"gr\xfcn"),
    "an empty charset": typed(b"text/plain; charset=", b"abc"),
    "another parameter": typed(b"text/plain; format=flowed; charset='utf-8'", b"abc"),
    "an empty type": typed(b"", b"abc"),
    "bytes": typed(b"application/octet-stream", bytes(range(256))),
    "a picture": typed(b"image/png", b"\x89PNG"),
    "a type in capitals": headed(b"CONTENT-TYPE:TEXT/HTML;CHARSET=UTF-8", body="ü".encode()),
    "blanks around a type": headed(b"Content-Type: \t text/html; charset=utf-8", body="ü".encode()),
    "two types": headed(b"Content-Type: text/html", b"content-type: text/plain; charset=utf-8", body="ü".encode()),
    "a type in the body": headed(body=b"a\r\n\r\nb\nContent-Type: text/html; charset=utf-16\n"),
    "lines": typed(b"text/plain", b"one\ntwo\r\nthree\n\n"),
    "nothing": headed(body=b""),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n",),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",),
    "no reason": headed(status=b"200"),
    "a long reason": headed(status=b"200 All is well  here"),
    "a reason in UTF-8": headed(status="404 Schön".encode()),
    "bad request": headed(status=b"400 Bad Request"),
    "unauthorized": headed(b"WWW-Authenticate: Basic", status=b"401 Unauthorized"),
    "not found": headed(status=b"404 Not Found"),
    "a teapot": headed(status=b"418 I'm a teapot"),
    "an error": headed(status=b"500 Internal Server Error"),
    "unavailable": headed(status=b"503 Busy", body=b""),
    "a status of its own": headed(status=b"299 Odd"),
    "interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\nContent-Type: text/html; charset=x\r\n\r\n",
        *headed(),
    ),
    "links": headed(b'Link: <http://a/2>; rel="next", <http://a/9>; rel=last; title="x"'),
    "two links": headed(b"Link: <http://a/2>; rel=next", b"link: <http://a/1>; rel=prev"),
    "repeated headers": headed(b"X-A: 1", b"x-a: 2", b"X-B:", b"X-A:3"),
    "a header in UTF-8": headed("X-A: grün".encode()),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",),
    "pieces": (b"HTTP/1.1 200 OK\r\nContent-", b"Length: 5\r\n\r\nab", b"cde"),
    "gzip": headed(b"Content-Encoding: gzip", body=gzip.compress(b'{"a": 1}')),
    "gzip of nothing": headed(b"Content-Encoding: gzip", body=b""),
    "gzip with a charset": headed(
        b"Content-Type: text/html; charset=utf-8", b"content-encoding: GZIP", body=gzip.compress("ü".encode())
    ),
    "deflate": headed(b"Content-Encoding: deflate", body=zlib.compress(b"abc")),
    "an unknown coding": headed(b"Content-Encoding: dcb", body=b"abc"),
    "identity": headed(b"Content-Encoding: identity", body=b"abc"),
    "no gzip": headed(b"Content-Encoding: gzip", body=b"no gzip"),
    "a cookie": headed(b"Set-Cookie: a=1"),
    "a cookie of a path": headed(b"Set-Cookie: a=1; Path=/asked"),
    "a cookie of another path": headed(b"Set-Cookie: a=1; Path=/other"),
    "a secure cookie": headed(b"Set-Cookie: a=1; Secure; HttpOnly; SameSite=Lax"),
    "a cookie for a while": headed(
        b"Set-Cookie: a=1; Max-Age=0", b"Set-Cookie: b=2; Expires=Wed, 09 Jun 2100 10:18:14 GMT"
    ),
    "a cookie of another host": headed(b"Set-Cookie: a=1; Domain=other.example"),
    "two cookies": headed(b"Set-Cookie: a=1", b"SET-COOKIE: b=2; Path=/"),
    "an odd cookie": headed(b"Set-Cookie: nothing", b'Set-Cookie: q="a b"', b"Set-Cookie: =x"),
    "a cookie and an error": headed(b"Set-Cookie: a=1", status=b"403 No"),
    "a location": headed(b"Location: /there", status=b"201 Created"),
    "a redirect nowhere": headed(status=b"302 Found"),
    "a reset": (b"HTTP/1.1 200 OK\r\nContent-Le", RESET),
    "no HTTP": (b"nonsense\r\n\r\n", RESET),
}

REDIRECT_BODIES: dict[str, dict[str, Any]] = {"nothing": {}, "a form": {"data": {"a": "1"}}, "JSON": {"json": {"a": 1}}}


def moved(status: int, *lines: bytes, **more: Any) -> SessionCall:
    """Redirected to /there."""
    return SessionCall(
        answer=headed(b"Location: /there", *lines, status=b"%d Moved" % status, body=b"moved"),
        answers={"/there": headed(b"X-There: 1", b"Set-Cookie: there=1", body=b"there")},
        **more,
    )


REDIRECTS: dict[str, SessionCall] = {
    **{
        f"{status} of {method} with {body}": moved(status, method=method, arguments=arguments)
        for status in (301, 302, 303, 307, 308)
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE")
        for body, arguments in REDIRECT_BODIES.items()
        if body == "nothing" or method in ("POST", "PUT")
    },
    **{
        f"{status} that nobody follows": moved(status, arguments={"allow_redirects": False})
        for status in (300, 301, 302, 303, 304, 307, 308)
    },
    "with a cookie": moved(302, b"Set-Cookie: session=1; Path=/"),
    "with auth": moved(302, arguments={"auth": ("u", "p")}),
    "with auth of the session": moved(302, set_up=lambda session, *_: setattr(session, "auth", ("u", "p"))),
    "with cookies of the call": moved(307, method="POST", arguments={"cookies": {"a": "1"}, "json": {}}),
    "with cookies of the session": moved(302, set_up=lambda session, *_: session.cookies.set("a", "1")),
    "with headers": moved(
        302, method="POST", arguments={"headers": {"X-A": "1", "Content-Type": "text/x"}, "data": b"x"}
    ),
    "with a fragment": moved(302, path="/asked#part"),
    "with parameters": moved(302, arguments={"params": {"a": 1}}),
    "with gzip": moved(302, b"Content-Encoding: gzip"),
    "with few redirects allowed": moved(302, set_up=lambda session, *_: setattr(session, "max_redirects", 1)),
    "with none allowed": moved(302, set_up=lambda session, *_: setattr(session, "max_redirects", 0)),
    "to itself": SessionCall(answer=headed(b"Location: /asked", status=b"302 Found")),
    "to itself with a cookie": SessionCall(answer=headed(b"Location: /asked", b"Set-Cookie: a=1", status=b"302 Found")),
    "to a whole URL": SessionCall(
        answer=headed(b"Location: $URL/there?a=%20b", status=b"302 Found"), answers={"/there": headed(body=b"there")}
    ),
    "to where nobody listens": SessionCall(answer=headed(b"Location: http://127.0.0.1:1/", status=b"302 Found")),
    "to a query": SessionCall(
        answer=headed(b"Location: /there?a=b c", status=b"302 Found"), answers={"/there": headed(body=b"there")}
    ),
}

CALLS: dict[str, SessionCall] = {
    **{f"{method} with {body}": sent(method, **BODIES[body]) for method in METHODS for body in ("nothing", "JSON")},
    **{f"{method} with {body}": sent(method, **arguments)
       for body, arguments in BODIES.items() for method in ("POST", "DELETE")},
    **{f"a body of {body}": off("POST", **arguments) for body, arguments in UNUSUAL_BODIES.items()},
    **{f"parameters of {what}": sent(params=params) for what, params in PARAMS.items()},
    **{f"parameters of {what} behind a query": replace(sent(params=params), path="/asked?b=1") for what, params in PARAMS.items()},
    **{f"unusual parameters of {what}": off(params=params) for what, params in UNUSUAL_PARAMS.items()},
    **{f"the path {path!r}": SessionCall(path=path) for path in (*PATHS, *WHOLE_URLS)},
    "an odd path with parameters": SessionCall(path="/a%20b", arguments={"params": {"a": 1}}, is_plain=False),
    "credentials in the URL": SessionCall(path="http://u:p@127.0.0.1:1/", is_plain=False),
    **{f"headers with {what}": sent(headers=headers) for what, headers in HEADERS.items()},
    **{f"headers with {what} and JSON": sent("POST", headers=headers, json={"a": 1}) for what, headers in HEADERS.items()},
    **{f"headers with {what}": off(headers=headers) for what, headers in UNUSUAL_HEADERS.items()},
    **{f"a call with {what}": call for what, call in ARGUMENTS.items()},
    # requests leaves it to urllib3, which sends it in chunks, of which there are none.
    "a body of a form of nothing": replace(off("POST", data={"a": None}), differs=("sent 0",)),
    # With a boundary that is made up.
    "a body of files": replace(
        off("POST", files={"f": ("n.txt", b"content", "text/plain")}), differs=("sent 0", "request")
    ),
    # urllib3 adds its own where there is no User-Agent and no Accept-Encoding.
    "a session that always had a dict of headers": first(put("headers", {"X-Only": "1"}), differs=("sent 0",)),
    "a session that gets a dict of headers": last(put("headers", {"X-Only": "1"}), differs=("sent 0",)),
    "a session that gets no headers": last(put("headers", {}), differs=("sent 0",)),
    "a session whose headers become None": last(put("headers", None), is_plain=False, differs=("sent 0",)),
    **{f"a session that always had {what}": first(change) for what, change in CHANGES.items()},
    **{f"a session that gets {what}": last(change) for what, change in CHANGES.items()},
    # The answers are the same each time, and what comes of them is not.
    **{
        f"a session with a cookie of its target that gets {what}": last(
            change, answer=ANSWERS["two cookies"], is_plain=what != "another host"
        )
        for what, change in {**CHANGES, **LOSSES}.items()
        if what != "a cookie that is deleted"
    },
    **{f"a session that gets {what}": last(change, is_plain=False) for what, change in UNUSUAL_CHANGES.items()},
    **{f"a session whose cookie gets {attributes}": on(each_cookie(**attributes)) for attributes in (
        {"value": "2"}, {"secure": True}, {"expires": 1}, {"path": "/other"}, {"domain": "other.example"}, {"name": "b"})},
    **{f"answered with {what}": SessionCall(answer=script) for what, script in ANSWERS.items()},
    **{f"HEAD answered with {what}": SessionCall("HEAD", answer=ANSWERS[what]) for what in ("not found", "no content")},
    **{f"a redirect {what}": call for what, call in REDIRECTS.items()},
}  # fmt: skip
