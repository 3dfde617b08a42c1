"""TaskSets, which pick what a user does next."""

import logging
import random
from collections import deque
from collections.abc import Sequence
from itertools import cycle
from typing import Any, Protocol

from gevent import GreenletExit, Timeout, get_hub
from gevent import sleep as gevent_sleep
from greenlet import getcurrent

from obswarm import clock
from obswarm.api.environment import Environment
from obswarm.api.errors import (
    InterruptTaskSet,
    LoadTestError,
    ObswarmError,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)
from obswarm.api.request import count_cut_off, is_noted, note_cut_off
from obswarm.api.task_declaration import (
    TAGS_ATTRIBUTE,
    Task,
    collect_tasks,
    collect_tasks_in_order,
)
from obswarm.api.tracebacks import user_traceback
from obswarm.clock import monotonic

logger = logging.getLogger(__name__)

_NUMBERS = (int, float)


def _sleep(loop: Any, seconds: float) -> None:
    """Sleep as gevent.sleep, with a shorter call stack: the stack of a waiting user is most of its memory."""
    if not seconds:
        gevent_sleep(0)
        return
    timer = loop.timer(seconds)
    timer.start(getcurrent().switch)
    try:
        get_hub().switch()
    finally:
        timer.close()


class IterationSource(Protocol):
    """Says when a user begins an iteration."""

    is_schedule: bool
    """Whether iterations begin at the times of a schedule, in place of one after the other with a wait in between."""

    def begin(self, user: Any) -> None:
        """Wait until the user's next iteration is due, and begin it."""

    def finish(self, user: Any, is_done: bool) -> None:
        """End the iteration that has begun. Not `is_done`: it was interrupted, as the user had to stop."""


class TaskUser(Protocol):
    """A user, as its TaskSets see it; see obswarm.User."""

    environment: Environment
    host: str | None
    client: Any
    tasks: Any
    wait_time: Any
    loop: Any
    rounds_seen: int
    """The event loop's count of iterations when the user last waited."""
    is_waiting: bool
    is_stopping: bool
    fresh_session: bool
    _iterations: IterationSource | None

    def report_error(self, error: BaseException) -> None: ...

    def context(self) -> dict[str, Any]: ...


class TaskSet:
    """Tasks of which one after the other is picked at random, by weight.

    Nested, it runs until it calls `interrupt()`, then its parent goes on. `self.user`, `self.parent` and
    `self.client` lead to the user, to the TaskSet (or user) above and to the user's client.
    """

    tasks: Any = []  # noqa: RUF012 - a list, or a dict of weights, as Locust has it; read once at class creation
    wait_time: Any = None
    """Seconds to wait between tasks of this set: a function as in `User.wait_time`. By default the user's."""
    _missed = 0.0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.tasks = collect_tasks(cls)

    def __init__(self, parent: "TaskSet | TaskUser") -> None:
        self.parent: Any = parent
        self.user: TaskUser = parent.user if isinstance(parent, TaskSet) else parent
        self._queue: deque[Task] | None = None
        self._iteration_started = clock.monotonic()

    @property
    def client(self) -> Any:
        return self.user.client

    locust = property(lambda self: self.user, doc="The user, as it was called before version 1 of Locust.")

    def on_start(self) -> None:
        """Called when a user begins with this TaskSet."""

    def on_stop(self) -> None:
        """Called when the user leaves this TaskSet, by `interrupt` or because the user ends."""

    def interrupt(self, reschedule: bool = True) -> None:
        """Leave this TaskSet. With `reschedule` the parent's next task follows at once, else after its wait time."""
        raise InterruptTaskSet(reschedule)

    def schedule_task(self, task_callable: Task, first: bool = False) -> None:
        """Queue a task to be run before any is picked; `first` puts it at the head of the queue."""
        if self._queue is None:
            self._queue = deque()
        if first:
            self._queue.appendleft(task_callable)
        else:
            self._queue.append(task_callable)

    def get_next_task(self) -> Task:
        """Pick a task by weight. Raises LoadTestError when there is none."""
        if not self.tasks:
            raise LoadTestError(
                f"{self._owner_name()} has no tasks. Mark methods with @task or set `tasks`"
                " (or set abstract = True on a user class that is only to be subclassed)."
            )
        tasks: Sequence[Task] = self.tasks
        # What random.choice does, without its four calls: this runs once a task.
        return tasks[int(random.random() * len(tasks))] if len(tasks) > 1 else tasks[0]

    def _owner_name(self) -> str:
        return type(self).__name__

    def execute_task(self, entry: Task) -> None:
        if isinstance(entry, type) and issubclass(entry, TaskSet):
            entry(self).run()
        elif getattr(entry, "__self__", None) is self:
            entry()
        else:
            entry(self)

    def wait(self) -> None:
        """Sleep for the wait time. A user that is to stop does so here, also in the middle of a task."""
        user = self.user
        wait_time = self.wait_time
        seconds = user.wait_time() if wait_time is None else wait_time()
        if type(seconds) not in _NUMBERS and not isinstance(seconds, _NUMBERS):
            raise LoadTestError(
                f"wait_time of {self._owner_name()} returned {seconds!r}; it has to return a number of seconds."
            )
        if user.is_stopping:
            raise StopUser
        if seconds <= 0:
            # Everybody else must get a turn, but has had one already if the loop went round during the task.
            rounds = user.loop.iteration
            if rounds != user.rounds_seen:
                user.rounds_seen = rounds
                return
            seconds = 0
        user.is_waiting = True
        try:
            _sleep(user.loop, seconds)
        except GreenletExit as error:
            # Between two tasks nothing is cut off.
            note_cut_off(error)
            raise
        finally:
            user.is_waiting = False
            user.rounds_seen = user.loop.iteration

    _sleep = staticmethod(gevent_sleep)  # as Locust calls it

    def run(self) -> None:
        """Run tasks until an exception ends the loop, as `interrupt`, StopUser and the end of the run do."""
        try:
            self.on_start()
        except InterruptTaskSet as interrupt:
            raise _as_reschedule(interrupt) from interrupt
        user = self.user
        steps = None if user._iterations is None else self._steps_of_an_iteration()
        while True:
            try:
                if steps is not None:
                    if not steps:
                        self.interrupt()
                    steps -= 1
                try:
                    self.run_iteration()
                except RescheduleTaskImmediately:
                    # Nothing else yields in a TaskSet that does nothing but reschedule.
                    gevent_sleep(0)
                    continue
                except RescheduleTask:
                    pass
                if steps != 0:
                    self.wait()
            except InterruptTaskSet as interrupt:
                self._stop_quietly()
                raise _as_reschedule(interrupt) from interrupt
            except (StopUser, StopTest, GreenletExit, SystemExit, KeyboardInterrupt):
                self._stop_quietly()
                raise
            except ObswarmError:
                raise
            except (Exception, Timeout) as error:
                user.report_error(error)
                if steps != 0:
                    self._wait_after_error()

    def _steps_of_an_iteration(self) -> int | None:
        """Return after how many tasks the TaskSet ends as part of an iteration; None: when it calls `interrupt`."""
        return 1

    def run_iteration(self) -> None:
        """Run the next task, without a wait. Raises StopUser when the user is to stop, and what the task raises."""
        entry = self._queue.popleft() if self._queue else self.get_next_task()
        if self.user.is_stopping:
            raise StopUser
        started = monotonic()
        try:
            self.execute_task(entry)
        except GreenletExit as error:
            self._count_cut_off("task", entry, error, started)
            raise

    def _wait_after_error(self) -> None:
        try:
            self.wait()
        except (StopUser, StopTest, GreenletExit):
            self._stop_quietly()
            raise
        except (Exception, Timeout):
            # The wait time itself is what fails; it has been reported, and must not become a busy loop.
            gevent_sleep(1)

    def _count_cut_off(self, kind: str, entry: Task, error: GreenletExit, started: float) -> None:
        # A task that was cut off in a request, or in a task of a nested TaskSet, is known by that.
        if kind == "on_stop" or not is_noted(error):
            name = f"{self._owner_name()}.{getattr(entry, '__name__', type(entry).__name__)}"
            count_cut_off(self.user.environment.recorder, error, kind, "", name, started)

    def _stop_quietly(self) -> None:
        started = monotonic()
        try:
            self.on_stop()
        except GreenletExit as error:
            self._count_cut_off("on_stop", self.on_stop, error, started)
            raise
        except StopTest:
            raise
        except (StopUser, InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately):
            pass
        except (Exception, Timeout, SystemExit, KeyboardInterrupt) as error:
            logger.error("Exception in %s.on_stop:\n%s", self._owner_name(), user_traceback(error))
            self.user.report_error(error)


def _as_reschedule(interrupt: InterruptTaskSet) -> Exception:
    return RescheduleTaskImmediately() if interrupt.reschedule else RescheduleTask()


class SequentialTaskSet(TaskSet):
    """A TaskSet whose tasks run in the order of declaration, again and again; a weight of n repeats a task n times."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        own = collect_tasks_in_order(cls)
        super().__init_subclass__(**kwargs)
        cls.tasks = own

    def __init__(self, parent: "TaskSet | TaskUser") -> None:
        super().__init__(parent)
        self._cycle = cycle(self.tasks)

    def _steps_of_an_iteration(self) -> int | None:
        return len(self.tasks)

    def get_next_task(self) -> Task:
        if not self.tasks:
            return super().get_next_task()
        return next(self._cycle)


def filter_by_tags(
    owner: Any,
    include: frozenset[str] | None,
    exclude: frozenset[str] | None,
    inherited: frozenset[str] = frozenset(),
    verdicts: dict[Any, bool] | None = None,
) -> None:
    """Take tasks that `--tags` and `--exclude-tags` leave out away from a class and, in it, from nested TaskSets.

    A TaskSet stays when any of its tasks does. Classes are changed in place: a run has one selection of tags. Of tasks
    in `verdicts` that says whether they stay, and others are added to it.
    """
    verdicts = {} if verdicts is None else verdicts
    for entry in owner.tasks:
        if entry not in verdicts:
            tags = inherited | getattr(entry, TAGS_ATTRIBUTE, frozenset())
            if isinstance(entry, type) and issubclass(entry, TaskSet):
                filter_by_tags(entry, include, exclude, tags)
                verdicts[entry] = bool(entry.tasks)
            else:
                wanted = include is None or bool(include & tags)
                verdicts[entry] = wanted and not (exclude and exclude & tags)
    owner.tasks = [entry for entry in owner.tasks if verdicts[entry]]
