"""EventHook: the listeners of an event, and how they are called."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, Self, TypeVar

import gevent

from obswarm.api.errors import STEERING_EXCEPTIONS, ObswarmError
from obswarm.api.tracebacks import user_traceback
from obswarm.greenlets import Supervisor, call_apart, described
from obswarm.killed import is_killed

logger = logging.getLogger(__name__)
Listener = TypeVar("Listener", bound=Callable[..., Any])


class ExceptionHandler(Protocol):
    """What handles exceptions of listeners: the Environment of the run."""

    @property
    def steering(self) -> object:
        """None while nothing can end the run, as for a single user."""

    def called_code_raised(self, what: str, error: BaseException, ends_run: bool = False) -> None: ...


class EventHook:
    """A list of functions that are called, in the order in which they were added, when something happens.

    What a listener raises never reaches who fires the event. StopTest stops the run in the ordinary way; anything else
    is logged and counted, or, where `ends_run` is true, ends the run as an error.

    In a run each listener is called in a greenlet of its own, which is waited for: see `call_apart`.
    """

    _calls_apart = True

    def __init__(self, name: str = "", ends_run: bool = False) -> None:
        self.listeners: list[Callable[..., Any]] = []
        self.environment: ExceptionHandler | None = None
        """Of the run; without one, exceptions are only logged, and those that steer are raised."""
        self._name = name
        self._ends_run = ends_run

    @property
    def _handlers(self) -> list[Callable[..., Any]]:
        """The name that packages for Locust look for."""
        return self.listeners

    def add_listener(self, listener: Listener) -> Listener:
        """Add a function that takes the event's arguments by keyword and `**kwargs`. Works as a decorator."""
        self.listeners.append(listener)
        return listener

    def remove_listener(self, listener: Callable[..., Any]) -> None:
        """Raises ValueError when it was never added."""
        self.listeners.remove(listener)

    def __iadd__(self, listener: Callable[..., Any]) -> Self:
        """As `add_listener`: `events.quitting += function`, from before version 1 of Locust."""
        self.add_listener(listener)
        return self

    def __isub__(self, listener: Callable[..., Any]) -> Self:
        """As `remove_listener`."""
        self.remove_listener(listener)
        return self

    def fire(self, /, *, reverse: bool = False, **kwargs: Any) -> None:
        """Call every listener, whatever others raise."""
        apart = self._calls_apart and self.environment is not None and self.environment.steering is not None
        for listener in list(reversed(self.listeners) if reverse else self.listeners):
            try:
                if apart:
                    call_apart(listener, **kwargs)
                else:
                    listener(**kwargs)
            except BaseException as error:
                if self._is_meant_for_the_caller(error):
                    raise
                self._listener_raised(listener, error)

    def _is_meant_for_the_caller(self, error: BaseException) -> bool:
        if isinstance(error, gevent.GreenletExit):
            return is_killed()
        environment = self.environment
        if environment is None or environment.steering is None:
            return isinstance(error, STEERING_EXCEPTIONS) or not isinstance(error, Exception)
        return isinstance(error, GeneratorExit)

    def _listener_raised(self, listener: Callable[..., Any], error: BaseException) -> None:
        name = getattr(listener, "__qualname__", repr(listener))
        if self.environment is None and self._ends_run:
            # While a load test is read: there is no run that could end yet.
            what = f"The listener {name} of the event {self._name} raised {described(error)}"
            raise ObswarmError(f"{what}\n{user_traceback(error)}") from error
        if self.environment is None:
            logger.error("Exception in the event listener %s:\n%s", name, user_traceback(error))
            return
        self.environment.called_code_raised(f"the listener {name} of the event {self._name}", error, self._ends_run)


class UserHook(EventHook):
    """An event of one user, whose listeners run in its greenlet: what ends that does so also in the middle of them."""

    _calls_apart = False

    def _is_meant_for_the_caller(self, error: BaseException) -> bool:
        return isinstance(error, gevent.GreenletExit) or super()._is_meant_for_the_caller(error)


_MOST_WAITING = 1_000


class EventQueue:
    """Fires events one after the other in a greenlet of its own, so that a slow listener does not delay the caller.
    Beyond 1,000 waiting events, the oldest ones are dropped."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[EventHook, dict[str, Any]]] = deque(maxlen=_MOST_WAITING)
        self._greenlet: gevent.Greenlet | None = None

    def put(self, hook: EventHook, **arguments: Any) -> None:
        """Fire an event soon, if it has listeners."""
        if not hook.listeners:
            return
        self._waiting.append((hook, arguments))
        if self._greenlet is None or self._greenlet.dead:
            self._greenlet = Supervisor().spawn("The calls of listeners", self._fire)

    def _fire(self) -> None:
        while self._waiting:
            hook, arguments = self._waiting.popleft()
            hook.fire(**arguments)
