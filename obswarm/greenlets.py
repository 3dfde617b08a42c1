"""Supervised greenlets: none ends by an exception without notifying its owner.

The only place of the package that calls `gevent.spawn`, apart from the start of users.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import gevent

from obswarm.clock import monotonic
from obswarm.killed import Supervised, is_killed
from obswarm.sanitize import to_text, type_name

logger = logging.getLogger(__name__)

NOT_ONLY_EXCEPTIONS = (Exception, gevent.Timeout, SystemExit, KeyboardInterrupt)
"""Exceptions that count as a failure of called code: all but GreenletExit, which is the end of the greenlet. gevent
would raise the last two in the main greenlet."""

_MAX_RESTARTS = 5
_RESTARTS_WITHIN_S = 60.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0

FailureCallback = Callable[[str, BaseException], None]
"""Called with the name of a supervised greenlet and the exception that it raised."""


Kind = TypeVar("Kind", bound=Supervised)


def kill_all(greenlets: Iterable[gevent.Greenlet]) -> None:
    """Kill greenlets and wait until they have ended."""
    ending = list(greenlets)
    for greenlet in ending:
        greenlet.kill(block=False)
    gevent.joinall(ending)


def call_apart(function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
    """Call a function of the load test in a greenlet of its own, wait for it, and return its result or raise its
    exception.

    So a gevent.Timeout that the function starts and never cancels is raised in a greenlet that has ended by then, not
    in one that the run depends on. If the caller is killed or interrupted while it waits, the function's greenlet is
    killed.
    """
    if gevent.getcurrent() is gevent.get_hub():
        return function(*arguments, **options)
    called = Supervised.spawn(_result_or_error, function, arguments, options)
    try:
        called.join()
    except BaseException:
        called.kill(block=False)
        raise
    return outcome_of(called)


def spawn_apart(function: Callable[[], Any], kind: type[Kind]) -> Kind:
    """As `call_apart`, without waiting; returns the greenlet, of class `kind`."""
    called: Kind = kind.spawn(_result_or_error, function, (), {})
    return called


def outcome_of(called: Supervised) -> Any:
    """Return the result, or raise the exception, of a greenlet of `spawn_apart` that has ended."""
    if isinstance(called.value, gevent.GreenletExit):
        # Killed before it started.
        raise called.value
    result, error = called.value
    if error is not None:
        raise error
    return result


def _result_or_error(
    function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
) -> tuple[Any, BaseException | None]:
    try:
        return function(*arguments, **options), None
    except BaseException as error:
        return None, error


def described(error: BaseException) -> str:
    """Return type and message of an exception in one line."""
    text = " ".join(to_text(error).split())
    return f"{type_name(error)}: {text}" if text else type_name(error)


class Supervisor:
    """Starts greenlets on behalf of an owner. `on_death` is called if one ends by an exception and is not restarted,
    `on_restart` if it is restarted.

    By default both are logged, which suffices if nothing depends on the greenlet.
    """

    def __init__(self, on_death: FailureCallback | None = None, on_restart: FailureCallback | None = None) -> None:
        self._on_death = on_death or _log_death
        self._on_restart = on_restart or _log_restart
        self.restarts: Counter[str] = Counter()
        """Number of restarts by name."""

    def spawn(self, name: str, function: Callable[..., Any], *arguments: Any) -> Supervised:
        """Call the function in a greenlet that is not restarted."""
        started: Supervised = Supervised.spawn(self._run_once, name, function, arguments)
        return started

    def spawn_later(self, delay_s: float, name: str, function: Callable[..., Any], *arguments: Any) -> Supervised:
        """As `spawn`, after a delay."""
        started: Supervised = Supervised.spawn_later(delay_s, self._run_once, name, function, arguments)
        return started

    def keep(self, name: str, function: Callable[..., Any], *arguments: Any) -> Supervised:
        """Call the function in a greenlet, and restart it when it raises: up to five times a minute, with exponential
        backoff; after that it counts as dead. A function that returns is not called again.
        """
        started: Supervised = Supervised.spawn(self._run_restarting, name, function, arguments)
        return started

    def _run_once(self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        try:
            return function(*arguments)
        except gevent.GreenletExit as error:
            if is_killed():
                raise
            self._report_death(name, error)
        except NOT_ONLY_EXCEPTIONS as error:
            self._report_death(name, error)
        return None

    def _run_restarting(self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        recent: deque[float] = deque(maxlen=_MAX_RESTARTS)
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                function(*arguments)
                return
            except gevent.GreenletExit as raised:
                if is_killed():
                    raise
                error: BaseException = raised
            except NOT_ONLY_EXCEPTIONS as raised:
                error = raised
            now = monotonic()
            if len(recent) == _MAX_RESTARTS and now - recent[0] < _RESTARTS_WITHIN_S:
                self._report_death(name, error)
                return
            if recent and now - recent[-1] > _RESTARTS_WITHIN_S:
                pause_s = _FIRST_PAUSE_S
            recent.append(now)
            self.restarts[name] += 1
            self._notify(self._on_restart, name, error)
            gevent.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    def _report_death(self, name: str, error: BaseException) -> None:
        self._notify(self._on_death, name, error)

    @staticmethod
    def _notify(callback: FailureCallback, name: str, error: BaseException) -> None:
        logger.debug("Traceback of the failure of %s:", name, exc_info=error)
        try:
            callback(name, error)
        except NOT_ONLY_EXCEPTIONS as another:
            logger.error("%s failed (%s), and its error handler failed, too: %s", name, error, another)


def _log_death(name: str, error: BaseException) -> None:
    logger.error("%s ended with an error: %s.", name, described(error))


def _log_restart(name: str, error: BaseException) -> None:
    logger.warning("%s failed and was restarted: %s.", name, described(error))
