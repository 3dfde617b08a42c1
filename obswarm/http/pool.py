"""Connection pool: keeps connections open, up to a limit for each route."""

import ssl
from collections import deque
from typing import Any

import gevent
from gevent.event import AsyncResult

from obswarm import clock, defaults
from obswarm.http.connect import open_connection
from obswarm.http.connection import Connection
from obswarm.http.deadlines import NEVER
from obswarm.http.dns_cache import DnsCache, names
from obswarm.http.errors import ConnectionLost, ConnectTimeout, HttpError, StrayBytes
from obswarm.http.route import Route
from obswarm.units import format_limit

_FRESH_S = 0.00005
"""For so long after all that had come was read, a connection is used again without a look at it."""


class _Place:
    """The connections of a pool to one route. Idle ones are a stack, each with a reference to the one below."""

    __slots__ = (
        "_is_single_use",
        "_resumptions",
        "idle",
        "is_closed",
        "is_trusted",
        "open",
        "queue",
        "route",
        "sends_stray_bytes",
        "tls_session",
    )

    def __init__(self, route: Route) -> None:
        self.route = route
        self.idle: Connection | None = None
        self.open = 0
        self.queue: deque[Any] | None = None
        self.tls_session: ssl.SSLSession | None = None
        self._resumptions = 0
        self._is_single_use = False
        self.is_closed = False
        self.is_trusted = True
        self.sends_stray_bytes = False

    def keep_session(self, connection: Connection) -> None:
        """Keep the TLS session of a connection that has had its first response, for the next one to resume.

        Python copies a session whenever it is read or set, each time at a fifth of the cost of a handshake. So one that
        was resumed stays, unless the server turns out to take each only once, as RFC 8446 (C.4) asks of clients for the
        privacy of people.
        """
        if connection.is_resumed and not self._is_single_use:
            self._resumptions += 1
            return
        if not connection.is_resumed and self._resumptions == 1:
            self._is_single_use = True
        self._resumptions = 0
        # In TLS 1.3 the ticket comes after the handshake, so it is there by now at the earliest.
        self.tls_session = connection.tls_session or self.tls_session

    def take_idle(self) -> Connection | None:
        """Return the idle connection that was used last; those that the server has closed by now are closed."""
        while (connection := self.idle) is not None:
            self.idle, connection.idle_below = connection.idle_below, None
            if not connection.stream.has_news():
                return connection
            connection.close()
            self.open -= 1
        return None


class ConnectionPool:
    """Up to `limit` connections for each route. Every user has one of its own; set `client_pool` on a user class to one
    that all its users share (then they behave like one client behind a proxy, with far fewer connections)."""

    __slots__ = ("_first", "_limit", "_names", "_others")

    def __init__(self, limit: int = defaults.POOL_CONNECTIONS, dns_ttl_s: float | None = None) -> None:
        self._limit = limit
        self._names: DnsCache = names(dns_ttl_s)
        # Nearly all users have one route, and a dict would be the largest part of an idle pool.
        self._first: _Place | None = None
        self._others: dict[Route, _Place] | None = None

    def _find(self, route: Route) -> _Place | None:
        first = self._first
        if first is not None and first.route is route:
            return first
        return self._others.get(route) if self._others is not None else None

    def _place(self, route: Route) -> _Place:
        found = self._find(route)
        if found is not None:
            return found
        made = _Place(route)
        if self._first is None:
            self._first = made
        else:
            if self._others is None:
                self._others = {}
            self._others[route] = made
        return made

    def _places(self) -> list[_Place]:
        return [] if self._first is None else [self._first, *(self._others or {}).values()]

    def take(self, route: Route, connect_timeout_s: float, deadline: float, now: float = NEVER) -> Connection:
        """Return an idle connection (its `answered` is above 0), or a new one. Call `give_back` or `discard` with it.
        `now` as in `take_idle`; without it, each idle connection is looked at.

        Raises ConnectError and ConnectTimeout, the latter also when no connection of the pool becomes free in time.
        """
        connection = self.take_idle(route, now)
        if connection is not None:
            return connection
        place = self._place(route)
        if place.open >= self._limit:
            handed = self._wait(place, route, connect_timeout_s, deadline)
            if handed is not None:
                if not handed.stream.has_news():
                    return handed
                handed.close()
                place.open -= 1
        return self._open(place, route, connect_timeout_s, deadline)

    def take_idle(self, route: Route, now: float) -> Connection | None:
        """Return an idle connection, None if there is none that the server has not closed. `now` is the present moment.

        One that was read from less than _FRESH_S ago is not looked at, since the look is a system call: what had come
        by then was read. A server that closes it within that time looks like one that closes it right after the look.
        """
        place = self._first
        if place is None or place.route is not route:
            # Written out above, since this runs for every request.
            place = self._find(route)
            if place is None:
                return None
        connection = place.idle
        if (
            connection is not None
            and now - connection.emptied_at < _FRESH_S
            and place.is_trusted
            and not connection.stream.unread
        ):
            place.idle, connection.idle_below = connection.idle_below, None
            return connection
        return place.take_idle()

    def note_failure(self, connection: Connection, error: HttpError) -> None:
        """Call this when a request over a connection that was used before has failed. From now on, each connection to
        the same place is looked at before it is used, if the server has closed this one without saying so right after a
        response, or has sent bytes that belong to none."""
        place = connection.place
        if isinstance(error, StrayBytes):
            place.is_trusted = False
            place.sends_stray_bytes = True
        elif isinstance(error, ConnectionLost) and not connection.heard:
            place.is_trusted = False

    def take_new(self, route: Route, connect_timeout_s: float, deadline: float) -> Connection:
        """Return a new connection in place of one that was just discarded."""
        return self._open(self._place(route), route, connect_timeout_s, deadline)

    def _open(self, place: _Place, route: Route, connect_timeout_s: float, deadline: float) -> Connection:
        place.open += 1
        try:
            connection = open_connection(route, connect_timeout_s, deadline, self._names, place.tls_session)
            connection.place = place
            return connection
        except BaseException:
            self._vacate(place)
            raise

    def give_back(self, connection: Connection) -> None:
        """Return a connection whose response has been read; it is kept open if both sides allow that."""
        place = connection.place
        if not connection.answered and connection.tls_s is not None:
            place.keep_session(connection)
        if place.is_closed or not connection.reusable:
            self.discard(connection)
            return
        connection.answered += 1
        if place.queue:
            place.queue.popleft().set(connection)
        else:
            connection.idle_below, place.idle = place.idle, connection

    def discard(self, connection: Connection) -> None:
        """Close a connection, and free its place in the pool."""
        connection.close()
        self._vacate(connection.place)

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
                f"none of the {self._limit} connections to {route.peer} became free within {format_limit(timeout_s)}"
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
        return sum(place.open for place in self._places())

    def close(self) -> None:
        """Close idle connections now, and those in use when they are given back. Later ones are kept open again, as
        with requests' sessions."""
        places = self._places()
        self._first = self._others = None
        for place in places:
            place.is_closed = True
            while (connection := place.idle) is not None:
                place.idle = connection.idle_below
                connection.close()
                place.open -= 1
