"""What targets do and what load tests ask for, each a case of the differential test."""

import gzip
import io
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import ANY

import brotli
import zstandard

from tests.support.differential import Case
from tests.support.scripted_server import HANG, PAUSE, RESET, Script, answer, byte_by_byte

FINE: tuple[Script, ...] = (answer(b"fine", X_Own="1"),)
HEAD = b"HTTP/1.1 200 OK\r\n"
REFUSED: dict[str, Any] = {"error": "connection", "status": 0, "reason": "", "body": b"", "headers": {}, "url": ""}
"""A Seen's fields where our clients do not take an answer that http.client does."""


UNREADABLE: dict[str, Any] = {**REFUSED, "error": "decoding"}
"""requests takes what is cut off, and knows only the codings of the packages that it finds."""

_COMPRESSED = gzip.compress(b"fine" * 99)
DAMAGED = (
    ("gzip", _COMPRESSED[:-12]),
    ("x-gzip", _COMPRESSED[:-8] + b"\0" * 8),
    ("Gzip", _COMPRESSED[:20] + b"\xff" * 9 + _COMPRESSED[29:]),
    ("deflate", zlib.compress(b"fine" * 99)[:-6]),
    ("br", brotli.compress(b"fine" * 99)[:-3]),
    ("zstd", zstandard.compress(b"fine" * 99)[:-3]),
    ("gzip, br", _COMPRESSED),
)


def raw(*pieces: bytes, **arguments: Any) -> Case:
    return Case((list(pieces),), **arguments)


def drip(piece: bytes) -> list[bytes]:
    return [byte for letter in byte_by_byte(piece) for byte in (letter, PAUSE)]


TARGETS: dict[str, Case] = {
    "answers": Case(FINE),
    "has an error": raw(*answer(b"sorry", status="503 Busy")),
    "refuses": Case(FINE, refuses=True),
    "resets": raw(RESET),
    "resets in the head": raw(b"HTTP/1.1 200 OK\r\nConte", PAUSE, RESET),
    "resets in the body": raw(HEAD + b"Content-Length: 50\r\n\r\nhello", PAUSE, RESET),
    "closes": raw(close=True),
    # http.client takes the end for that of the head.
    "closes in the head": raw(b"HTTP/1.1 200 OK\r\nConte", close=True, differs=REFUSED),
    "closes in chunks": raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", close=True),
    "closes after each answer": Case(FINE, close=True),
    "hangs": raw(HANG, arguments={"timeout": 0.1}),
    "hangs in the head": raw(b"HTTP/1.1 20", HANG, arguments={"timeout": 0.1}),
    # requests calls it a ConnectionError.
    "hangs in the body": raw(
        HEAD + b"Content-Length: 5\r\n\r\nhel", HANG, arguments={"timeout": 0.1}, differs={"error": "timeout"}
    ),
    "drips": raw(*byte_by_byte(HEAD + b"X: y\r\nContent-Length: 5\r\n\r\nhello")),
    "drips slower than one waits": raw(HEAD, *drip(b"X:"), HANG, arguments={"timeout": 0.15}),
    "folds": raw(HEAD + b"X-A: one\r\n two\r\nX-B: b\r\n\tc\r\nContent-Length: 4\r\n\r\nfine"),
    "folds and drips": raw(*byte_by_byte(HEAD + b"X-A: one\r\n two\r\nContent-Length: 4\r\n\r\nfine")),
    "folds a length": raw(HEAD + b"Content-Length:\r\n 4\r\n\r\nfine", close=True),
    "repeats a length": raw(HEAD + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nfine"),
    "repeats a length in one line": raw(HEAD + b"Content-Length: 4, 4\r\n\r\nfine", close=True),
    "repeats a header": raw(HEAD + b"X-A: 1\r\nContent-Length: 4\r\nx-a: 2\r\n\r\nfine"),
    "repeats a length with zeros": raw(HEAD + b"Content-Length: 04\r\nContent-Length: 4\r\n\r\nfine"),
    "repeats a length with zeros in one line": raw(HEAD + b"Content-Length: 4, 004\r\n\r\nfine", close=True),
    # http.client looks neither at the characters of headers nor at trailers.
    "has a control character in a header": raw(HEAD + b"X: a\x01b\r\nContent-Length: 4\r\n\r\nfine", differs=REFUSED),
    "has a NUL in a header": raw(HEAD + b"X: a\0b\r\nContent-Length: 4\r\n\r\nfine", differs=REFUSED),
    "has a header without a name": raw(HEAD + b": b\r\nContent-Length: 4\r\n\r\nfine", differs=REFUSED),
    "has a blank behind a name": raw(HEAD + b"X : b\r\nContent-Length: 4\r\n\r\nfine", close=True, differs=REFUSED),
    "has a length among trailers": raw(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\nContent-Length: 4\r\n\r\n", differs=REFUSED
    ),
    "has another trailer": raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\nX-T: 4\r\n\r\n"),
    # urllib3 gives up, http.client would take the first.
    "gives two lengths": raw(HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nfine", differs=REFUSED),
    "announces more than it sends": raw(HEAD + b"Content-Length: 50\r\n\r\nfine", close=True),
    "sends more than it announces": raw(HEAD + b"Content-Length: 4\r\n\r\nfine and more"),
    "announces a length beside chunks": raw(
        HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n"
    ),
    # http.client reads until the connection is closed.
    "announces a length that is none": raw(HEAD + b"Content-Length: four\r\n\r\nfine", close=True, differs=REFUSED),
    "announces a negative length": raw(HEAD + b"Content-Length: -4\r\n\r\nfine", close=True, differs=REFUSED),
    "sends a chunk of no size": raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", close=True),
    "sends nothing with 204": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "sends a body with 204": raw(b"HTTP/1.1 204 No Content\r\n\r\nfine"),
    "sends a body with HEAD": raw(HEAD + b"Content-Length: 4\r\n\r\nfine", method="HEAD"),
    "sends a length with 304": raw(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    "answers HEAD with a length": raw(HEAD + b"Content-Length: 5\r\n\r\n", method="HEAD"),
    "continues": raw(b"HTTP/1.1 100 Continue\r\n\r\n", *answer(b"fine"), method="POST", arguments={"data": b"x"}),
    "lies about its coding": raw(*answer(b"no gzip", Content_Encoding="gzip")),
    **{f"damages its {name}": raw(*answer(body, Content_Encoding=name), differs=UNREADABLE) for name, body in DAMAGED},
    "has too many codings": raw(*answer(b"fine", Content_Encoding=", ".join(["gzip"] * 20)), differs=UNREADABLE),
    "damages its gzip with an error": raw(*answer(b"no", status="500 No", Content_Encoding="gzip")),
    "damages its gzip in chunks": raw(
        HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"
    ),
    "folds its coding": raw(HEAD + b"content-encoding:\r\n gzip\r\nContent-Length: 2\r\n\r\nno", differs=UNREADABLE),
    "names a coding with HEAD": raw(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n", method="HEAD"),
    "names a coding without a body": raw(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
    "says no HTTP": raw(b"hello\r\n\r\n", close=True),
    "says HTTP/2.0": raw(b"HTTP/2.0 200 OK\r\nContent-Length: 4\r\n\r\nfine", close=True),
    # http.client takes it for HTTP/1.0.
    "says HTTP/0.9": raw(b"HTTP/0.9 200 OK\r\nContent-Length: 4\r\n\r\nfine", close=True, differs=REFUSED),
    "says HTTP/1.0": raw(b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nfine", close=True),
    "has the status 099 for HEAD": raw(b"HTTP/1.1 099 Odd\r\n\r\n", method="HEAD"),
    "has the status 000 and no body": raw(b"HTTP/1.1 000 Odd\r\nContent-Length: 0\r\n\r\n"),
    "switches to a protocol": raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    "switches to a protocol as announced": raw(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    ),
    "gives no reason": raw(b"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\nfine"),
    "gives no reason for an error": raw(b"HTTP/1.1 404\r\nContent-Length: 4\r\n\r\nfine"),
    "gives an empty reason": raw(b"HTTP/1.1 200 \r\nContent-Length: 4\r\n\r\nfine"),
    **{
        f"has the status {status}": raw(b"HTTP/1.1 %b Odd\r\nContent-Length: 4\r\n\r\nfine" % status, close=True)
        for status in (b"099", b"000", b"1000", b"20", b"abc", b"-1", b"299", b"600", b"999")
    },
}
"""Targets that behave, and that misbehave."""


def redirect(location: bytes, **arguments: Any) -> Case:
    return Case(
        ([b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"], answer(b"there")),
        **arguments,
    )


def moved(status: int, method: str, *then: Script, damaged: bool = False, **arguments: Any) -> Case:
    body = b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nno" if damaged else b"Content-Length: 0\r\n\r\n"
    script = [b"HTTP/1.1 %d Moved\r\nLocation: /there\r\n%b" % (status, body)]
    end = answer(b"" if method == "HEAD" else b"there")
    # Not said with HEAD by default, in requests as in ours.
    return Case((script, *(then or (end,))), method, arguments={"allow_redirects": True, **arguments})


REDIRECTS: dict[str, Case] = {
    **{
        f"{status} for {method}": moved(
            status, method, **({"data": {"a": "1"}} if method in ("POST", "PUT", "PATCH") else {})
        )
        for status in (301, 302, 303, 307, 308)
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE")
    },
    "with a body of another kind": moved(302, "PUT", json={"a": 1}),
    "GET with a body": moved(301, "GET", data=b"body"),
    "with headers of the body": moved(302, "PUT", data=b"x", headers={"Content-Length": "1", "X-Kept": "1"}),
    # requests follows it: what the answer has behind its head is of no use then. But it did not come whole.
    "breaking off in the body of the redirect": Case(
        ([b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 50\r\n\r\nhello"], answer(b"there")),
        close=True,
        differs={**REFUSED, "history": (), "sent": ANY},
    ),
    # FastHttpUser's `url` has no credentials.
    "with credentials": redirect(b"http://u:p@$PEER/there", fast={"url": "/there"}, http={"url": ANY}),
    "with credentials of others": redirect(
        b"http://u:p@$PEER/there", fast={"url": "/there"}, http={"url": ANY}, arguments={"auth": ("a", "b")}
    ),
    "DELETE, and once more": Case(
        (
            [b"HTTP/1.1 301 Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"],
            [b"HTTP/1.1 307 Moved\r\nLocation: /here\r\nContent-Length: 0\r\n\r\n"],
            answer(b"there"),
        ),
        "DELETE",
    ),
    "to what fails": moved(302, "GET", answer(b"gone", status="404 Not Found")),
    "to what resets": moved(302, "GET", [b"HTTP/1.1 2", PAUSE, RESET]),
    "to what hangs": moved(302, "GET", [HANG], timeout=0.1),
    "to what says no HTTP": moved(302, "GET", [b"nonsense\r\n\r\n", RESET]),
    "to where nobody listens": redirect(b"http://127.0.0.1:1/there"),
    "to itself, for ever": Case(([b"HTTP/1.1 302 Found\r\nLocation: /asked\r\nContent-Length: 0\r\n\r\n"],)),
    "a file that is sent again": Case(
        moved(307, "POST").scripts, "POST", arguments=lambda: {"data": io.BytesIO(b"content")}
    ),
    "a file that is not": Case(moved(302, "PUT").scripts, "PUT", arguments=lambda: {"data": io.BytesIO(b"content")}),
    # requests sends what is left of it: nothing.
    "an iterator that cannot be": Case(
        moved(307, "POST").scripts,
        "POST",
        arguments=lambda: {"data": iter([b"a", b"b"])},
        fast={**REFUSED, "history": (), "sent": ANY},
    ),
    "an iterator that need not be": Case(moved(303, "POST").scripts, "POST", arguments=lambda: {"data": iter([b"a"])}),
    "with a damaged body": moved(302, "GET", answer(b"fine"), damaged=True),
    # requests tries to read it twice, and takes the nothing that is left the second time.
    "with a damaged body, and nobody follows": replace(
        moved(302, "GET", damaged=True, allow_redirects=False), differs=UNREADABLE
    ),
    "to a damaged body": moved(302, "GET", answer(b"no", Content_Encoding="gzip")),
    "nowhere": raw(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"),
    "to an empty place": redirect(b""),
    "to a file": redirect(b"file:///etc/passwd"),
    "to another scheme": redirect(b"ftp://127.0.0.1/"),
    "to a script": redirect(b"javascript:alert(1)"),
    "to half an address": redirect(b"http://[::bad/"),
    "to a bracket": redirect(b"[::bad"),
    "to what is not UTF-8": redirect(b"/\xff\xfe"),
    "to UTF-8": redirect("/grün".encode()),
    "to no host": redirect(b"https://"),
    "to no port": redirect(b"http://127.0.0.1:99999/"),
    "to a long path": redirect(b"/" + b"a" * 21_000),
    # It is the resolver that says so.
    "to a long host": redirect(b"http://" + b"a" * 21_000 + b"/", differs={"error": "connection"}),
    "to a query": redirect(b"/there?a=1&b=%20c"),
    "to a fragment": redirect(b"/there#part"),
    "to blanks": redirect(b"/the re"),
    "to a place beside": redirect(b"there/../here"),
    "to a whole URL": redirect(b"$URL/there"),
    "to a long query": redirect(b"?" + b"a" * 21_000),
    "to a label that is too long": redirect(b"http://" + b"a" * 70 + b".test/", differs={"error": "connection"}),
    "to what breaks off in the body": moved(307, "POST", [HEAD + b"Content-Length: 50\r\n\r\nhello", PAUSE, RESET]),
    "nowhere, since nobody wants to": moved(302, "GET", allow_redirects=False),
    **{
        f"to {location}": redirect(location.encode())
        for location in (
            *("file:", "mailto:x@y", "data:text/html,x", "ws://x/", "//[::bad", "http://a[b]/", "http://x:-1/"),
            *("http://127.0.0.1:abc/", "http://]/", "http:///"),
        )
    },
}
"""Where targets send clients."""

WRONG_FRAMES: dict[str, dict[str, Any]] = {
    "a short length": {"Content-Length": "4"},
    "a long length": {"content-length": "4000"},
    "a length of 0": {"Content-Length": "0"},
    "a length that is none": {"Content-Length": "four"},
    "chunks": {"Transfer-Encoding": "chunked"},
    "chunks and a length": {"Transfer-Encoding": "Chunked", "Content-Length": "4"},
    "identity": {"transfer-encoding": "identity"},
}
BODIES: dict[str, tuple[str, Any]] = {
    "bytes": ("POST", lambda: {"data": b"hello body"}),
    "a form": ("PUT", lambda: {"data": {"a": "1"}}),
    "JSON": ("PATCH", lambda: {"json": {"a": 1}}),
    "a file": ("POST", lambda: {"data": io.BytesIO(b"hello body")}),
    "an empty file": ("POST", lambda: {"data": io.BytesIO()}),
    "an iterator": ("POST", lambda: {"data": iter([b"hello ", b"body"])}),
    "no body": ("POST", dict),
    "no body to get": ("GET", dict),
    "a body to get": ("GET", lambda: {"data": b"hello body"}),
}


def framed(headers: dict[str, Any], method: str, make: Any) -> Case:
    """The body says how long it is and how it is sent, whatever the headers say."""
    return Case(FINE, method, arguments=lambda: {"headers": {**headers, "X-Kept": "1"}, **make()},
                plain=lambda: {"headers": {"X-Kept": "1"}, **make()})  # fmt: skip


def recorded(headers: dict[str, Any], kept: dict[str, Any] | None = None, method: str = "POST", **more: Any) -> Case:
    """Headers as recordings have them; `kept` is what is sent of them, when it is not all."""
    body = {} if method == "GET" else {"data": b"hello body"}
    arguments = {"arguments": {"headers": headers, **body}}
    if kept is not None:
        arguments["plain"] = {"headers": kept, **body}
    return Case(**{"scripts": FINE, "method": method, **arguments, **more})


OF_HTTP_2 = {":authority": "shop.example", ":method": "POST", ":path": "/x", ":scheme": "https"}
OF_A_BROWSER = {
    "Host": "shop.example",
    "Connection": "keep-alive",
    "Accept": "text/html",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Cookie": "a=1; b=2",
    "Origin": "https://shop.example",
    "Sec-Fetch-Mode": "cors",
    "TE": "trailers",
    "Upgrade-Insecure-Requests": "1",
    "Content-Type": "text/plain",
}


class Sized:
    """An upload in pieces with its length in bytes, as it is recommended for requests; FastHttpUser sends it in chunks."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


def injected(method: str = "POST", **arguments: Any) -> Case:
    """A call whose head would say more than it may, of which requests lets some through."""
    return Case(FINE, method, arguments={"data": b"0123456789", **arguments}, plain={"headers": {"X": "a\r\nb"}})


CONTINUED: Script = [b"HTTP/1.1 100 Continue\r\n\r\n", *answer(b"fine")]

REQUESTS: dict[str, Case] = {
    **{
        f"{frame} for {body}": framed(headers, *BODIES[body])
        for frame, headers in WRONG_FRAMES.items()
        for body in BODIES
    },
    "the right length": recorded({"Content-Length": "10"}),
    "a length as a number": recorded({"Content-Length": 10}),
    "lengths in two spellings": recorded({"Content-Length": "4", "content-length": "5"}, {}),
    # requests sends the name of the coding, and the bytes without it.
    "a coding that is not sent": recorded({"Transfer-Encoding": "gzip, chunked"}, {"X": 1}),
    "another host": recorded({"Host": "shop.example"}),
    "another host in small letters": recorded({"host": "shop.example"}),
    "a connection that is to be closed": recorded({"Connection": "close"}, close=True),
    "a connection that is kept": recorded({"Connection": "keep-alive", "Keep-Alive": "timeout=5"}),
    "an upgrade": recorded({"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAAB"}),
    "an expectation": recorded({"Expect": "100-continue"}, scripts=(CONTINUED,)),
    "an expectation that is not met": recorded({"Expect": "100-continue"}, scripts=(answer(status="417 No"),)),
    "a content coding": recorded({"Content-Encoding": "gzip"}),
    "names of HTTP/2": recorded({**OF_HTTP_2, "X-Kept": "1"}, {"X-Kept": "1"}),
    "all of a browser's": recorded(OF_A_BROWSER),
    "all of a recording": recorded({**OF_HTTP_2, **OF_A_BROWSER, "Content-Length": "77"}, OF_A_BROWSER),
    "a recording of a page": recorded({**OF_HTTP_2, **OF_A_BROWSER}, OF_A_BROWSER, "GET"),
    "codings of a browser": recorded(
        {"Accept-Encoding": "gzip, deflate, br, zstd"},
        scripts=(answer(gzip.compress(b"fine"), Content_Encoding="gzip"),),
    ),
    **{
        # requests leaves a coding alone that has no package here.
        f"the coding {name} as the answer": recorded(
            {"Accept-Encoding": name},
            scripts=(answer(code(b"fine" * 99), Content_Encoding=name),),
            differs={"body": b"fine" * 99},
        )
        for name, code in (("br", brotli.compress), ("zstd", zstandard.compress), ("deflate", zlib.compress))
    },
    # requests counts characters, and pieces, and sends those numbers as the length in bytes.
    "a file of text": Case(
        FINE, "POST", arguments=lambda: {"data": io.StringIO("grün")}, plain=lambda: {"data": iter(["grün".encode()])}
    ),
    "an object that knows its length": Case(
        FINE, "POST", arguments=lambda: {"data": Sized([b"hello ", b"body"])}, fast={"sent": ANY}
    ),
    # requests has a header of its own in the place of it.
    "a coding that is not sent for pieces": Case(
        FINE,
        "POST",
        arguments=lambda: {"data": iter([b"a"]), "headers": {"Transfer-Encoding": "gzip, chunked"}},
        plain=lambda: {"headers": {"X": 1}},
    ),
    **{
        f"a {type(buffer).__name__}": Case(FINE, "POST", arguments={"data": buffer}, plain={"data": bytes(buffer)})
        for buffer in (bytearray(b"0123456789"), memoryview(b"0123456789"), array("H", b"0123456789"))
    },
    "pieces of several kinds": Case(
        FINE,
        "POST",
        arguments=lambda: {"data": iter([bytearray(b"ab"), memoryview(b"cd"), array("H", b"efgh")])},
        plain=lambda: {"data": iter([b"ab", b"cd", b"efgh"])},
    ),
    "an unknown coding": recorded({"Accept-Encoding": "dcb"}, scripts=(answer(b"fine", Content_Encoding="dcb"),)),
    "an empty header": recorded({"X-Empty": ""}),
    "a trailer": recorded({"Trailer": "X-T", "TE": "trailers"}),
    "a line break in a header": recorded({"X": "a\r\nY: b"}),
    "a name that cannot be": recorded({":X": "a"}),
    **{
        f"{what} of {named!r}": injected(**arguments, **more)
        for named in ("b\r\nContent-Length: 3", "b\nX: y", "b\rX: y", "b\0")
        for what, arguments, more in (
            ("a cookie", {"cookies": {"a": named}}, {}),
            ("a cookie's name", {"cookies": {named: "b"}}, {}),
            ("a header", {"headers": {"X": named}}, {}),
            ("a header in bytes", {"headers": {"X": named.encode()}}, {}),
            ("a header's name", {"headers": {named: "b"}}, {}),
            ("a Host", {"headers": {"Host": named}}, {}),
            ("a method", {}, {"method": f"GET /x HTTP/1.1\r\nA: {named}"}),
        )
    },
    **{f"the method {method!r}": injected(method=method) for method in ("", "PO ST", "PÖST", "GET\t", "A:")},
    **{
        f"the header name {name!r}": injected(headers={name: "3"})
        for name in ("", "Content-Length ", " Content-Length", "Content-Length\t", "Transfer-Encoding ", "X Y", "Ä")
    },
}
"""Calls."""

CASES = {
    **{f"a target that {name}": case for name, case in TARGETS.items()},
    **{f"redirected {name}": case for name, case in REDIRECTS.items()},
    **{f"a request with {name}": case for name, case in REQUESTS.items()},
}
