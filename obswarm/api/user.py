"""User: one simulated user, in a greenlet of its own."""

import logging
from typing import Any

from gevent import GreenletExit, Timeout, get_hub

from obswarm import clock
from obswarm.api.environment import Environment
from obswarm.api.errors import LoadTestError, ObswarmError, StopTest, StopUser
from obswarm.api.request import count_cut_off, is_noted
from obswarm.api.tasks import UserTasks, collect_tasks
from obswarm.api.tracebacks import user_location, user_traceback
from obswarm.api.waits import constant
from obswarm.sanitize import to_text, type_name

logger = logging.getLogger(__name__)


class User:
    """Base of all user classes: tasks, and the wait time between them.

    A subclass for a protocol gives itself a `client` and measures its requests with
    `self.environment.request(method, name)`.
    """

    host: str | None = None
    """Where the target is: the base of the URLs, for HTTP users; `--host` overrides it. See `check_host`."""

    wait_time: Any = constant(0)
    """Seconds between two tasks: `between(1, 3)` or any function or method that returns a number."""

    tasks: Any = []  # noqa: RUF012 - a list, or a dict of weights, as Locust has it; read once at class creation

    weight: int = 1
    """Share of this class among the users of a run."""

    fixed_count: int = 0
    """When above 0, the number of users of this class; they are started first, and the weight does not count."""

    abstract: bool = True
    """A class that sets this itself is only there to be subclassed."""

    is_waiting = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.tasks = collect_tasks(cls)
        if "abstract" not in cls.__dict__:
            cls.abstract = False

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.client: Any = None
        self._iteration_started = clock.monotonic()
        self._tasks: UserTasks | None = None
        self.loop = get_hub().loop
        self.rounds_seen = 0
        self.is_stopping = False
        """True once the user has been asked to end after the current task."""

    @classmethod
    def check_host(cls, host: Any) -> Any:
        """Return a host as users of this class take it; called before a run with `--host`, or the class's own.

        Any will do for a User. A class for a protocol may override it, and raise ValueError with a sentence, as HTTP
        users do for what is no http:// or https:// URL.
        """
        return host

    def _checked_host(self) -> Any:
        """Return the user's host as `check_host` does, None without one; listeners may have changed it since the class
        was defined. Raises ObswarmError when `check_host` refuses it."""
        host = self.environment.host or self.host
        try:
            return self.check_host(host) if host else None
        except ValueError as error:
            where = "environment.host" if self.environment.host else f"{type(self).__name__}.host"
            raise ObswarmError(f"{where}: {error}.") from None

    def on_start(self) -> None:
        """Called once, before the first task."""

    def on_stop(self) -> None:
        """Called once, when the user ends."""

    def context(self) -> dict[str, Any]:
        """Override: what goes into the `context` of each of this user's request events."""
        return {}

    def wait(self) -> None:
        """Wait as between tasks. A user that is to stop ends here, also in the middle of a task."""
        if self._tasks is None:
            raise LoadTestError("User.wait() was called before the user was started.")
        self._tasks.wait()

    def run_iteration(self) -> None:
        """Run one iteration: the next task, without a wait. `run` does so again and again; a program of one's own may
        call it instead, `on_start` before and `on_stop` after it.

        Raises StopUser when the user is to stop, and what the task raises.
        """
        if self._tasks is None:
            self._tasks = UserTasks(self)
        self._tasks.run_iteration()

    def run(self) -> None:
        """Live through on_start, tasks and on_stop. Returns when the user ends; lets StopTest and LoadTestError out."""
        self._iteration_started = clock.monotonic()
        self._tasks = UserTasks(self)
        try:
            started = clock.monotonic()
            try:
                self.on_start()
            except GreenletExit as error:
                if not is_noted(error):
                    self._count_cut_off("task", "on_start", error, started)
                raise
            except (StopUser, StopTest, ObswarmError):
                raise
            except (Exception, Timeout) as error:
                self.report_error(error)
                return
            self._tasks.run()
        except (GreenletExit, StopUser):
            self._stop_quietly()
        except StopTest:
            self._stop_quietly()
            raise
        except (SystemExit, KeyboardInterrupt) as error:
            # The process is not this user's to end.
            self.report_error(error)
            self._stop_quietly()

    def _count_cut_off(self, kind: str, name: str, error: GreenletExit, started_s: float) -> None:
        count_cut_off(self.environment.recorder, error, kind, "", f"{type(self).__name__}.{name}", started_s)

    def _stop_quietly(self) -> None:
        started = clock.monotonic()
        try:
            self.on_stop()
        except GreenletExit as error:
            self._count_cut_off("on_stop", "on_stop", error, started)
            raise
        except StopTest:
            raise
        except StopUser:
            pass
        except (Exception, Timeout, SystemExit, KeyboardInterrupt) as error:
            self.report_error(error)

    def report_error(self, error: BaseException) -> None:
        """Count an exception of the load-test file's code, log the first of its kind in full, and tell listeners."""
        environment = self.environment
        if environment.catch_exceptions:
            # First, since a listener may raise what ends this user.
            self._count_error(error)
        environment.events.user_error.fire(user_instance=self, exception=error, tb=error.__traceback__)
        if not environment.catch_exceptions:
            raise error

    def _count_error(self, error: BaseException) -> None:
        place = user_location(error)
        text = to_text(error)
        message = f"{type_name(error)}: {text}" if text else type_name(error)
        if place:
            message = f"{message} ({place})"
        self.environment.report_exception(f"{type(self).__name__}: {message}", lambda: user_traceback(error))

    @classmethod
    def fullname(cls) -> str:
        """Module and class, dotted."""
        return ".".join(part for part in (*cls.__module__.split("."), cls.__qualname__) if part != "<locals>")
