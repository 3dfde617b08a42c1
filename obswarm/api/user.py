"""User: one simulated user, in a greenlet of its own."""

import logging
from typing import TYPE_CHECKING, Any, Optional

from gevent import Greenlet, GreenletExit, Timeout, get_hub

from obswarm import clock
from obswarm.api.arrivals import ArrivalRate
from obswarm.api.environment import Environment
from obswarm.api.errors import LoadTestError, ObswarmError, StopTest, StopUser
from obswarm.api.request import count_cut_off, is_noted
from obswarm.api.task_declaration import collect_tasks
from obswarm.api.tasks import IterationSource
from obswarm.api.tracebacks import user_location, user_traceback
from obswarm.api.user_tasks import UserTasks
from obswarm.api.waits import constant
from obswarm.killed import Supervised
from obswarm.sanitize import to_text, type_name

if TYPE_CHECKING:
    from gevent.pool import Group

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

    weight: float = 1
    """Share of this class among the users of a run."""

    fixed_count: int = 0
    """When above 0, the number of users of this class; they are started first, and the weight does not count."""

    abstract: bool = True
    """A class that sets this itself is only there to be subclassed."""

    arrival_rate: ArrivalRate | str | None = None
    """The rate at which users of this class run iterations, in place of a number of users: `ArrivalRate("200/s")`, or
    its text alone. An iteration is one task, with a SequentialTaskSet all of its tasks."""

    fresh_session: bool = False
    """With a rate: whether each iteration has a new user. Otherwise a user runs iterations again and again, with its
    cookies and connections."""

    iterations: int | None = None
    """The number of iterations that users of this class run altogether, over the whole fleet; None or 0: no limit."""

    _arrivals: tuple[str, int | None] = ("constant", None)
    """How iterations arrive, one of ARRIVALS, and the seed; set before a run."""
    _iterations: IterationSource | None = None
    """Says when the user begins its iterations; None in the closed model."""

    _scenario: Any = None
    """The Scenario that this class is for; None outside of scenarios."""

    is_waiting = False
    _missed = 0.0
    """Iterations that constant pacing could not start, below 1."""
    _let_out: BaseException | None = None
    """The exception that was reported and not caught, with `environment.catch_exceptions = False`."""
    greenlet: Greenlet | None = None
    """The greenlet that the user runs in; None before it is started."""
    group: Optional["Group"] = None
    """The group that `start` was called with; None for users that a run has started."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.tasks = collect_tasks(cls)
        if "abstract" not in cls.__dict__:
            cls.abstract = False

    @classmethod
    def import_client(cls) -> None:
        """Import the modules of the class's client. Called in each process in which users run, before the first one:
        the import of a library takes tens of milliseconds, in which no other user runs."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.client: Any = None
        self._iteration_started = clock.monotonic()
        self._tasks: UserTasks | None = None
        self.loop = get_hub().loop
        self.rounds_seen = 0
        self.is_stopping = False
        """True once the user has been asked to end after the current task."""

    @property
    def _state(self) -> str:
        """Locust's name for what the user does; see `locust.user.task`."""
        return "stopping" if self.is_stopping else "waiting" if self.is_waiting else "running"

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

    def start(self, group: "Group") -> Greenlet:
        """Start the user in a greenlet of a group, for a program that makes no run. Returns the greenlet."""
        self.group = group
        self.greenlet = Supervised(_run, self)
        group.start(self.greenlet)
        return self.greenlet

    def stop(self, force: bool = False) -> bool:
        """Stop the user: after its current task, or at once if it is waiting between tasks. `force` ends it at once in
        any case; then the task that is interrupted is counted as such. Its on_stop is called.

        Returns whether it was ended at once. A user that has not been started is not affected.
        """
        greenlet = self.greenlet
        if greenlet is not None and (force or self.is_waiting or self._tasks is None):
            # Raises GreenletExit in the user's own greenlet.
            greenlet.kill()
            return True
        self.is_stopping = True
        return False

    def run_iteration(self) -> None:
        """Run one iteration: the next task, without a wait. `run` does so again and again; a program of one's own may
        call it instead, `on_start` before and `on_stop` after it.

        Raises StopUser when the user is to stop, and what the task raises.
        """
        if self._tasks is None:
            self._tasks = UserTasks(self)
        self._tasks.run_iteration()

    def run_when_due(self, source: IterationSource) -> None:
        """Have `run` begin an iteration whenever `source` says so, in place of one after the other."""
        self._iterations = source

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
            if self._iterations is None:
                self._tasks.run()
            else:
                self._tasks.run_when_due(self._iterations)
        except (GreenletExit, StopUser):
            self._stop_quietly()
        except StopTest:
            self._stop_quietly()
            raise
        except (SystemExit, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt) and self.environment.steering is None:
                # Ctrl-C of a person who runs a single user.
                raise
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
        else:
            self._let_out = error
        environment.events.user_error.fire(user_instance=self, exception=error, tb=error.__traceback__)
        if not environment.catch_exceptions:
            raise error

    def report_end(self, error: BaseException) -> None:
        """Count the exception that has ended the user, and tell listeners unless `report_error` has. Does not raise."""
        self._count_error(error)
        if error is not self._let_out:
            self.environment.events.user_error.fire(user_instance=self, exception=error, tb=error.__traceback__)

    def _count_error(self, error: BaseException) -> None:
        place = user_location(error)
        text = to_text(error)
        message = f"{type_name(error)}: {text}" if text else type_name(error)
        if place:
            message = f"{message} ({place})"
        self.environment.report_exception(f"{type(self).__name__}: {message}", lambda: user_traceback(error))

    @classmethod
    def json(cls) -> dict[str, Any]:
        """Return the class's host, weight, fixed count, and the names of its tasks."""
        tasks = [getattr(entry, "__name__", type(entry).__name__) for entry in cls.tasks]
        return {"host": cls.host, "weight": cls.weight, "fixed_count": cls.fixed_count, "tasks": tasks}

    @classmethod
    def fullname(cls) -> str:
        """Module and class, dotted."""
        return ".".join(part for part in (*cls.__module__.split("."), cls.__qualname__) if part != "<locals>")


def close_client(user: User) -> None:
    """Close the client of a user that has ended, if its class says that it is `closed_with_user`, as obswarm's own do.
    Any other is the load test's: it may have no such method, or one that means something else."""
    if getattr(type(user.client), "closed_with_user", False):
        user.client.close()


def _run(user: User) -> None:
    user.run()
