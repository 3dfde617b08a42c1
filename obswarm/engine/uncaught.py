"""What nobody caught during a run, in a greenlet, a timer or a signal handler of the load test's own.

gevent prints it, or, where it is a SystemExit or a KeyboardInterrupt, hands it on to the main greenlet, which would end
the process without a result.
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
_MAIN = "what was raised in the main greenlet"


class _Unkillable(Supervised):
    """A load test that kills all greenlets that it finds does not kill this one; `refused` is called then."""

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
    """A context manager. As long as it is entered, such an exception is dealt with as one of a listener's: StopTest
    stops the run, anything else is logged and counted; see Environment.called_code_raised.

    `environment` gives what it concerns, None as long as there is none; `interrupted` is called at a Ctrl-C that has
    reached Python's own handler, since something has put that back.
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
        """Call it in a greenlet of its own: what is raised in the calling greenlet, the main one, by others does not
        interrupt it. Returns or raises what the function does."""
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
        """As Hub.handle_error, which is called in the hub: nothing here may wait."""
        if issubclass(kind, HubDestroyed):
            type(self._hub).handle_error(self._hub, context, kind, value, traceback)
        if issubclass(kind, gevent.GreenletExit):
            return
        error = value if isinstance(value, BaseException) else kind(value)
        if isinstance(context, tuple):
            # (worker, function) of a thread pool: whoever waits for the function is given it as well. gevent's resolver
            # marks what it raises as no error.
            if not issubclass(kind, self._hub.NOT_ERROR):
                logger.error("A function in a thread pool failed: %s.", described(error))
            return
        self._found(_place(context), error.with_traceback(traceback or error.__traceback__))

    def _kill_refused(self) -> None:
        """Whoever killed this greenlet has probably killed the others of the run, too."""
        environment = self._environment()
        if environment is not None and environment.steering is not None:
            self._supervisor.spawn("The end of a run", environment.steering.stop_test, _KILLED)

    def _found(self, place: str, error: BaseException) -> None:
        by_python = place in (_SIGNAL_HANDLER, _MAIN) and not is_of_a_load_test(error)
        if by_python and isinstance(error, KeyboardInterrupt):
            self._supervisor.spawn("The end of a run by Ctrl-C", self._interrupted)
            return
        self._supervisor.spawn("The report of an exception that nobody caught", self._report, place, error)

    def _report(self, place: str, error: BaseException) -> None:
        environment = self._environment()
        # One that was raised in the main greenlet has been where it waits, which is no fault of that.
        if environment is None or (place != _MAIN and is_ours(error)):
            logger.error("%s failed: %s.", place, described(error), exc_info=error)
            return
        environment.called_code_raised(place, error)


class _SignalHandlers:
    """Python calls a signal handler in the middle of whichever greenlet happens to run. What one of the load test's
    raises there belongs to that greenlet only where it runs code of the load test; `found` is told of it elsewhere."""

    def __init__(self, found: Callable[[str, BaseException], None]) -> None:
        self._found = found
        self._set: Any = None
        self._originals: dict[Any, Any] = {}

    def guard(self) -> None:
        """Those that are there, and those that are set from now on."""
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
        """As signal.signal."""
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
                # Without the frame of this function, which is not where it was raised.
                own = error.__traceback__
                self._found(f"the signal handler {_name(handler)}", error.with_traceback(own and own.tb_next))

        self._originals[guarded] = handler
        return guarded


def _place(context: Any) -> str:
    """Where it was, in a few words: the same for all of a kind, as it is counted under this name."""
    if context is None:
        return _SIGNAL_HANDLER
    if isinstance(context, gevent.Greenlet):
        return f"the greenlet {_name(getattr(context, '_run', context))}"
    callback = getattr(context, "callback", None)
    return f"the callback {_name(callback)} of the event loop" if callback is not None else "a greenlet"


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))
