"""The HTTP server of a run: /metrics, and other WSGI applications by path; all other paths are those of the page, if
there is one."""

import errno
import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

import gevent
from gevent import socket

from obswarm import defaults
from obswarm.api import ObswarmError
from obswarm.clock import monotonic
from obswarm.metrics import MetricsApp
from obswarm.sanitize import clean_text
from obswarm.web.connections import BoundedServer

if TYPE_CHECKING:
    import ssl

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
"""A WSGI application."""

PORT = defaults.WEB_PORT
_FOR_ANY_NAME = frozenset(("/metrics", "/healthz"))
"""Paths without a check of the host name: they are read-only, and scrapers may use any name."""

_ONLY_POST = frozenset(("/api/v1/alerts",))
"""Paths of applications whose other methods are those of the page."""

_PORTS_TRIED = 100

_NOT_REGISTRABLE = frozenset(("localhost", "local", "internal", "arpa", "test", "svc"))
"""Top-level domains in which no name can be registered (RFC 6761, RFC 6762, RFC 8375; `internal` by ICANN), and `svc`,
which does not exist: services of Kubernetes have names like NAME.NAMESPACE.svc."""


class WebServer:
    """An HTTP server; a context manager.

    Applications are selected by path; one whose path ends in / gets all paths below it. `inherited` is the file
    descriptor of a listening socket. `allowed_hosts` are names of this server besides those that AllowedHosts allows.
    Without a port, the first free one from PORT on is used. `page` gets all other paths, and reads (GET) of those of
    applications that are only for POST; `tls` are the files of certificate and key. Raises ObswarmError if the port is
    in use, the address is not one of this machine, or the files of TLS cannot be used.
    """

    def __init__(
        self,
        metrics: MetricsApp,
        address: str,
        port: int | None,
        applications: Mapping[str, Application] | None = None,
        inherited: int | None = None,
        allowed_hosts: Iterable[str] = (),
        page: Application | None = None,
        tls: tuple[str, str] | None = None,
    ) -> None:
        self._page = page
        self._tls = tls
        self.metrics = metrics
        self._applications = dict(applications or {})
        self._address = address
        self._requested_port = port
        self._inherited = inherited
        self._hosts = AllowedHosts((address, *allowed_hosts))
        self._server: BoundedServer | None = None
        self.port = 0
        self.notice: str | None = None
        """A message for the user if another port than the default one is used."""

    def __enter__(self) -> Self:
        if self._inherited is None:
            listener = self._listen()
        else:
            listener = socket.socket(fileno=self._inherited)
            listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._server = BoundedServer(listener, self._answer, self._tls_context())
        self._server.start()
        return self

    def _tls_context(self) -> "ssl.SSLContext | None":
        if self._tls is None:
            return None
        # Few servers speak TLS.
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = self._tls
        try:
            context.load_cert_chain(certificate, key, lambda: "")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else None
            raise ObswarmError(
                f"--tls-cert {certificate}, --tls-key {key}: they cannot be used:"
                f" {reason or 'they are no PEM files of a certificate and its key without a password'}."
            ) from None
        return context

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.stop(timeout=1)

    def serve(self, applications: Mapping[str, Application], metrics: MetricsApp | None = None) -> None:
        """From now on, serve these applications in place of those at the same paths, and these metrics, if given."""
        self._applications.update(applications)
        if metrics is not None:
            self.metrics = metrics

    def hand_over(self) -> int:
        """Stop accepting; returns the listening socket's file descriptor for another program. Connections wait until
        that accepts them."""
        assert self._server is not None
        self._server.stop_accepting()
        descriptor: int = self._server.socket.fileno()
        os.set_inheritable(descriptor, True)
        return descriptor

    def _listen(self) -> Any:
        ports = range(PORT, PORT + _PORTS_TRIED) if self._requested_port is None else (self._requested_port,)
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        for port in ports:
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((self._address, port))
                listener.listen(128)
            except OSError as error:
                listener.close()
                if error.errno == errno.EADDRINUSE and self._requested_port is None:
                    continue
                if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                    raise ObswarmError(
                        f"--metrics-addr {self._address}: cannot listen on it: not an address of this machine. Write"
                        " 127.0.0.1, 0.0.0.0 or the like."
                    ) from None
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise ObswarmError(
                    f"--web-port {port} at {self._address}: cannot listen on it: {reason}. Choose another port, or 0"
                    " for a free one."
                ) from None
            if port != ports[0]:
                self.notice = f"Port {ports[0]} is in use; /metrics is served on port {port}."
            return listener
        raise ObswarmError(f"The ports {PORT} to {PORT + _PORTS_TRIED - 1} are all in use; choose one by --web-port.")

    @property
    def url(self) -> str:
        host = f"[{self._address}]" if ":" in self._address else self._address
        return f"{'http' if self._tls is None else 'https'}://{host}:{self.port}"

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        host = environ.get("HTTP_HOST")
        if path not in _FOR_ANY_NAME and not self._hosts.allows(host):
            name = clean_text(_name_of(host or ""))
            text = f"The host name {name} is not allowed. If it is a name of this server, add --allowed-host {name}.\n"
            return _plain(start_response, "421 Misdirected Request", text)
        for prefix, application in self._applications.items():
            if path == prefix or (prefix.endswith("/") and path.startswith(prefix)):
                if self._page is not None and method != "POST" and path in _ONLY_POST:
                    break
                return application(environ, start_response)
        if path != "/metrics" and self._page is not None:
            return self._page(environ, start_response)
        if method not in ("GET", "HEAD"):
            return _plain(start_response, "405 Method Not Allowed", "Only GET and HEAD.\n", [("Allow", "GET, HEAD")])
        if path == "/metrics":
            return self.metrics(environ, start_response)
        if path == "/":
            return _plain(start_response, "200 OK", "obswarm: a load test is running. Metrics: /metrics\n")
        return _plain(start_response, "404 Not Found", f"There is no {path}; try /metrics.\n")

    def wait_for_the_last_scrape(self, ended_s: float, longest_s: float) -> bool:
        """Wait until all regular scrapers have scraped after `ended_s`, the monotonic time of the run's end.

        Waits for a few intervals of each scraper, and until `longest_s` seconds after the end at most. Returns True if
        all have scraped, or there are none.
        """
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
    """Check of the Host header against DNS rebinding: a web page could resolve a name of its own to this machine, and
    the browser would then let it read the responses; the Host header still has that name.

    Allowed are IP addresses, names without a dot (containers, machines of a local network), names in domains in which
    none can be registered, this machine's name, and those of `more`.
    """

    def __init__(self, more: Iterable[str] = ()) -> None:
        self._more = {name.strip().rstrip(".").lower() for name in (socket.gethostname(), *more)}

    def allows(self, host: str | None) -> bool:
        """Whether this value of a Host header is allowed; HTTP/1.0 requests may have none."""
        if not host:
            return True
        name = _name_of(host)
        if name in self._more or "." not in name or name.rpartition(".")[2] in _NOT_REGISTRABLE:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _name_of(host: str) -> str:
    """Return the value of a Host header without the port, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")
