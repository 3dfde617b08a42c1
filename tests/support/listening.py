"""A server of this process for an application of WSGI."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gevent.pool import Pool
from gevent.pywsgi import WSGIServer


@contextmanager
def listening(application: Callable[..., Any]) -> Iterator[str]:
    """Where it is, as `host:port`."""
    server = WSGIServer(("127.0.0.1", 0), application, spawn=Pool(), log=None, error_log=None)
    server.init_socket()
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.stop(timeout=1)
