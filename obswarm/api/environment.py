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
        exports_spans: bool = False,
        parsed_locustfiles: list[str] | None = None,
        available_user_classes: dict[str, type[Any]] | None = None,
        available_shape_classes: dict[str, LoadTestShape] | None = None,
        profile: str | None = None,
    ) -> None:
        """`available_user_classes` are all of the load test by name, those among them that are not run as well.
        `trace_sampler` decides which requests carry a trace id; None: no request does. `exports_spans`: a process with
        users exports their spans."""
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
        self.parsed_locustfiles = parsed_locustfiles
        self.available_user_classes = available_user_classes
        self.available_shape_classes = available_shape_classes
        self.available_user_tasks: dict[str, list[Any]] | None = None
        """The tasks of each available user class, before any are left out; None without available user classes."""
        if available_user_classes is not None:
            self.available_user_tasks = {name: list(cls.tasks) for name, cls in available_user_classes.items()}
        self.profile = profile
        self.worker_logs: dict[str, list[str]] = {}
        """Lines of workers' logs that `update_worker_logs` was called with."""
        self.run_id = ""
        """Id of the run that this process takes part in; empty until the run is prepared."""
        self.runner: Any = None
        self.web_ui: Any = None
        self.process_exit_code: int | None = None
        self.stats = StatsView()
        self.trace_sampler = trace_sampler
        self.exports_spans = exports_spans
        self._logged_exceptions: set[str] = set()
        self.steering: RunSteering | None = None
        """Ends the run that this process takes part in; None for a single user (`run_single_user`)."""
        events.belong_to(self, recorder)

    def join_run(self, run_id: str, steering: RunSteering, runner: Any) -> None:
        """Take part in a run; `steering` ends it, and `runner` controls it."""
        self.run_id = run_id
        self.steering = steering
        self.runner = runner

    def have_page(self, web_ui: Any, runner: Any = None) -> None:
        """Have a page, and the `runner` of all runs that are started on it, if there may be several."""
        self.web_ui = web_ui
        if runner is not None:
            self.runner = runner

    def renew(self, planned: "Environment") -> None:
        """Take over the plan of a further run of the same load test in this process. Listeners and the load test's own
        attributes stay."""
        names = (
            *("recorder", "user_classes", "shape_class", "host", "stop_timeout", "parsed_options", "tags"),
            *("exclude_tags", "reset_stats", "trace_sampler", "exports_spans", "profile"),
            "available_shape_classes",
        )
        for name in names:
            setattr(self, name, getattr(planned, name))
        self.process_exit_code = None
        self.events.belong_to(self, self.recorder)

    @property
    def user_classes_by_name(self) -> dict[str, type[Any]]:
        return {cls.__name__: cls for cls in self.user_classes}

    def update_user_class(self, user_settings: dict[str, Any]) -> None:
        """Set attributes of the available user class that is called `user_class_name`; `tasks` are names of tasks. On a
        master this has no effect on its workers. Raises ObswarmError for an unknown class."""
        name = user_settings.get("user_class_name")
        available = self.available_user_classes or self.user_classes_by_name
        if name not in available:
            raise ObswarmError(f"update_user_class: {name!r} is not a user class of the load test.")
        cls = available[name]
        tasks = (self.available_user_tasks or {}).get(name, cls.tasks)
        for key, value in user_settings.items():
            if key == "tasks":
                cls.tasks = [task for task in tasks if task.__name__ in value]
            elif key != "user_class_name":
                setattr(cls, key, value)

    def update_worker_logs(self, worker_log_report: dict[str, Any]) -> None:
        """Keep the lines `logs` of the worker `worker_id`."""
        if worker_id := worker_log_report.get("worker_id"):
            self.worker_logs[worker_id] = worker_log_report.get("logs", [])

    def assign_equal_weights(self) -> None:
        """Give all user classes the weight 1, and have their users run each of their tasks with the same probability,
        those of nested TaskSets instead of these."""
        for cls in self.user_classes:
            cls.weight = 1
            tasks: dict[Any, None] = {}
            left = list(cls.tasks)
            while left:
                entry = left.pop()
                if hasattr(entry, "tasks"):
                    left.extend(entry.tasks)
                else:
                    tasks[entry] = None
            cls.tasks = list(tasks)

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

        StopTest stops the run; with `ends_run` anything else ends it as an error, SystemExit with its exit
        code; without, it is logged and counted.
        """
        steering = self.steering
        if isinstance(error, StopTest) and steering is not None:
            steering.stop_test(f"{what} raised StopTest")
        elif ends_run and steering is not None:
            own = error if type(error) is ObswarmError else None
            if isinstance(error, SystemExit):
                self.process_exit_code = error.code if isinstance(error.code, int) else int(error.code is not None)
            text = f"{what[0].upper()}{what[1:]} raised {described(error)}\n{user_traceback(error)}"
            steering.fail(own or ObswarmError(text))
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
