"""A target that records every request, and whose answers its paths describe: `/status/404`, `/redirect?to=/page`,
`/bytes/100`, `/slow?seconds=0.1` and so on. Everything else is answered with `ok`.

It serves from a greenlet of the process that compares, on a loopback port of its own for each run.
"""

import base64
import gzip
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import gevent
from gevent.server import StreamServer

_KEPT_HEADERS = ("accept", "authorization", "content-type", "content-encoding", "cookie", "referer", "origin")
_MOST_BODY_BYTES = 200
_REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    301: "Moved Permanently",
    302: "Found",
    307: "Temporary Redirect",
}
_REASONS |= {
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    429: "Too Many Requests",
}
_REASONS |= {500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass(frozen=True)
class Request:
    """A request as it arrived; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def argument(self, name: str, default: str = "") -> str:
        return parse_qs(urlsplit(self.target).query).get(name, [default])[0]

    def described(self) -> str:
        """Return method, target, the headers that matter, and the body, without what each run makes anew."""
        kept = {name: value for name, value in self.headers.items() if name in _KEPT_HEADERS or name.startswith("x-")}
        if kept.get("accept") == "*/*":
            del kept["accept"]  # The same as none.
        body = self.body.decode("utf-8", "replace")
        if boundary := re.search(r"boundary=(\S+)", kept.get("content-type", "")):
            body = body.replace(boundary[1], "BOUNDARY")
            kept["content-type"] = kept["content-type"].replace(boundary[1], "BOUNDARY")
        if len(body) > _MOST_BODY_BYTES and not boundary:
            body = f"({len(self.body)} bytes)"
        lines = (f"{name}: {kept[name]}" for name in sorted(kept))
        return " | ".join(part for part in (f"{self.method} {self.target}", *lines, body) if part)


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self, with_body: bool) -> bytes:
        lines = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(self.body)), **self.headers}
        head = f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Other')}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return head.encode() + b"\r\n" + (self.body if with_body else b"")


def _json(value: object) -> Answer:
    return Answer(body=json.dumps(value).encode(), headers={"Content-Type": "application/json"})


def _answer(request: Request) -> Answer:
    first, _, rest = request.path.lstrip("/").partition("/")
    match first:
        case "status":
            return Answer(int(rest), b"" if rest == "204" else b"status " + rest.encode())
        case "json":
            return _json({"id": 42, "items": ["a", "b"], "name": "thing"})
        case "echo":
            return _json({"method": request.method, "target": request.target, "body": request.body.decode()})
        case "redirect":
            code = int(request.argument("code", "302"))
            return Answer(code, b"", {"Location": request.argument("to", "/redirected")})
        case "loop":
            return Answer(302, b"", {"Location": "/loop"})
        case "cookie":
            return Answer(headers={"Set-Cookie": f"{request.argument('name', 'session')}={rest}; Path=/"})
        case "login":
            wanted = "Basic " + base64.b64encode(b"ann:secret").decode()
            right = request.headers.get("authorization") == wanted
            return Answer() if right else Answer(401, b"who?", {"WWW-Authenticate": 'Basic realm="test"'})
        case "bytes":
            return Answer(body=b"x" * int(rest))
        case "lines":
            return Answer(body=b"".join(b"line %d\n" % number for number in range(int(rest))))
        case "gzip":
            packed = gzip.compress(b"a text that was packed " * 40, mtime=0)
            return Answer(body=packed, headers={"Content-Encoding": "gzip"})
        case "latin1":
            return Answer(body="Grüße".encode("latin-1"), headers={"Content-Type": "text/plain; charset=iso-8859-1"})
        case "closing":
            return Answer(headers={"Connection": "close"})
        case "notjson":
            return Answer(body=b"<html>not JSON</html>", headers={"Content-Type": "text/html"})
    return Answer()


class RecordingServer:
    """Serves while a `with` block lasts.

    `requests` has the descriptions in the order of arrival, `connections` how many connections carried a request.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.connections = 0
        self._server = StreamServer(("127.0.0.1", 0), self._serve)

    def __enter__(self) -> Self:
        self._server.start()
        self.port = int(self._server.server_port)
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(timeout=1)

    def counts(self) -> dict[str, int]:
        return dict(sorted(Counter(self.requests).items()))

    def _serve(self, connection: Any, _address: object) -> None:
        reader = connection.makefile("rb")
        try:
            first = True
            while (request := _read(reader)) is not None:
                self.connections += first
                first = False
                self.requests.append(request.described())
                if not self._respond(connection, request):
                    return
        except OSError:
            pass  # The program ended the connection, as it may.
        finally:
            reader.close()
            connection.close()

    def _respond(self, connection: Any, request: Request) -> bool:
        """Send the response; return whether the connection stays open."""
        if request.path.startswith("/slow"):
            gevent.sleep(float(request.argument("seconds", "0.1")))
        if request.path.startswith("/cut"):
            return False
        if request.path.startswith("/garbage"):
            connection.sendall(b"this is no HTTP\r\n\r\n")
            return False
        if request.path.startswith("/short"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            return False
        if request.path.startswith("/chunks"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
            for part in (b"one\n", b"two\n", b"three\n"):
                connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
            connection.sendall(b"0\r\n\r\n")
            return True
        answer = _answer(request)
        connection.sendall(answer.encoded(with_body=request.method != "HEAD"))
        return answer.headers.get("Connection") != "close" and request.headers.get("connection") != "close"


def _read(reader: Any) -> Request | None:
    line = reader.readline()
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (line := reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
    else:
        body = reader.read(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)
