"""Server-sent events (WHATWG HTML, 9.2): each event is encoded once for all listeners."""

from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.queue import Full, Queue

from obswarm.greenlets import Supervisor
from obswarm.web.rest.encoding import encode

CONTENT_TYPE = "text/event-stream"
MOST_LISTENERS = 60
_EVERY_S = 1.0
_MOST_WAITING = 100
"""Events that a listener has not read yet; it is disconnected at one more."""


class TooManyListeners(Exception):
    """No further listener is accepted."""


class EventStreams:
    """The listeners of a server, and what they get. Events without a listener are neither encoded nor kept.

    `state` returns the document of the event `state`, which is sent to all listeners once a second.
    """

    def __init__(self, state: Callable[[], Any]) -> None:
        self._state = state
        self._listeners: set[Queue] = set()
        self._number = 0
        self._ticker: gevent.Greenlet | None = None

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def publish(self, event: str, document: Callable[[], Any]) -> None:
        """Send an event; `document` is called if there is a listener."""
        if self._listeners:
            self._send(self._encoded(event, document()))

    def publish_state(self) -> None:
        """Send the event `state` now, after a command."""
        self.publish("state", self._state)

    def open(self) -> Iterator[bytes]:
        """Add a listener; returns the events for it. Close the iterator to remove it. Raises TooManyListeners."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise TooManyListeners
        listener = Queue(maxsize=_MOST_WAITING)
        first = b"retry: 1000\n" + self._encoded("state", self._state())
        self._listeners.add(listener)
        if self._ticker is None:
            self._ticker = Supervisor().keep("The server-sent events", self._tick)
        return self._events(listener, first)

    def close(self) -> None:
        """End all streams."""
        for listener in list(self._listeners):
            self._drop(listener)
        if self._ticker is not None:
            self._ticker.kill()
            self._ticker = None

    def _encoded(self, event: str, document: Any) -> bytes:
        self._number += 1
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self._number, event.encode(), encode(document))

    def _send(self, event: bytes) -> None:
        for listener in list(self._listeners):
            try:
                listener.put_nowait(event)
            except Full:
                self._drop(listener)

    def _drop(self, listener: Queue) -> None:
        self._listeners.discard(listener)
        # Make room for the end of the stream.
        while listener.full():
            listener.get_nowait()
        listener.put_nowait(None)

    def _events(self, listener: Queue, first: bytes) -> Iterator[bytes]:
        try:
            yield first
            while (event := listener.get()) is not None:
                yield event
        finally:
            self._listeners.discard(listener)

    def _tick(self) -> None:
        while True:
            gevent.sleep(_EVERY_S)
            self.publish_state()
