"""Uncaught exceptions during a run in greenlets, timers and signal handlers of the load test.

gevent would print them, or raise SystemExit and KeyboardInterrupt in the main greenlet, which would end the process
without a result.
"""

import logging
import signal
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import Any

import gevent
from gevent.exceptions import HubDestroyed, LoopExit

from obswarm.api import Environment, is_of_a_load_test, is_ours, runs_code_of_a_load_test
from obswarm.greenlets import Supervisor, described, outcome_of, spawn_apart
from obswarm.killed import Supervised

logger = logging.getLogger(__name__)

_SIGNALS_OF_A_RUN = {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD}
_SIGNAL_HANDLER = "a signal handler"
_KILLED = "code of the load test killed the run's own greenlet"
_MAIN = "an exception in the main greenlet"


class _Unkillable(Supervised):
    """A greenlet that a load test cannot kill; `refused` is called instead."""

    refused: Callable[[], None]

    def kill(self, *arguments: Any, **options: Any) -> None:
        self.refused()

    def throw(self, *arguments: Any) -> Any:
        first = arguments[0] if arguments else gevent.GreenletExit
        if isinstance(first, gevent.GreenletExit) or first is gevent.GreenletExit:
            self.refused()
            return None
        return super().throw(*arguments)


class UncaughtErrors:
    """A context manager that handles uncaught exceptions like those of listeners: StopTest stops the run, others are
    logged and counted; see Environment.called_code_raised.

    `environment` returns the environment of the run, None before it exists; `interrupted` is called for a Ctrl-C that
    reaches Python's default handler, after other code has restored that.
    """

    def __init__(self, environment: Callable[[], Environment | None], interrupted: Callable[[], None]) -> None:
        self._environment = environment
        self._interrupted = interrupted
        self._supervisor = Supervisor()
        self._signal_handlers = _SignalHandlers(self._found)
        self._hub: Any = None
        self._before: Any = None

    def __enter__(self) -> "UncaughtErrors":
        self._hub = gevent.get_hub()
        self._before = vars(self._hub).get("handle_error")
        self._hub.handle_error = self._handle
        self._signal_handlers.guard()
        return self

    def __exit__(self, *_: object) -> None:
        self._signal_handlers.release()
        if self._before is None:
            del self._hub.handle_error
        else:
            self._hub.handle_error = self._before

    def run(self, function: Callable[[], Any]) -> Any:
        """Call the function in a separate greenlet, so that exceptions raised in the main greenlet by other code do not
        interrupt it. Returns or raises the same as the function."""
        called = spawn_apart(function, kind=_Unkillable)
        called.refused = self._kill_refused
        while not called.ready():
            try:
                called.join()
            except (HubDestroyed, LoopExit):
                raise
            except BaseException as error:
                self._found(_MAIN, error)
        return outcome_of(called)

    def _handle(self, context: Any, kind: type[BaseException], value: Any, traceback: Any) -> None:
        """Replace Hub.handle_error, which runs in the hub and must not block."""
        if issubclass(kind, HubDestroyed):
            type(self._hub).handle_error(self._hub, context, kind, value, traceback)
        if issubclass(kind, gevent.GreenletExit):
            return
        error = value if isinstance(value, BaseException) else kind(value)
        if isinstance(context, tuple):
            # (worker, function) of a thread pool: the waiting caller gets the exception, too. Exceptions of gevent's
            # resolver are in NOT_ERROR.
            if not issubclass(kind, self._hub.NOT_ERROR):
                logger.error("A function in a thread pool failed: %s.", described(error))
            return
        self._found(_place(context), error.with_traceback(traceback or error.__traceback__))

    def _kill_refused(self) -> None:
        """Stop the run: code that tried to kill this greenlet has probably killed others of the run, too."""
        environment = self._environment()
        if environment is not None and environment.steering is not None:
            self._supervisor.spawn("The end of a run", environment.steering.stop_test, _KILLED)

    def _found(self, place: str, error: BaseException) -> None:
        by_python = place in (_SIGNAL_HANDLER, _MAIN) and not is_of_a_load_test(error)
        if by_python and isinstance(error, KeyboardInterrupt):
            self._supervisor.spawn("The end of a run by Ctrl-C", self._interrupted)
            return
        self._supervisor.spawn("The report of an uncaught exception", self._report, place, error)

    def _report(self, place: str, error: BaseException) -> None:
        environment = self._environment()
        # An exception raised in the main greenlet has frames of obswarm, where that was waiting, but is not obswarm's.
        if environment is None or (place != _MAIN and is_ours(error)):
            logger.error("%s failed: %s.", place, described(error), exc_info=error)
            return
        environment.called_code_raised(place, error)


class _SignalHandlers:
    """Guards the load test's signal handlers, which Python calls in whichever greenlet is running. Their exceptions are
    raised in that greenlet only if it runs code of the load test; otherwise, `found` is called with them."""

    def __init__(self, found: Callable[[str, BaseException], None]) -> None:
        self._found = found
        self._set: Any = None
        self._originals: dict[Any, Any] = {}

    def guard(self) -> None:
        """Guard all present handlers, and those that are set later."""
        self._set = signal.signal
        for number in signal.valid_signals() - _SIGNALS_OF_A_RUN:
            handler = signal.getsignal(number)
            if callable(handler):
                self._set(number, self._guarded(handler))
        signal.signal = self._guarded_signal  # type: ignore[assignment]  # as one that takes anything

    def release(self) -> None:
        signal.signal = self._set
        for number in signal.valid_signals():
            original = self._originals.get(signal.getsignal(number))
            if original is not None:
                signal.signal(number, original)

    def _guarded_signal(self, number: Any, handler: Any) -> Any:
        """Replace signal.signal."""
        is_to_be_guarded = callable(handler) and handler not in self._originals
        before = self._set(number, self._guarded(handler) if is_to_be_guarded else handler)
        return self._originals.get(before, before)

    def _guarded(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        if handler is signal.default_int_handler or isinstance(handler, signal.Handlers):
            return handler

        @wraps(handler)
        def guarded(number: int, frame: FrameType | None) -> Any:
            try:
                return handler(number, frame)
            except BaseException as error:
                if runs_code_of_a_load_test(frame):
                    raise
                # Without the frame of this function.
                own = error.__traceback__
                self._found(f"the signal handler {_name(handler)}", error.with_traceback(own and own.tb_next))

        self._originals[guarded] = handler
        return guarded


def _place(context: Any) -> str:
    """Return the place of an exception, under which it is counted; the same for all exceptions of a kind."""
    if context is None:
        return _SIGNAL_HANDLER
    if isinstance(context, gevent.Greenlet):
        return f"the greenlet {_name(getattr(context, '_run', context))}"
    callback = getattr(context, "callback", None)
    return f"the callback {_name(callback)} of the event loop" if callback is not None else "a greenlet"


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))
