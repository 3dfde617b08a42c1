"""A server in this process that answers with exactly the bytes that a test gives it, and writes down what it was sent."""

import socket as constants
from collections.abc import Callable, Iterable
from typing import Any, Self

import gevent
from gevent import socket
from gevent.pool import Pool
from gevent.server import StreamServer

Script = Iterable[bytes] | Callable[["Exchange"], None]
"""Pieces to be sent one by one after a request has been read, or a function that does what it likes."""

RESET = b"\0reset"
"""As a piece: reset the connection."""

PAUSE = b"\0pause"
"""As a piece: a tenth of a second of silence."""

HANG = b"\0hang"
"""As a piece: say nothing more, and keep the connection."""


class Exchange:
    """One request on a connection: `head` and `body` as they came."""

    def __init__(self, connection: Any, head: bytes, body: bytes) -> None:
        self.connection = connection
        self.head = head
        self.body = body

    @property
    def request_line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode()

    def header(self, name: str) -> str | None:
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.decode("latin-1").lower() == name.lower():
                return value.strip().decode("latin-1")
        return None

    @property
    def headers(self) -> dict[str, str]:
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")[1:] if line]
        return {key.decode("latin-1").lower(): value.strip().decode("latin-1") for key, _, value in lines}


class ScriptedServer:
    """Serves while a `with` block lasts. Each request gets the next script; the last one is used again and again.

    After a script the connection stays open, unless `close` says that it is closed then.
    """

    def __init__(self, *scripts: Script, close: bool = False, tls: Any = None, unix: str | None = None) -> None:
        self.scripts = list(scripts)
        self.exchanges: list[Exchange] = []
        self.connections = 0
        self.open = 0
        self._close = close
        self._unix = unix
        if unix is not None:
            listener = socket.socket(constants.AF_UNIX, constants.SOCK_STREAM)
            listener.bind(unix)
            listener.listen(16)
            self._server = StreamServer(listener, self._serve, spawn=Pool())
        else:
            arguments = {"ssl_context": tls} if tls is not None else {}
            self._server = StreamServer(("127.0.0.1", 0), self._serve, spawn=Pool(), **arguments)
        self._scheme = "https" if tls is not None else "http"

    def __enter__(self) -> Self:
        self._server.start()
        if self._unix is None:
            self.port: int = self._server.server_port
            self.url = f"{self._scheme}://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(timeout=0)

    def _serve(self, connection: Any, address: Any) -> None:
        self.connections += 1
        self.open += 1
        received = bytearray()
        try:
            while True:
                exchange = self._read(connection, received)
                if exchange is None:
                    return
                self.exchanges.append(exchange)
                script = self.script_for(exchange)
                if callable(script):
                    script(exchange)
                elif not self._send(connection, script):
                    return
                if self._close:
                    return
        except OSError:
            pass
        finally:
            self.open -= 1
            connection.close()

    def script_for(self, exchange: Exchange) -> Script:
        """The next one, whatever is asked for."""
        return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]

    @staticmethod
    def _send(connection: Any, pieces: Iterable[bytes]) -> bool:
        for piece in pieces:
            if piece == RESET:
                connection.setsockopt(constants.SOL_SOCKET, constants.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return False
            if piece == PAUSE:
                gevent.sleep(0.1)
            elif piece == HANG:
                gevent.sleep(30)
            else:
                connection.sendall(piece)
                gevent.sleep(0)
        return True

    @staticmethod
    def _read(connection: Any, received: bytearray) -> Exchange | None:
        """The next request, framed as its head says; what came behind it stays in `received`, and is the next one."""

        def more() -> bool:
            piece = connection.recv(65536)
            received.extend(piece)
            return bool(piece)

        while (end := received.find(b"\r\n\r\n")) < 0:
            if not more():
                return None
        exchange = Exchange(connection, bytes(received[:end]), b"")
        del received[: end + 4]
        if "chunked" in (exchange.header("transfer-encoding") or ""):
            while (end := received.find(b"0\r\n\r\n")) < 0 or (end > 0 and received[end - 1 : end] != b"\n"):
                # The client gave up in the middle of its body.
                if not more():
                    return None
            end += 5
            exchange.body = unchunked(bytes(received[:end]))
        else:
            end = int(exchange.header("content-length") or 0)
            while len(received) < end:
                if not more():
                    return None
            exchange.body = bytes(received[:end])
        del received[:end]
        return exchange


def unchunked(body: bytes) -> bytes:
    out = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        number = int(size, 16)
        if number == 0:
            return out
        out += body[:number]
        body = body[number + 2 :]


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> list[bytes]:
    """One piece: an answer with a length. Underscores in header names stand for hyphens."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ["\r\n".join([*lines, "", ""]).encode("latin-1") + body]


def byte_by_byte(*pieces: bytes) -> list[bytes]:
    return [bytes([byte]) for piece in pieces for byte in piece]
