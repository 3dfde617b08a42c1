"""A small HTTP proxy in this process: tunnels (CONNECT) and forwarding, with a password if wanted."""

import base64
import contextlib
from typing import Any, Self
from urllib.parse import urlsplit

import gevent
from gevent import socket
from gevent.pool import Pool
from gevent.server import StreamServer


class Proxy:
    """Works while a `with` block lasts; `requests` has the request lines that it was sent."""

    def __init__(self, password: str | None = None, tls: Any = None) -> None:
        self._wanted = f"Basic {base64.b64encode(password.encode()).decode()}" if password else None
        arguments = {"ssl_context": tls} if tls is not None else {}
        self._server = StreamServer(("127.0.0.1", 0), self._serve, spawn=Pool(), **arguments)
        self.requests: list[str] = []

    def __enter__(self) -> Self:
        self._server.start()
        self.port: int = self._server.server_port
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(timeout=0)

    def _serve(self, client: Any, address: Any) -> None:
        upstream = None
        try:
            received = b""
            while b"\r\n\r\n" not in received:
                piece = client.recv(65536)
                if not piece:
                    return
                received += piece
            head, _, rest = received.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            self.requests.append(lines[0])
            fields = dict(line.split(": ", 1) for line in lines[1:])
            if self._wanted and fields.get("Proxy-Authorization") != self._wanted:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            method, target, _ = lines[0].split(" ")
            if method == "CONNECT":
                host, _, port = target.rpartition(":")
                upstream = socket.create_connection((host, int(port)))
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                parts = urlsplit(target)
                upstream = socket.create_connection((parts.hostname, parts.port))
                path = parts.path + ("?" + parts.query if parts.query else "")
                kept = [f"{name}: {value}" for name, value in fields.items() if name != "Proxy-Authorization"]
                upstream.sendall(
                    "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "Via: 1.1 test", "", ""]).encode() + rest
                )
            back = gevent.spawn(self._pump, upstream, client)
            self._pump(client, upstream)
            back.join()
        except OSError:
            pass
        finally:
            client.close()
            if upstream is not None:
                upstream.close()

    @staticmethod
    def _pump(source: Any, sink: Any) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
