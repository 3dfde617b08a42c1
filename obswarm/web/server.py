"""The HTTP server of a run: /metrics, other applications by their path, and a page that says so."""

import errno
import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import gevent
from gevent import socket

from obswarm import defaults
from obswarm.api import ObswarmError
from obswarm.clock import monotonic
from obswarm.metrics import MetricsApp
from obswarm.sanitize import clean_text
from obswarm.web.connections import BoundedServer

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
"""As of WSGI."""

PORT = defaults.WEB_PORT
_FOR_ANY_NAME = frozenset(("/metrics", "/healthz"))
"""Read-only, and asked for by names that nobody here may know."""

_PORTS_TRIED = 100

_OF_NOBODY = frozenset(("localhost", "local", "internal", "arpa", "test", "svc"))
"""Top-level domains in which nobody can have a name (RFC 6761, RFC 6762, RFC 8375; `internal` is ICANN's), or has one
so far: services of Kubernetes are called NAME.NAMESPACE.svc."""


class WebServer:
    """Serves while a `with` block lasts.

    Applications are found by path; one whose path ends in / has all below it. `inherited` is the file descriptor of a
    socket that listens already. `allowed_hosts` are names of this server besides those that AllowedHosts knows.

    Raises ObswarmError when the port that was asked for is taken; without one it takes the next free one from PORT on.
    """

    def __init__(
        self,
        metrics: MetricsApp,
        address: str,
        port: int | None,
        applications: Mapping[str, Application] | None = None,
        inherited: int | None = None,
        allowed_hosts: Iterable[str] = (),
    ) -> None:
        self.metrics = metrics
        self._applications = dict(applications or {})
        self._address = address
        self._asked = port
        self._inherited = inherited
        self._hosts = AllowedHosts((address, *allowed_hosts))
        self._server: BoundedServer | None = None
        self.port = 0
        self.notice: str | None = None
        """What the person at the keyboard should know about where it serves."""

    def __enter__(self) -> Self:
        if self._inherited is None:
            listener = self._listen()
        else:
            listener = socket.socket(fileno=self._inherited)
            listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._server = BoundedServer(listener, self._answer)
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.stop(timeout=1)

    def serve(self, applications: Mapping[str, Application], metrics: MetricsApp | None = None) -> None:
        """From now on, serve these applications in place of those at the same paths, and these metrics, if given."""
        self._applications.update(applications)
        if metrics is not None:
            self.metrics = metrics

    def hand_over(self) -> int:
        """Accept no more; gives the listening socket's file descriptor for a program that goes on with it: whoever
        connects meanwhile waits."""
        assert self._server is not None
        self._server.stop_accepting()
        descriptor: int = self._server.socket.fileno()
        os.set_inheritable(descriptor, True)
        return descriptor

    def _listen(self) -> Any:
        ports = range(PORT, PORT + _PORTS_TRIED) if self._asked is None else (self._asked,)
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        for port in ports:
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((self._address, port))
                listener.listen(128)
            except OSError as error:
                listener.close()
                if error.errno == errno.EADDRINUSE and self._asked is None:
                    continue
                if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                    raise ObswarmError(
                        f"--metrics-addr {self._address}: cannot listen on it: not an address of this machine. Write"
                        " 127.0.0.1, 0.0.0.0 or the like."
                    ) from None
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise ObswarmError(
                    f"--web-port {port} at {self._address}: cannot listen on it: {reason}. Choose another one, or 0"
                    " for any free one."
                ) from None
            if port != ports[0]:
                self.notice = f"Port {ports[0]} is taken; /metrics is served on port {port}."
            return listener
        raise ObswarmError(f"The ports {PORT} to {PORT + _PORTS_TRIED - 1} are all taken; name one with --web-port.")

    @property
    def url(self) -> str:
        host = f"[{self._address}]" if ":" in self._address else self._address
        return f"http://{host}:{self.port}"

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        host = environ.get("HTTP_HOST")
        if path not in _FOR_ANY_NAME and not self._hosts.allows(host):
            name = clean_text(_name_of(host or ""))
            text = f"This server is not known by the name {name}. If it is one of its names: --allowed-host {name}\n"
            return _plain(start_response, "421 Misdirected Request", text)
        for prefix, application in self._applications.items():
            if path == prefix or (prefix.endswith("/") and path.startswith(prefix)):
                return application(environ, start_response)
        if method not in ("GET", "HEAD"):
            return _plain(start_response, "405 Method Not Allowed", "Only GET and HEAD.\n", [("Allow", "GET, HEAD")])
        if path == "/metrics":
            return self.metrics(environ, start_response)
        if path == "/":
            return _plain(start_response, "200 OK", "obswarm: a load test is running. Its metrics are at /metrics.\n")
        return _plain(start_response, "404 Not Found", f"There is no {path} here; try /metrics.\n")

    def wait_for_the_last_scrape(self, ended_s: float, longest_s: float) -> bool:
        """Wait until everybody who scrapes regularly has seen the end of the run, which was at that monotonic time: for
        a few of each one's intervals, and `longest_s` after the end at most. True when all have, or nobody scrapes."""
        while (until_s := self.metrics.scrapers.wait_until_s(ended_s, longest_s)) is not None:
            if monotonic() >= until_s:
                return False
            gevent.sleep(0.02)
        return True


def _plain(start_response: Any, status: str, text: str, headers: Iterable[tuple[str, str]] = ()) -> Iterable[bytes]:
    body = text.encode()
    start_response(
        status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *headers]
    )
    return [body]


class AllowedHosts:
    """Which names the server is called by. A page in a browser can have a name of its own point to this machine (DNS
    rebinding), and would be let read what is served here; the Host header still has that name.

    They are addresses, names without a dot (of containers, of machines of a network), names in domains that nobody can
    have a name in, this machine's own, and those of `more`."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        self._more = {name.strip().rstrip(".").lower() for name in (socket.gethostname(), *more)}

    def allows(self, host: str | None) -> bool:
        """Whether a Host header may have this value; a request of HTTP/1.0 need not have any."""
        if not host:
            return True
        name = _name_of(host)
        if name in self._more or "." not in name or name.rpartition(".")[2] in _OF_NOBODY:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _name_of(host: str) -> str:
    """The header's value without a port."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")
