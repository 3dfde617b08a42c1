"""`environment.runner`: the run, with Locust's names of attributes and methods."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import gevent
from gevent.pool import Group

from obswarm.api import Environment, ObswarmError, StatsError, StatsView, User
from obswarm.api.request import note_cut_off
from obswarm.engine.control import StopReason
from obswarm.engine.messages import CustomMessage, MessageListeners
from obswarm.record import RunState, Snapshot, StopKind
from obswarm.units import format_names


class RunnerUsers(Protocol):
    """The users of a process, as its runner starts and stops them on behalf of the load test."""

    def spawn_user(self, user_class: str) -> User | None:
        """Start a user beside those of the load; None if its class refuses that."""

    def retire_users(self, user_class: str, number: int) -> None:
        """Stop users of a class, after their current tasks. They are not replaced."""

    def user_greenlets(self) -> Sequence[gevent.Greenlet]:
        """Return the greenlets of all users; the first argument of each is its user."""


class UserGreenlets:
    """`runner.user_greenlets`: the greenlets of the users that there are at the moment. See gevent.pool.Group."""

    def __init__(self, present: Callable[[], Sequence[gevent.Greenlet]]) -> None:
        self._present = present

    @property
    def greenlets(self) -> set[gevent.Greenlet]:
        return set(self._present())

    def __len__(self) -> int:
        return len(self._present())

    def __iter__(self) -> Iterator[gevent.Greenlet]:
        return iter(tuple(self._present()))

    def __contains__(self, greenlet: object) -> bool:
        return greenlet in self._present()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the present users have ended, for `timeout` seconds at most. Returns whether they have."""
        present = self._present()
        return len(gevent.joinall(present, timeout)) == len(present)


class Runner:
    """The interface of listeners and users to the run, in any process."""

    worker_index = 0
    """Index of this process among the N processes with users, from 0 to N-1."""

    client_id = "local"

    def __init__(self, environment: Environment, messages: MessageListeners, users: RunnerUsers | None = None) -> None:
        """`users` are those of this process; None for a master, which has none."""
        self.environment = environment
        self._messages = messages
        self._users = users
        self.greenlet = Group()
        """For greenlets of the load test, which end with the run."""
        self.current_cpu_usage = 0.0
        """Of this process, in percent of a core."""
        self.current_memory_usage = 0
        """Of this process, in bytes."""
        self.cpu_warning_emitted = False
        self.connection_broken = False

    def register_message(self, msg_type: str, listener: Callable[..., Any], concurrent: bool = False) -> None:
        """Call `listener(environment, msg)` for messages of that type; `msg` has type, data and node_id. With
        `concurrent`, in a separate greenlet, so that a slow listener does not delay other messages.

        Earlier messages are delivered, too, until the listeners of test_start have run, in a separate greenlet; users
        start after that."""
        self._messages.register(msg_type, listener, concurrent)

    @property
    def custom_messages(self) -> dict[str, tuple[Callable[..., Any], bool]]:
        """Listeners by type of message, and whether each is `concurrent`."""
        return self._messages.registered

    def deliver(self, message: CustomMessage) -> None:
        """Pass a received message to its listener."""
        self._messages.deliver(message)

    @property
    def stats(self) -> StatsView:
        return self.environment.stats

    @property
    def errors(self) -> dict[str, StatsError]:
        return self.stats.errors

    def log_exception(self, node_id: str, msg: str, formatted_tb: str) -> None:
        """Count an exception with its traceback as text, as those of tasks are."""
        self.environment.recorder.record_exception(msg, formatted_tb)

    @property
    def user_classes(self) -> list[type[User]]:
        return self.environment.user_classes

    @property
    def user_classes_by_name(self) -> dict[str, type[User]]:
        return self.environment.user_classes_by_name

    @property
    def user_greenlets(self) -> UserGreenlets:
        """The greenlets of the users in this process."""
        return UserGreenlets(lambda: () if self._users is None else self._users.user_greenlets())

    def spawn_users(self, user_classes_spawn_count: Mapping[str, int], wait: bool = False) -> list[User]:
        """Start users in this process, beside those of the load, by the name of their class; with `wait`, wait until
        all users have ended. Returns the new ones. Raises ObswarmError for an unknown class, and on a master."""
        users = self._users_of(user_classes_spawn_count, "spawn_users")
        started = [users.spawn_user(name) for name, count in user_classes_spawn_count.items() for _ in range(count)]
        if wait:
            self.user_greenlets.join()
        return [user for user in started if user is not None]

    def stop_users(self, user_classes_stop_count: Mapping[str, int]) -> None:
        """Stop users of this process, by the name of their class; they are not replaced. Raises as `spawn_users`."""
        users = self._users_of(user_classes_stop_count, "stop_users")
        for name, count in user_classes_stop_count.items():
            users.retire_users(name, count)

    def _users_of(self, counts: Mapping[str, int], what: str) -> RunnerUsers:
        if self._users is None:
            raise ObswarmError(f"runner.{what}: this process has no users; use runner.start, or call it on a worker.")
        unknown = [name for name in counts if name not in self.user_classes_by_name]
        if unknown:
            known = format_names(list(self.user_classes_by_name))
            raise ObswarmError(f"runner.{what}: {format_names(unknown)} is not a user class of the run; {known} are.")
        return self._users

    def _end_caller(self) -> None:
        """End the user that calls this, if it is one of this process: nothing after the call is executed, also in a
        `request` listener, which runs in the user's greenlet."""
        if self._users is not None and gevent.getcurrent() in self._users.user_greenlets():
            ended = gevent.GreenletExit()
            # The task ends by its own wish.
            note_cut_off(ended)
            raise ended

    def close(self) -> None:
        """End the greenlets of `greenlet`, without waiting for them; called after the end of the run."""
        self.greenlet.kill(block=False)

    def cpu_log_warning(self) -> bool:
        """Return whether this process has been the bottleneck of the run."""
        return self.cpu_warning_emitted


class RunnerControl(Protocol):
    """The part of a run that its runner uses."""

    @property
    def shown_state(self) -> RunState:
        """The state as the load test sees it: within an event, that of Locust."""

    @property
    def spawn_rate(self) -> float:
        """Users per second."""

    def user_counts(self) -> Mapping[str, int]: ...

    def user_targets(self) -> Mapping[str, int]: ...

    def latest(self) -> Snapshot: ...

    def set_load(self, users: int, spawn_rate: float, user_classes: tuple[str, ...] | None = None) -> None: ...

    def stop(self, reason: StopReason) -> None: ...


class SteeringRunner(Runner):
    """The runner of the process that controls the run: the only process, or the master."""

    shape_last_tick: Any = None
    """The last value of the shape's `tick`."""

    def __init__(
        self,
        run: RunnerControl,
        environment: Environment,
        messages: MessageListeners,
        users: RunnerUsers | None = None,
    ) -> None:
        super().__init__(environment, messages, users)
        self._run = run
        self.final_user_classes_count: dict[str, int] = {}
        """Number of users by class when the run began to stop."""

    def quit(self) -> None:
        """Stop the run gracefully and end the process. A user that calls it ends there."""
        self._run.stop(StopReason(StopKind.USER, "the load-test file called runner.quit()"))
        self._end_caller()

    def stop(self) -> None:
        """Do the same as `quit`."""
        self._run.stop(StopReason(StopKind.USER, "the load-test file called runner.stop()"))
        self._end_caller()

    def start(
        self, user_count: int, spawn_rate: float, wait: bool = False, user_classes: Sequence[type[User]] | None = None
    ) -> None:
        """Set the target number of users, and the classes that they are of. With `wait`, return when they are there, or
        the run stops. Raises ObswarmError for a class that the run does not have."""
        unknown = [cls.__name__ for cls in user_classes or () if cls not in self.user_classes]
        if unknown:
            raise ObswarmError(f"runner.start: {format_names(unknown)} is not a user class of the run.")
        names = None if user_classes is None else tuple(cls.__name__ for cls in user_classes)
        self._run.set_load(user_count, spawn_rate, names)
        while wait and self.user_count != user_count and self._run.shown_state in _GOES_ON:
            gevent.sleep(_WAIT_S)

    @property
    def worker_cpu_warning_emitted(self) -> bool:
        """Whether a worker has been the bottleneck of the run."""
        return False

    @property
    def spawn_rate(self) -> float:
        """Users per second."""
        return self._run.spawn_rate

    @property
    def user_count(self) -> int:
        return sum(self.user_classes_count.values())

    @property
    def user_classes_count(self) -> dict[str, int]:
        return dict(self._run.user_counts())

    @property
    def target_user_count(self) -> int:
        return sum(self.target_user_classes_count.values())

    @property
    def target_user_classes_count(self) -> dict[str, int]:
        return dict(self._run.user_targets())

    @property
    def state(self) -> str:
        return str(self._run.shown_state)

    @property
    def exceptions(self) -> dict[int, dict[str, Any]]:
        """Exceptions of the load test's code by a key: count, msg, traceback, nodes."""
        return {
            hash(key): {"count": found.count, "msg": found.message, "traceback": found.traceback, "nodes": {"local"}}
            for key, found in self._run.latest().exceptions.items()
        }


_GOES_ON = (RunState.READY, RunState.SPAWNING, RunState.RUNNING, RunState.HOLDING)
_WAIT_S = 0.02


class LocalRunner(SteeringRunner):
    """The runner of a run without workers; messages are delivered to this process, as in Locust."""

    worker_count = 1

    def send_message(self, msg_type: str, data: Any = None, client_id: str | None = None) -> None:
        self.deliver(CustomMessage(msg_type, data, self.client_id))
