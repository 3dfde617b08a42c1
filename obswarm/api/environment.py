"""Environment: the run as load-test files see it, under Locust's names."""

import logging
from argparse import Namespace
from collections.abc import Callable
from typing import Any, Protocol

from obswarm import clock
from obswarm.api.errors import ObswarmError, StopTest
from obswarm.api.events import Events
from obswarm.api.request import RequestRecord
from obswarm.api.shapes import LoadTestShape
from obswarm.api.stats_view import StatsView
from obswarm.api.tracebacks import user_traceback
from obswarm.api.tracing import TraceSampler
from obswarm.greenlets import described
from obswarm.stats import Recorder

logger = logging.getLogger("obswarm.user")


class RunSteering(Protocol):
    """Ends the run on behalf of load-test code that is called outside of any user."""

    def stop_test(self, detail: str) -> None:
        """Stop the run gracefully, as StopTest asks for."""

    def fail(self, error: ObswarmError) -> None:
        """End the run as an error, with exit code 2."""


class Environment:
    """The environment of a run; users have it as `self.environment`, listeners get it as an argument.

    `user_classes` are subclasses of User. `runner` has `stop()`, `quit()`, `start(user_count, spawn_rate)`,
    `user_count`, `state` and `stats`; `process_exit_code`, when set, becomes the exit code of the command.
    """

    def __init__(
        self,
        *,
        events: Events,
        recorder: Recorder,
        user_classes: list[type[Any]] | None = None,
        shape_class: LoadTestShape | None = None,
        host: str | None = None,
        stop_timeout: float = 0,
        parsed_options: Namespace | None = None,
        catch_exceptions: bool = True,
        locustfile: str | None = None,
        tags: list[str] | None = None,
        exclude_tags: list[str] | None = None,
        reset_stats: bool = False,
        trace_sampler: TraceSampler | None = None,
    ) -> None:
        """`trace_sampler` decides which requests carry a trace id; None: no request does."""
        self.events = events
        self.recorder = recorder
        self.user_classes = user_classes or []
        self.shape_class = shape_class
        self.host = host
        self.stop_timeout = stop_timeout
        self.parsed_options = parsed_options or Namespace()
        self.catch_exceptions = catch_exceptions
        self.locustfile = locustfile
        self.tags = tags
        self.exclude_tags = exclude_tags
        self.reset_stats = reset_stats
        self.run_id = ""
        """Id of the run that this process takes part in; empty until the run is prepared."""
        self.runner: Any = None
        self.web_ui: Any = None
        self.process_exit_code: int | None = None
        self.stats = StatsView()
        self.trace_sampler = trace_sampler
        self._logged_exceptions: set[str] = set()
        self.steering: RunSteering | None = None
        """Ends the run that this process takes part in; None for a single user (`run_single_user`)."""
        events.request.recorder = recorder
        events.belong_to(self)

    def join_run(self, steering: RunSteering, runner: Any) -> None:
        """Take part in a run, which these end and control."""
        self.steering = steering
        self.runner = runner

    @property
    def user_classes_by_name(self) -> dict[str, type[Any]]:
        return {cls.__name__: cls for cls in self.user_classes}

    def request(
        self, method: str, name: str, *, context: dict[str, Any] | None = None, url: str | None = None
    ) -> RequestRecord:
        """Measure one request of any protocol: use what is returned as a `with` block. `method` and `name` are the
        endpoint under which the request is counted; `context` and `url` are for listeners. See RequestRecord."""
        return RequestRecord(
            self.recorder, self.events.request, method, name, clock.monotonic(), context, url, self.trace_sampler
        )

    def called_code_raised(self, what: str, error: BaseException, ends_run: bool = False) -> None:
        """Handle an exception of the load-test file's code, `what`, that was called outside of any user.

        StopTest stops the run; with `ends_run` anything else ends it as an error; without, it is logged and counted.
        """
        steering = self.steering
        if isinstance(error, StopTest) and steering is not None:
            steering.stop_test(f"{what} raised StopTest")
        elif ends_run and steering is not None:
            told = error if type(error) is ObswarmError else None
            text = f"{what[0].upper()}{what[1:]} raised {described(error)}\n{user_traceback(error)}"
            steering.fail(told or ObswarmError(text))
        else:
            traceback = user_traceback(error)
            self.report_exception(f"{what}: {described(error)}", lambda: traceback)

    def report_exception(self, message: str, traceback: Callable[[], str]) -> None:
        """Count an exception of the load-test file's code; the first of its kind is logged with its traceback."""
        if message in self._logged_exceptions:
            self.recorder.record_exception(message, "")
            return
        if len(self._logged_exceptions) < 1000:
            self._logged_exceptions.add(message)
        text = traceback()
        logger.error("%s\n%s\n(further ones of this kind are counted, not logged)", message, text)
        self.recorder.record_exception(message, text)
