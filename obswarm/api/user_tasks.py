"""UserTasks: the outermost TaskSet of a user, in the closed and in the open model."""

from random import random
from types import FunctionType

from gevent import GreenletExit, Timeout, sleep

from obswarm.api.errors import (
    InterruptTaskSet,
    ObswarmError,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)
from obswarm.api.task_declaration import Task
from obswarm.api.tasks import IterationSource, TaskSet, TaskUser
from obswarm.clock import monotonic

_AFTER_ERROR_S = 1.0


class UserTasks(TaskSet):
    """The outermost TaskSet of every user: its tasks are the user's, and are called with the user as `self`."""

    def __init__(self, user: TaskUser) -> None:
        super().__init__(user)
        self.tasks = user.tasks
        self._recorder = user.environment.recorder
        self._user_class = type(user).__name__

    def _owner_name(self) -> str:
        return type(self.user).__name__

    def run_when_due(self, source: IterationSource) -> None:
        """Run an iteration whenever one is due, until an exception ends the user."""
        user = self.user
        while True:
            source.begin(user)
            is_done = True
            try:
                self.run_iteration()
            except (RescheduleTask, RescheduleTaskImmediately, InterruptTaskSet):
                pass
            except StopUser:
                # Not in a wait within a TaskSet, or before the task.
                is_done = not user.is_stopping
                raise
            except GreenletExit:
                is_done = False
                raise
            except (StopTest, SystemExit, KeyboardInterrupt, ObswarmError):
                raise
            except (Exception, Timeout) as error:
                user.report_error(error)
            finally:
                source.finish(user, is_done)
            if user.is_stopping or (source.is_schedule and user.fresh_session):
                raise StopUser
            if not source.is_schedule:
                self._wait_before_next()

    def _wait_before_next(self) -> None:
        try:
            self.wait()
        except (StopUser, StopTest, GreenletExit, ObswarmError):
            raise
        except (Exception, Timeout) as error:
            self.user.report_error(error)
            # Where the wait time itself fails, iterations must not become a busy loop.
            sleep(_AFTER_ERROR_S)

    def run_iteration(self) -> None:
        # TaskSet's, with the calls that it makes written out: this runs for every task.
        user, tasks = self.user, self.tasks
        if self._queue or not tasks:
            entry = self._queue.popleft() if self._queue else self.get_next_task()
        else:
            entry = tasks[int(random() * len(tasks))] if len(tasks) > 1 else tasks[0]
        if user.is_stopping:
            raise StopUser
        started = monotonic()
        try:
            # Nearly all tasks are methods that are marked with @task.
            if type(entry) is FunctionType:
                entry(user)
            else:
                self.execute_task(entry)
        except GreenletExit as error:
            # It is interrupted, and counted as that.
            self._count_cut_off("task", entry, error, started)
            raise
        except StopUser:
            # In a wait within a TaskSet, a user that is to stop raises it.
            if not user.is_stopping:
                self._recorder.record_iteration(self._user_class)
            raise
        except BaseException:
            self._recorder.record_iteration(self._user_class)
            raise
        self._recorder.record_iteration(self._user_class)

    def execute_task(self, entry: Task) -> None:
        user = self.user
        if isinstance(entry, type) and issubclass(entry, TaskSet):
            entry(user).run()
        elif getattr(entry, "__self__", None) is user:
            entry()
        else:
            entry(user)
