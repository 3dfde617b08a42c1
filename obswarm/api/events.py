"""Event hooks, with the names and arguments that Locust's have."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import gevent

from obswarm import clock, defaults
from obswarm.api.errors import STEERING_EXCEPTIONS, CatchResponseError
from obswarm.api.event_hook import EventHook, ExceptionHandler, UserHook
from obswarm.api.old_events import OLD_EVENTS, OldHook
from obswarm.api.request import RequestRecord
from obswarm.killed import put_off
from obswarm.sanitize import clean_text, is_a, to_number, to_size, to_text, type_name
from obswarm.stats import NO_NAME, Recorder

logger = logging.getLogger(__name__)

_STEERS_A_USER = (*STEERING_EXCEPTIONS, gevent.GreenletExit, gevent.Timeout)
_LONGEST_MS = defaults.MAX_DURATION_S * 1000
_MOST_COMPLAINTS = 20


class RequestHook(EventHook):
    """The `request` event: what is fired here is counted first, then passed to the listeners.

    Arguments of `fire`: request_type, name, response_time (milliseconds; None: it has no duration), response_length
    (bytes), response, context, exception (None when it succeeded), start_time (wall, seconds), url.

    Whatever is given counts, as exactly one request. Texts may be anything that has a text; numbers may be of any type,
    or texts of numbers. What is missing or no number is complained of in the log, once for each kind.

    Its listeners run in the user's greenlet, so that StopUser, RescheduleTask and the like steer that user, and a
    gevent.Timeout around the request passes through.
    """

    _calls_apart = False

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self.recorder: Recorder | None = None
        self._complaints: set[str] = set()

    def fire(self, /, *, reverse: bool = False, **kwargs: Any) -> None:
        recorder = self.recorder
        if recorder is not None:
            try:
                request_type, name = kwargs["request_type"], kwargs["name"]
            except KeyError:
                request_type, name = kwargs.get("request_type", NO_NAME), kwargs.get("name", NO_NAME)
                self._complain(f"request_type and name are needed; what is missing is counted as {NO_NAME}")
            response_time = kwargs.get("response_time")
            if type(response_time) is not float or not response_time <= _LONGEST_MS:
                response_time = self._milliseconds(response_time, "response_time" in kwargs)
            response_length = kwargs.get("response_length")
            if type(response_length) is not int:
                response_length = self._length(response_length)
            response, exception = kwargs.get("response"), kwargs.get("exception")
            recorder.record(
                request_type,
                name,
                None if response_time is None else response_time / 1000,
                response_length,
                None if response is None else _status_code(response),
                None if exception is False else exception,
            )
        if self.listeners:
            kwargs.setdefault("exception", None)
            kwargs.setdefault("context", {})
            kwargs.setdefault("response", None)
            super().fire(reverse=reverse, **kwargs)

    def _milliseconds(self, given: Any, is_given: bool) -> float | None:
        if given is None:
            if not is_given:
                self._complain("response_time is missing; the request is counted without one. Give None to say so")
            return None
        number = to_number(given)
        if number is None or number > _LONGEST_MS:
            self._complain(
                f"response_time={_shown(given)} is not a number of milliseconds; the request is counted without one",
                f"response_time {type_name(given)}",
            )
            return None
        return max(number, 0.0)

    def _length(self, given: Any) -> int:
        if given is None:
            return 0
        size = to_size(given)
        if size is None:
            self._complain(
                f"response_length={_shown(given)} is not a number of bytes; 0 is counted",
                f"response_length {type_name(given)}",
            )
        return size or 0

    def _complain(self, complaint: str, kind: str = "") -> None:
        kind = kind or complaint
        if kind not in self._complaints and len(self._complaints) < _MOST_COMPLAINTS:
            self._complaints.add(kind)
            logger.warning("events.request.fire: %s. (Further ones of this kind are not logged.)", complaint)

    def _is_meant_for_the_caller(self, error: BaseException) -> bool:
        return isinstance(error, _STEERS_A_USER) or super()._is_meant_for_the_caller(error)

    def notify(self, /, **kwargs: Any) -> None:
        """Tell the listeners alone, about a request that its client has counted itself."""
        super().fire(**kwargs)

    @contextmanager
    def measure(
        self, request_type: str, name: str, response_length: int = 0, context: dict[str, Any] | None = None
    ) -> Generator[dict[str, Any], None, None]:
        """Time a block and fire the event for it; an exception in the block makes it a failure and goes no further.

        Yields the event's arguments, so that the block can fill in response_length, response or exception.
        """
        meta: dict[str, Any] = {
            "request_type": request_type,
            "name": name,
            "response_length": response_length,
            "context": {} if context is None else context,
            "response": None,
            "exception": None,
            "start_time": clock.wall(),
        }
        with _FiredRecord(self, meta):
            yield meta


class _FiredRecord(RequestRecord):
    """Fires the event with the arguments that the block has filled in."""

    __slots__ = ("_fire", "_given", "_meta")

    def __init__(self, hook: RequestHook, meta: dict[str, Any]) -> None:
        # Outside of any run there is no recorder, and nothing to be counted.
        super().__init__(hook.recorder or Recorder(), hook, meta["request_type"], meta["name"], clock.monotonic())
        self._fire = hook.fire
        self._given = meta.copy()
        self._meta = meta

    def report(self, response: Any = None) -> None:
        # Keys that the block has removed have the value that was given; a key that cannot be an argument is left out.
        filled_in = {key: value for key, value in self._meta.items() if type(key) is str and key != "reverse"}
        meta = {**self._given, **filled_in}
        if self.error is not None:
            meta["exception"] = self.error
        elif is_a(meta["exception"], str):
            meta["exception"] = CatchResponseError(to_text(meta["exception"]))
        meta["response_time"] = self.duration_s * 1000
        self._fire(**meta)


def _shown(value: object) -> str:
    """Of what kind it is, and what it looks like."""
    return f"{clean_text(value, 60)} ({type_name(value)})"


def _status_code(response: Any) -> Any:
    try:
        return getattr(response, "status_code", None)
    except BaseException as error:
        # Code of the load test's own, which has nothing to say about the request then.
        put_off(error)
        return None


class Events:
    """All hooks of a run. `from obswarm import events` gives the one that a load-test file adds its listeners to."""

    def __init__(self) -> None:
        self.init = EventHook("init", ends_run=True)
        """(environment, runner, web_ui): everything is set up, nothing has started."""
        self.init_command_line_parser = EventHook("init_command_line_parser", ends_run=True)
        """(parser): an argparse.ArgumentParser, for options of the load-test file's own."""
        self.test_start = EventHook("test_start", ends_run=True)
        """(environment): the run starts, before the first user."""
        self.test_stopping = EventHook("test_stopping")
        """(environment): the run is about to stop; users still run."""
        self.test_stop = EventHook("test_stop")
        """(environment): every user has ended."""
        self.spawning_complete = EventHook("spawning_complete")
        """(user_count): the number of users that was asked for is there."""
        self.request = RequestHook("request")
        """See RequestHook."""
        self.user_error = UserHook("user_error")
        """(user_instance, exception, tb): a task raised something that is not a request's failure."""
        self.reset_stats = EventHook("reset_stats")
        """(): the statistics were reset."""
        self.report_to_master = EventHook("report_to_master")
        """(client_id, data): a process is about to report; what is put into the dict `data` goes along."""
        self.worker_report = EventHook("worker_report")
        """(client_id, data): a report has arrived, with what was put into it."""
        self.worker_connect = EventHook("worker_connect")
        """(client_id): a worker has joined. Distributed runs only."""
        self.heartbeat_sent = EventHook("heartbeat_sent")
        """(client_id, timestamp): the master has sent a heartbeat to a worker. Distributed runs only."""
        self.heartbeat_received = EventHook("heartbeat_received")
        """(client_id, timestamp): this worker has received a heartbeat of its master. Distributed runs only."""
        self.cpu_warning = EventHook("cpu_warning")
        """(environment, cpu_usage): this process has become the bottleneck; percent of a core."""
        self.usage_monitor = EventHook("usage_monitor")
        """(environment, cpu_usage, memory_usage): once a second; percent of a core, and bytes."""
        self.quitting = EventHook("quitting")
        """(environment): the process is about to end; its exit code can still be set."""
        self.quit = EventHook("quit")
        """(exit_code): the last thing that happens."""

    def __getattr__(self, name: str) -> OldHook:
        """Hooks from before version 1 of Locust, at their first use."""
        old = OLD_EVENTS.get(name)
        if old is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        hook = OldHook(name, old, getattr(self, old.new))
        # As others have it: one that was made later belongs to the same run.
        hook.environment = self.test_start.environment
        setattr(self, name, hook)
        return hook

    def belong_to(self, environment: ExceptionHandler, recorder: Recorder) -> None:
        """Have `environment` handle what listeners raise from now on. Requests that a load test reports by
        `events.request.fire` are counted by the recorder."""
        self.request.recorder = recorder
        for hook in vars(self).values():
            hook.environment = environment


events = Events()
