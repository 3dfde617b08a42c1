"""The users of one process: starts them, stops them gracefully, and kills them after a timeout."""

import logging
from collections import Counter
from collections.abc import Callable

import gevent
from gevent.event import Event

from obswarm import clock
from obswarm.api import Environment, ObswarmError, StopTest, StopUser, User
from obswarm.greenlets import NOT_ONLY_EXCEPTIONS
from obswarm.killed import Supervised, is_killed
from obswarm.stats import UserTrack
from obswarm.units import counted

logger = logging.getLogger(__name__)

_ON_STOP_GRACE_S = 5.0
"""Maximum time for on_stop of killed users, in seconds."""


class UserPool:
    """Greenlets of users. `on_error` is called with an error that ends the run, `on_stop_test` when a user raises
    StopTest."""

    def __init__(
        self,
        environment: Environment,
        on_error: Callable[[ObswarmError], None],
        on_stop_test: Callable[[], None],
    ) -> None:
        self._environment = environment
        self._classes: dict[str, type[User]] = {cls.__name__: cls for cls in environment.user_classes}
        self._on_error = on_error
        self._on_stop_test = on_stop_test
        self._alive: dict[User, gevent.Greenlet] = {}
        self._active: dict[str, dict[User, None]] = {name: {} for name in self._classes}
        self._kill_at: dict[User, float] = {}
        self._empty = Event()
        self._empty.set()
        self.track = UserTrack()
        self.spawned = 0

    def counts(self) -> dict[str, int]:
        """Return the number of running users by class, including those that are stopping."""
        found = Counter(type(user).__name__ for user in self._alive)
        return {name: found.get(name, 0) for name in self._classes}

    def __len__(self) -> int:
        return len(self._alive)

    @property
    def active(self) -> int:
        """Number of running users, without those that are stopping."""
        return sum(map(len, self._active.values()))

    def spawn(self, user_class: str) -> None:
        self.spawned += 1
        try:
            user = self._classes[user_class](self._environment)
        except ObswarmError as error:
            self._on_error(error)
            return
        except StopTest:
            self._on_stop_test()
            return
        except StopUser:
            return
        except gevent.GreenletExit as error:
            if is_killed():
                raise
            self._environment.called_code_raised(user_class, error)
            return
        except NOT_ONLY_EXCEPTIONS as error:
            # The class's __init__ is code of the load test, like a task.
            self._environment.called_code_raised(user_class, error)
            return
        self._empty.clear()
        self._active[user_class][user] = None
        greenlet = self._alive[user] = Supervised.spawn(self._live, user)
        # A link instead of `finally` in _live, which is not executed if the greenlet is killed before it runs.
        greenlet.rawlink(lambda _: self._forget(user))
        self.track.change(len(self._alive), clock.monotonic())

    def _live(self, user: User) -> None:
        try:
            user.run()
        except StopTest:
            self._on_stop_test()
        except ObswarmError as error:
            self._on_error(error)
        except gevent.GreenletExit:
            pass
        except NOT_ONLY_EXCEPTIONS as error:
            user.report_error(error)

    def _forget(self, user: User) -> None:
        self._alive.pop(user, None)
        self.track.change(len(self._alive), clock.monotonic())
        self._active[type(user).__name__].pop(user, None)
        self._kill_at.pop(user, None)
        if not self._alive:
            self._empty.set()
        try:
            close = getattr(user.client, "close", None)
            if close is not None:
                close()
        except (*NOT_ONLY_EXCEPTIONS, gevent.GreenletExit) as error:
            # Links run in the hub, where no other code would catch it.
            self._environment.called_code_raised(f"{type(user).__name__}.client.close()", error)

    def retire(self, user_class: str) -> None:
        """Stop the newest user of a class: after its current task, or at once if it is waiting between tasks."""
        active = self._active[user_class]
        if active:
            user, _ = active.popitem()
            self._stop(user)

    def _stop(self, user: User) -> None:
        user.is_stopping = True
        self._kill_at[user] = clock.monotonic() + self._environment.stop_timeout
        greenlet = self._alive.get(user)
        if greenlet is not None and user.is_waiting:
            greenlet.kill(block=False)

    def kill_overdue(self) -> None:
        """Kill stopping users whose stop timeout is over."""
        now = clock.monotonic()
        for user, due in list(self._kill_at.items()):
            if now >= due:
                del self._kill_at[user]
                if user in self._alive:
                    self._alive[user].kill(block=False)

    def stop_all(self, timeout_s: float) -> None:
        """Stop all users, wait up to `timeout_s` seconds, kill the rest, and wait for their on_stop. Always returns."""
        for name in self._active:
            while self._active[name]:
                self.retire(name)
        if timeout_s > 0:
            self._empty.wait(timeout_s)
        self.kill_all()
        if not self._empty.wait(_ON_STOP_GRACE_S):
            logger.warning(
                "Still in on_stop after %g s: %s; killing them", _ON_STOP_GRACE_S, counted(len(self._alive), "user")
            )
            self.kill_all()
            self._empty.wait(1)

    def kill_all(self) -> None:
        for greenlet in list(self._alive.values()):
            greenlet.kill(block=False)
