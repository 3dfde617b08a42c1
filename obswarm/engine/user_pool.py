"""The users of one process: starts them, stops them gracefully, and kills them after a timeout."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from greenlet import getcurrent

from obswarm import clock
from obswarm.api import Environment, ObswarmError, StopTest, StopUser, User
from obswarm.api.user import close_client
from obswarm.greenlets import NOT_ONLY_EXCEPTIONS
from obswarm.killed import Supervised, is_killed
from obswarm.stats import UserTrack
from obswarm.units import counted, format_limit

logger = logging.getLogger(__name__)

_ON_STOP_GRACE_S = 5.0
"""Maximum time for on_stop of killed users, in seconds."""


class _UserGreenlet(Supervised):
    """The greenlet of a user. What it needs is in slots, as arguments of a function and a closure for its end would be
    half a kilobyte for each user."""

    __slots__ = ("_live", "user")

    def __init__(self, live: Callable[[User], None], user: User) -> None:
        super().__init__()
        self._live = live
        self.user = user

    @property
    def args(self) -> tuple[User]:
        """The user, where load tests for Locust look for it."""
        return (self.user,)

    def _run(self) -> None:
        self._live(self.user)


class UserPool:
    """Greenlets of users. `on_error` is called with an error that ends the run, `on_stop_test` when a user raises
    StopTest, `on_end` with each user that has ended."""

    def __init__(
        self,
        environment: Environment,
        on_error: Callable[[ObswarmError], None],
        on_stop_test: Callable[[], None],
        on_end: Callable[[User], None] | None = None,
    ) -> None:
        self._environment = environment
        self._classes: dict[str, type[User]] = {cls.__name__: cls for cls in environment.user_classes}
        for cls in environment.user_classes:
            cls.import_client()
        self._on_error = on_error
        self._on_stop_test = on_stop_test
        self._alive: dict[User, gevent.Greenlet] = {}
        self._active: dict[str, dict[User, None]] = {name: {} for name in self._classes}
        self._kill_at: dict[User, float] = {}
        self._empty = Event()
        self._empty.set()
        # Made once: each bound method is an object.
        self._run = self._live
        self._link = self._forget
        self.track = UserTrack()
        self._on_end = on_end
        self._constructing: dict[object, type[User]] = {}
        """The classes whose constructors are running, by greenlet."""

    def current_scenario(self) -> str:
        """Return the scenario of the user whose code calls it, also in a greenlet that the user has started; empty
        without one."""
        greenlet: Any = getcurrent()
        while greenlet is not None:
            cls = type(greenlet.user) if type(greenlet) is _UserGreenlet else self._constructing.get(greenlet)
            if cls is not None:
                return "" if cls._scenario is None else str(cls._scenario.name)
            # A weak reference, which greenlets of gevent have.
            started_by = getattr(greenlet, "spawning_greenlet", None)
            greenlet = None if started_by is None else started_by()
        return ""

    def counts(self) -> dict[str, int]:
        """Return the number of running users by class, including those that are stopping."""
        found = Counter(type(user).__name__ for user in self._alive)
        return {name: found.get(name, 0) for name in self._classes}

    def __len__(self) -> int:
        return len(self._alive)

    def __contains__(self, user: User) -> bool:
        return user in self._alive

    @property
    def active(self) -> int:
        """Number of running users, without those that are stopping."""
        return sum(map(len, self._active.values()))

    @property
    def has_stopping(self) -> bool:
        """Whether users are stopping that have not ended yet."""
        return len(self._alive) > self.active

    def greenlets(self) -> list[gevent.Greenlet]:
        """Return the greenlets of all users; the first argument of each is its user."""
        return list(self._alive.values())

    def active_of(self, user_class: str) -> int:
        """Return the number of running users of a class, without those that are stopping."""
        return len(self._active[user_class])

    def spawn(self, user_class: str, prepare: Callable[[User], None] | None = None) -> User | None:
        """Start a user, after `prepare`; None if its constructor or `prepare` raises."""
        cls, caller = self._classes[user_class], getcurrent()
        self._constructing[caller] = cls
        try:
            user = cls(self._environment)
            if prepare is not None:
                prepare(user)
        except ObswarmError as error:
            self._on_error(error)
            return None
        except StopTest:
            self._on_stop_test()
            return None
        except StopUser:
            return None
        except gevent.GreenletExit as error:
            if is_killed():
                raise
            self._environment.called_code_raised(user_class, error)
            return None
        except NOT_ONLY_EXCEPTIONS as error:
            # The class's __init__ is code of the load test, like a task.
            self._environment.called_code_raised(user_class, error)
            return None
        finally:
            self._constructing.pop(caller, None)
        self._empty.clear()
        self._active[user_class][user] = None
        greenlet = self._alive[user] = user.greenlet = _UserGreenlet.spawn(self._run, user)
        # A link instead of `finally` in _live, which is not executed if the greenlet is killed before it runs.
        greenlet.rawlink(self._link)
        self.track.change(len(self._alive), clock.monotonic())
        return user

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
            user.report_end(error)

    def _forget(self, greenlet: _UserGreenlet) -> None:
        user = greenlet.user
        self._alive.pop(user, None)
        self.track.change(len(self._alive), clock.monotonic())
        self._active[type(user).__name__].pop(user, None)
        self._kill_at.pop(user, None)
        if not self._alive:
            self._empty.set()
        if self._on_end is not None:
            self._on_end(user)
        try:
            close_client(user)
        except (*NOT_ONLY_EXCEPTIONS, gevent.GreenletExit) as error:
            # Links run in the hub, where no other code would catch it.
            self._environment.called_code_raised(f"{type(user).__name__}.client.close()", error)

    def retire(self, user_class: str) -> None:
        """Stop the newest user of a class: after its current task, or at once if it is waiting between tasks."""
        active = self._active[user_class]
        if active:
            user, _ = active.popitem()
            self._stop(user)

    def stop_user(self, user: User) -> None:
        """Stop a user: after its current task, or at once if it is waiting."""
        active = self._active[type(user).__name__]
        if user in active:
            del active[user]
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
                "Still in on_stop after %s: %s; killing them",
                format_limit(_ON_STOP_GRACE_S),
                counted(len(self._alive), "user"),
            )
            self.kill_all()
            self._empty.wait(1)

    def kill_all(self) -> None:
        for greenlet in list(self._alive.values()):
            greenlet.kill(block=False)
