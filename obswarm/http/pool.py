"""Connection pool: keeps connections open, up to a limit for each route."""

import ssl
from collections import deque
from typing import Any

import gevent
from gevent.event import AsyncResult

from obswarm import clock, defaults
from obswarm.http.connect import open_connection
from obswarm.http.connection import Connection
from obswarm.http.dns_cache import DnsCache, names
from obswarm.http.errors import ConnectTimeout
from obswarm.http.route import Route


class _Place:
    """The connections of a pool to one route."""

    __slots__ = ("idle", "open", "queue", "tls_session")

    def __init__(self) -> None:
        self.idle: list[Connection] = []
        self.open = 0
        self.queue: deque[Any] | None = None
        self.tls_session: ssl.SSLSession | None = None


class ConnectionPool:
    """Up to `limit` connections for each route. Every user has one of its own; set `client_pool` on a user class to one
    that all its users share (then they behave like one client behind a proxy, with far fewer connections)."""

    __slots__ = ("_closed", "_limit", "_names", "_places")

    def __init__(self, limit: int = defaults.POOL_CONNECTIONS, dns_ttl_s: float | None = None) -> None:
        self._limit = limit
        self._names: DnsCache = names(dns_ttl_s)
        self._places: dict[Route, _Place] = {}
        self._closed = False

    def take(self, route: Route, connect_timeout_s: float, deadline: float) -> Connection:
        """Return an idle connection (its `answered` is above 0), or a new one. Call `give_back` or `discard` with it.

        Raises ConnectError and ConnectTimeout, the latter also when no connection of the pool becomes free in time.
        """
        place = self._places.get(route)
        if place is None:
            place = self._places[route] = _Place()
        while place.idle:
            connection = place.idle.pop()
            if not connection.is_stale():
                return connection
            connection.close()
            place.open -= 1
        if place.open >= self._limit:
            handed = self._wait(place, route, connect_timeout_s, deadline)
            if handed is not None:
                if not handed.is_stale():
                    return handed
                handed.close()
                place.open -= 1
        return self._open(place, route, connect_timeout_s, deadline)

    def take_new(self, route: Route, connect_timeout_s: float, deadline: float) -> Connection:
        """Return a new connection in place of one that was just discarded."""
        place = self._places.setdefault(route, _Place())
        return self._open(place, route, connect_timeout_s, deadline)

    def _open(self, place: _Place, route: Route, connect_timeout_s: float, deadline: float) -> Connection:
        place.open += 1
        try:
            return open_connection(route, connect_timeout_s, deadline, self._names, place.tls_session)
        except BaseException:
            self._vacate(place)
            raise

    def give_back(self, connection: Connection) -> None:
        """Return a connection whose response has been read; it is kept open if both sides allow that."""
        place = self._places.get(connection.route)
        if place is not None and connection.tls_s is not None and not connection.answered:
            # In TLS 1.3 the ticket comes after the handshake, so it is there by now at the earliest.
            place.tls_session = connection.tls_session or place.tls_session
        if place is None or self._closed or not connection.reusable:
            self.discard(connection)
            return
        connection.answered += 1
        if place.queue:
            place.queue.popleft().set(connection)
        else:
            place.idle.append(connection)

    def discard(self, connection: Connection) -> None:
        """Close a connection, and free its place in the pool."""
        connection.close()
        place = self._places.get(connection.route)
        if place is not None:
            self._vacate(place)

    def _vacate(self, place: _Place) -> None:
        place.open -= 1
        if place.queue:
            # Whoever has waited longest may open one.
            place.queue.popleft().set(None)

    def _wait(self, place: _Place, route: Route, timeout_s: float, deadline: float) -> Connection | None:
        ticket: AsyncResult[Connection | None] = AsyncResult()
        if place.queue is None:
            place.queue = deque()
        place.queue.append(ticket)
        try:
            handed: Connection | None = ticket.get(timeout=max(0.0, min(timeout_s, deadline - clock.monotonic())))
            return handed
        except gevent.Timeout:
            raise ConnectTimeout(
                f"none of the {self._limit} connections to {route.peer} became free within {timeout_s:g} s"
            ) from None
        except BaseException:
            if ticket.ready() and ticket.value is not None:
                # It was handed over to someone who has just been killed.
                self.give_back(ticket.value)
            raise
        finally:
            if ticket in place.queue:
                place.queue.remove(ticket)

    @property
    def open_connections(self) -> int:
        """Number of open connections, in use or idle."""
        return sum(place.open for place in self._places.values())

    def close(self) -> None:
        """Close idle connections now, and those in use when they are given back."""
        self._closed = True
        for place in self._places.values():
            for connection in place.idle:
                connection.close()
            place.open -= len(place.idle)
            place.idle.clear()
