"""Listeners for custom messages of a load test between master and workers, and messages that arrive before them."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
from gevent import GreenletExit

from obswarm.api import Environment
from obswarm.greenlets import NOT_ONLY_EXCEPTIONS, Supervisor, call_apart
from obswarm.killed import is_killed
from obswarm.sanitize import clean_text

logger = logging.getLogger(__name__)

_MAX_PENDING = 1_000
_MOST_WARNINGS = 100
_NO_LISTENER = "There is no listener for messages of type '%s'; see runner.register_message."
_DROPPED = "Messages of type '%s' are dropped: %s messages are already waiting for the listeners of test_start."


@dataclass(frozen=True, slots=True)
class CustomMessage:
    """The argument `msg` of a listener of `register_message`, like Locust's Message. `node_id` is the sender."""

    type: str
    data: Any
    node_id: str


class MessageListeners:
    """Listeners by message type. An exception of a listener is logged and counted.

    A message without a listener is queued until `started` is called, at most `_MAX_PENDING` of them: a master may send
    before the load test of a worker has registered its listeners. It is delivered when a listener is registered, before
    later messages of its type.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._listeners: dict[str, tuple[Callable[..., Any], bool]] = {}
        self._pending: dict[str, deque[CustomMessage]] = {}
        self._deliveries: list[gevent.Greenlet] = []
        self._has_started = False
        self._warned: set[tuple[str, str]] = set()

    def register(self, msg_type: str, listener: Callable[..., Any], concurrent: bool) -> None:
        is_new = msg_type not in self._listeners
        self._listeners[msg_type] = (listener, concurrent)
        if is_new and msg_type in self._pending:
            what = f"The delivery of messages of type {msg_type!r}"
            self._deliveries.append(Supervisor().spawn(what, self._deliver_pending, msg_type))

    @property
    def registered(self) -> dict[str, tuple[Callable[..., Any], bool]]:
        """Listeners by type, and whether each is called in a separate greenlet."""
        return dict(self._listeners)

    def deliver(self, message: CustomMessage) -> None:
        if message.type in self._pending:
            self._queue(message)
        elif message.type in self._listeners:
            self._call(message)
        elif self._has_started:
            self.warn_once(message.type, _NO_LISTENER)
        else:
            self._queue(message)

    def started(self) -> None:
        """Wait until all queued messages have been delivered to registered listeners, and drop the others."""
        self._has_started = True
        gevent.joinall(self._deliveries)
        self._deliveries.clear()
        for msg_type in [each for each in self._pending if each not in self._listeners]:
            del self._pending[msg_type]
            self.warn_once(msg_type, _NO_LISTENER)

    def _queue(self, message: CustomMessage) -> None:
        if sum(map(len, self._pending.values())) >= _MAX_PENDING:
            self.warn_once(message.type, _DROPPED, f"{_MAX_PENDING:,}")
            return
        self._pending.setdefault(message.type, deque()).append(message)

    def _deliver_pending(self, msg_type: str) -> None:
        pending = self._pending[msg_type]
        try:
            while pending:
                self._call(pending.popleft())
        finally:
            # Later messages are delivered at once.
            del self._pending[msg_type]

    def warn_once(self, msg_type: str, text: str, *arguments: object) -> None:
        """Log a warning about messages of a type, the first argument of the text, unless it has been logged before."""
        if (msg_type, text) not in self._warned and len(self._warned) < _MOST_WARNINGS:
            self._warned.add((msg_type, text))
            logger.warning(text, clean_text(msg_type), *arguments)

    def _call(self, message: CustomMessage) -> None:
        listener, concurrent = self._listeners[message.type]
        if concurrent:
            what = f"The listener of messages of type {message.type!r}"
            Supervisor().spawn(what, self._call_listener, listener, message)
        else:
            self._call_listener(listener, message)

    def _call_listener(self, listener: Callable[..., Any], message: CustomMessage) -> None:
        try:
            call_apart(listener, environment=self._environment, msg=message)
        except (*NOT_ONLY_EXCEPTIONS, GreenletExit) as error:
            if isinstance(error, GreenletExit) and is_killed():
                raise
            name = getattr(listener, "__qualname__", repr(listener))
            self._environment.called_code_raised(f"the listener {name} of messages of type {message.type!r}", error)
