"""Greenlets that are supervised: none of them ends by an exception without its owner being told.

The one place of the package that calls `gevent.spawn`, besides the one where users are started.
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
"""What counts as a failure of code that is called: all but GreenletExit, which means the greenlet. gevent would hand
the last two on to the main greenlet, whatever that is doing."""

_MAX_RESTARTS = 5
_RESTARTS_WITHIN_S = 60.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0

Told = Callable[[str, BaseException], None]
"""Called with a supervised greenlet's name and what it raised."""


Kind = TypeVar("Kind", bound=Supervised)


def kill_all(greenlets: Iterable[gevent.Greenlet]) -> None:
    """End them, and wait until they have."""
    ending = list(greenlets)
    for greenlet in ending:
        greenlet.kill(block=False)
    gevent.joinall(ending)


def call_apart(function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
    """Call a function of the load test in a greenlet of its own, wait for it, and return or raise what it does.

    What it starts and leaves behind, such as a gevent.Timeout that nobody cancels, is aimed at the greenlet in which it
    was started; that one has ended then, and is not one that a run depends on. A caller that is killed meanwhile, or
    interrupted by any other exception, does not wait any longer, and the function's greenlet is killed.
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
    """As `call_apart`, in a greenlet of that kind, which is not waited for."""
    called: Kind = kind.spawn(_result_or_error, function, (), {})
    return called


def outcome_of(called: Supervised) -> Any:
    """Return or raise what the function of a `spawn_apart` that has ended did."""
    if isinstance(called.value, gevent.GreenletExit):
        # Killed before it began.
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
    """Type and text of an exception, in one line."""
    text = " ".join(to_text(error).split())
    return f"{type_name(error)}: {text}" if text else type_name(error)


class Supervisor:
    """Starts greenlets on behalf of an owner. `on_death` is told of one that has ended by an exception and is not
    started again, `on_restart` of one that is.

    By default both are logged, which is enough where nothing depends on the greenlet.
    """

    def __init__(self, on_death: Told | None = None, on_restart: Told | None = None) -> None:
        self._on_death = on_death or _log_death
        self._on_restart = on_restart or _log_restart
        self.restarts: Counter[str] = Counter()
        """How often each was started again, by name."""

    def spawn(self, name: str, function: Callable[..., Any], *arguments: Any) -> Supervised:
        """Call the function in a greenlet that is not started again."""
        started: Supervised = Supervised.spawn(self._once, name, function, arguments)
        return started

    def spawn_later(self, delay_s: float, name: str, function: Callable[..., Any], *arguments: Any) -> Supervised:
        """As `spawn`, after a while."""
        started: Supervised = Supervised.spawn_later(delay_s, self._once, name, function, arguments)
        return started

    def keep(self, name: str, function: Callable[..., Any], *arguments: Any) -> Supervised:
        """Call the function in a greenlet, and again when it raises: up to five times a minute, with growing pauses.

        It has died when that is not enough. A function that returns is not called again.
        """
        started: Supervised = Supervised.spawn(self._again_and_again, name, function, arguments)
        return started

    def _once(self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        try:
            return function(*arguments)
        except gevent.GreenletExit as error:
            if is_killed():
                raise
            self._died(name, error)
        except NOT_ONLY_EXCEPTIONS as error:
            self._died(name, error)
        return None

    def _again_and_again(self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
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
                self._died(name, error)
                return
            if recent and now - recent[-1] > _RESTARTS_WITHIN_S:
                pause_s = _FIRST_PAUSE_S
            recent.append(now)
            self.restarts[name] += 1
            self._tell(self._on_restart, name, error)
            gevent.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    def _died(self, name: str, error: BaseException) -> None:
        self._tell(self._on_death, name, error)

    @staticmethod
    def _tell(told: Told, name: str, error: BaseException) -> None:
        logger.debug("This is how %s failed:", name, exc_info=error)
        try:
            told(name, error)
        except NOT_ONLY_EXCEPTIONS as another:
            logger.error("%s failed (%s), and so did what was to be done about it: %s", name, error, another)


def _log_death(name: str, error: BaseException) -> None:
    logger.error("%s has ended by an error: %s.", name, described(error))


def _log_restart(name: str, error: BaseException) -> None:
    logger.warning("%s failed and was started again: %s.", name, described(error))
