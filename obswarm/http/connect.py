"""Opening connections: TCP or Unix socket, a tunnel through a proxy, the TLS handshake."""

import os
import socket
import ssl

import gevent

from obswarm import clock, open_files
from obswarm.http.connection import Connection
from obswarm.http.deadlines import NEVER, StreamTimeout
from obswarm.http.dns_cache import DnsCache
from obswarm.http.errors import ConnectError, ConnectionRefused, ConnectTimeout, HttpError, NoDescriptorLeft, ProxyError
from obswarm.http.route import Proxy, Route
from obswarm.http.tls import TlsSettings, TlsStream, tls_context
from obswarm.http.transport import SocketStream, Stream
from obswarm.http.urls import UNIX_SCHEME, Origin
from obswarm.units import format_limit

_PAUSE_S = 0.1
"""After which a request fails that got no descriptor: failing at once, users would only take CPU time from those that
have a connection."""


def open_connection(
    route: Route,
    timeout_s: float,
    deadline: float,
    names: DnsCache,
    session: ssl.SSLSession | None = None,
) -> Connection:
    """Connect, through the proxy if there is one, and shake hands if it is TLS.

    Raises ConnectTimeout or ConnectError with the reason, and ObswarmError when certificates cannot be read.
    """
    started = clock.monotonic()
    due = min(started + timeout_s, deadline)
    origin, proxy = route.origin, route.proxy
    stream: Stream | None = None
    try:
        context = tls_context(route.tls or TlsSettings()) if origin.scheme == "https" else None
        if origin.scheme == UNIX_SCHEME:
            stream = _open_unix(origin.host, due)
        elif proxy is None:
            stream = _open_tcp(origin, due, names)
        else:
            stream = _open_through(proxy, route, due, names)
        connected = clock.monotonic()
        if context is None:
            return Connection(stream, route, connected - started)
        stream = secured = TlsStream(stream, context, origin.host, session)
        secured.shake_hands(route.peer)
        return Connection(stream, route, connected - started, clock.monotonic() - connected)
    except StreamTimeout:
        _close(stream)
        what = f"within {format_limit(timeout_s)}" if due < deadline else "before the total timeout was over"
        raise ConnectTimeout(f"no connection to {route.peer} {what}") from None
    except BaseException:
        _close(stream)
        raise


def _close(stream: Stream | None) -> None:
    if stream is not None:
        stream.close()


def _open_unix(path: str, due: float) -> SocketStream:
    return _connect(socket.AF_UNIX, path, path, due)


def _open_tcp(origin: Origin, due: float, names: DnsCache) -> SocketStream:
    failure: Exception | None = None
    for address in names.addresses(origin.host, origin.port):
        try:
            return _connect(address.family, address.address, origin.peer, due)
        except NoDescriptorLeft:
            raise
        except ConnectError as error:
            failure = error
            names.note_failure(origin.host, origin.port, address)
    assert failure is not None
    raise failure


def _connect(family: int, address: object, peer: str, due: float) -> SocketStream:
    try:
        stream = SocketStream(family)
        stream.due = due
        stream.connect(address)
    except OSError as error:
        if open_files.is_exhaustion(error):
            gevent.sleep(max(0.0, min(_PAUSE_S, due - clock.monotonic())))
            raise NoDescriptorLeft(f"no connection to {peer}: {open_files.reason(error.errno)}") from None
        # The resolver's numbers are below 0, and not the system's.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        kind = ConnectionRefused if isinstance(error, ConnectionRefusedError) else ConnectError
        raise kind(f"no connection to {peer}: {reason}") from None
    return stream


def _open_through(proxy: Proxy, route: Route, due: float, names: DnsCache) -> Stream:
    name = f"the proxy {proxy.origin.peer}"
    try:
        stream: Stream = _open_tcp(proxy.origin, due, names)
    except NoDescriptorLeft:
        # For which the proxy can do nothing.
        raise
    except ConnectError as error:
        raise ProxyError(f"{name}: {error}") from None
    try:
        if proxy.origin.scheme == "https":
            stream = secured = TlsStream(stream, tls_context(route.tls or TlsSettings()), proxy.origin.host)
            secured.shake_hands(name)
        if not route.absolute_form:
            _tunnel(stream, proxy, route, due, name)
    except BaseException:
        stream.close()
        raise
    return stream


def _tunnel(stream: Stream, proxy: Proxy, route: Route, due: float, name: str) -> None:
    """Ask the proxy for a tunnel (RFC 9110, 9.3.6)."""
    target = route.peer
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    tunnel = Connection(stream, Route.to(proxy.origin))
    tunnel.deadline = due
    tunnel.read_timeout_s = NEVER
    try:
        answer = tunnel.send_request("\r\n".join([*lines, "", ""]).encode("latin-1"), True, clock.monotonic())
    except StreamTimeout:
        raise
    except HttpError as error:
        if clock.monotonic() >= due:
            raise StreamTimeout from None
        raise ProxyError(f"{name} refused a tunnel to {target}: {error}") from None
    if not 200 <= answer.status < 300:
        reason = answer.head().reason.decode("latin-1")
        raise ProxyError(f"{name} refused a tunnel to {target}: HTTP {answer.status} {reason}".rstrip())
