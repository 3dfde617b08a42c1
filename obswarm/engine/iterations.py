"""Iterations of the open model in one process: starts each at its time, with a free user or a new one."""

import math
import sys
from collections import deque
from collections.abc import Iterator, Mapping

import gevent
from gevent.event import Event
from greenlet import getcurrent

from obswarm import clock
from obswarm.api import Environment, StopUser, User
from obswarm.engine.arrival_schedule import ArrivalSchedule, gaps_of
from obswarm.engine.executor import Assignment
from obswarm.engine.iteration_grants import IterationGrants
from obswarm.engine.user_pool import UserPool
from obswarm.stats import GENERATOR_BEHIND, NO_FREE_USER, RUN_STOPPED, USER_FAILED

_BEHIND_S = 1.0
"""Iterations that are later than this are dropped: after a pause of the process, they would be a burst."""
_LONGEST_WAIT_S = 60.0
_LATE_BEGIN_S = 0.25
"""If the first rate is assigned later than this, what was due before is left out: it would be a burst."""
_SAME_END_S = 0.1
"""Ends that differ by less are the same: messages take varying times, and starts and end are to be of one message."""


class IterationUsers:
    """The users of the classes with a rate of iterations: each runs one iteration after the other when they are due,
    and is free in between. An IterationSource of its users."""

    is_schedule = True

    def __init__(self, environment: Environment, pool: UserPool) -> None:
        self._recorder = environment.recorder
        self._pool = pool
        self._hub = gevent.get_hub()
        self._free: dict[str, list[User]] = {}
        self._number: dict[str, int] = {}
        """Users by class, those that are starting or ending included."""
        self._due: dict[User, float] = {}
        """Intended start of an iteration that a user is to begin next, by user."""
        self._delays: dict[object, float] = {}
        """Seconds by which the running iteration has started late, by greenlet."""
        self.max_users: dict[str, int] = {}
        """By class; without an entry there is no limit."""
        self.has_stopped = False
        """Whether no more users may be started."""
        self._grants: IterationGrants | None = None
        self._awaiting: dict[str, deque[float]] = {}
        """Intended starts of iterations that wait for a grant, by class."""

    def use_grants(self, grants: IterationGrants) -> None:
        """Begin iterations of limited number when they are granted. Those that are due after the last one are neither
        begun nor counted as dropped."""
        self._grants = grants
        grants.call_at_answers(self._granted)

    def use(self) -> None:
        """Have all requests of iterations recorded with an intended start."""
        self._recorder.measure_from_intended_starts(self._start_delay)

    def _start_delay(self) -> float | None:
        return self._delays.get(getcurrent())

    def limit(self, max_users: Mapping[str, int]) -> None:
        """Set the maximum number of users of classes by name. They may be started again, after a `stop`."""
        self.max_users.update(max_users)
        self.has_stopped = False

    def stop(self) -> None:
        """Start no more users and iterations."""
        self.has_stopped = True
        for user_class, starts in self._awaiting.items():
            self._forget_awaiting(user_class, starts)

    def start(self, user_class: str, intended_s: float, now: float) -> None:
        """Start an iteration that was due at `intended_s`; count it as dropped if that is impossible."""
        grants = self._grants
        if grants is None or not grants.limits(user_class):
            self._start(user_class, intended_s, now)
            return
        starts = self._awaiting.setdefault(user_class, deque())
        if not starts and grants.take(user_class):
            self._start(user_class, intended_s, now)
        elif grants.may_come(user_class):
            starts.append(intended_s)
            grants.note_due(user_class, 1)

    def _granted(self, user_classes: tuple[str, ...]) -> None:
        """Start the iterations of these classes that have waited for a grant, in turn; forget them if there is none."""
        assert self._grants is not None
        waiting = {name: starts for name in user_classes if (starts := self._awaiting.get(name))}
        while waiting:
            for name, starts in list(waiting.items()):
                if not self._grants.take(name):
                    self._forget_awaiting(name, starts)
                else:
                    self._grants.note_due(name, -1)
                    self._start(name, starts.popleft(), clock.monotonic())
                if not starts:
                    del waiting[name]

    def _forget_awaiting(self, user_class: str, starts: deque[float]) -> None:
        assert self._grants is not None
        self._grants.note_due(user_class, -len(starts))
        starts.clear()

    def _drop(self, user_class: str, reason: str) -> None:
        self._recorder.record_dropped(user_class, reason)
        if self._grants is not None and self._grants.limits(user_class):
            self._grants.finish(user_class, is_done=False)

    def _start(self, user_class: str, intended_s: float, now: float) -> None:
        if self.has_stopped:
            self._drop(user_class, RUN_STOPPED)
            return
        if now - intended_s > _BEHIND_S:
            self._drop(user_class, GENERATOR_BEHIND)
            return
        free = self._free.setdefault(user_class, [])
        while free:
            user = free.pop()
            if not user.is_stopping and user in self._pool:
                self._due[user] = intended_s
                greenlet = user.greenlet
                assert greenlet is not None
                self._hub.loop.run_callback(greenlet.switch)
                return
        if self._number.get(user_class, 0) >= self.max_users.get(user_class, sys.maxsize):
            self._drop(user_class, NO_FREE_USER)
            return
        # Counted first, as a constructor may block, while further iterations are started.
        self._number[user_class] = self._number.get(user_class, 0) + 1
        if self._pool.spawn(user_class, lambda user: self._prepare(user, intended_s)) is None:
            self._could_not_start(user_class)

    def _could_not_start(self, user_class: str) -> None:
        self._number[user_class] -= 1
        self._drop(user_class, RUN_STOPPED if self.has_stopped else USER_FAILED)

    def _prepare(self, user: User, intended_s: float) -> None:
        if self.has_stopped:
            # Its constructor was blocking, and all others have been stopped.
            raise StopUser
        user.run_when_due(self)
        self._due[user] = intended_s

    def ended(self, user: User) -> None:
        """Note the end of a user's greenlet."""
        if user._iterations is not self:
            return
        name = type(user).__name__
        self._number[name] -= 1
        if self._due.pop(user, None) is not None:
            self._drop(name, RUN_STOPPED if user.is_stopping else USER_FAILED)

    def retire_surplus(self) -> None:
        """Stop free users beyond the maximum number."""
        for name, free in self._free.items():
            for _ in range(min(len(free), self._number.get(name, 0) - self.max_users.get(name, sys.maxsize))):
                self._pool.stop_user(free.pop(0))

    # IterationSource.
    def begin(self, user: User) -> None:
        """Wait until the user's next iteration is due, and begin it."""
        if user not in self._due:
            self._free.setdefault(type(user).__name__, []).append(user)
            user.is_waiting = True
            try:
                self._hub.switch()
            finally:
                user.is_waiting = False
        if user.is_stopping:
            # It stays due, so that it is counted.
            raise StopUser
        self._delays[getcurrent()] = max(0.0, clock.monotonic() - self._due.pop(user))

    def finish(self, user: User, is_done: bool) -> None:
        """End the iteration that has begun."""
        self._delays.pop(getcurrent(), None)
        name = type(user).__name__
        if self._grants is not None and self._grants.limits(name):
            self._grants.finish(name, is_done)


class Arrivals:
    """Starts the iterations of each user class at its rate. `index` is the number of this process in its run."""

    def __init__(self, environment: Environment, users: IterationUsers) -> None:
        self._classes = environment.user_classes_by_name
        self._users = users
        self._schedules: dict[str, ArrivalSchedule] = {}
        self.index = 0
        self.changed = Event()
        """Set when a rate has changed."""

    @property
    def has_begun(self) -> bool:
        """Whether there has been a rate."""
        return bool(self._schedules)

    def names(self) -> Iterator[str]:
        """Return the user classes that have had a rate."""
        return iter(self._schedules)

    def assign(self, assignment: Assignment, now: float) -> None:
        """Set the rates of iterations, the maximum number of users, and the end of the iterations of user classes."""
        rates, ends = assignment.rates, assignment.ends
        if any(rates.values()):
            self._users.limit(assignment.max_users)
        for name in {**self._schedules, **rates}:
            rate = rates.get(name, 0.0)
            schedule, since = self._schedules.get(name), now
            if schedule is None:
                begin = assignment.begins.get(name, now)
                since = begin if now - begin < _LATE_BEGIN_S else now
                arrivals, seed = self._classes[name]._arrivals
                schedule = self._schedules[name] = ArrivalSchedule(since, *gaps_of(arrivals, seed, name, self.index))
                self._users.use()
            end_s = ends.get(name, math.inf)
            if not abs(end_s - schedule.end_s) < _SAME_END_S:
                schedule.end_s = end_s
                self.changed.set()
            if rate != schedule.rate:
                self._start(name, schedule.set_rate(rate, since), now)
                self.changed.set()
        self._users.retire_surplus()

    def stop(self, now: float) -> None:
        """Start the iterations that are due by now, and no more of them."""
        for name, schedule in self._schedules.items():
            self._start(name, schedule.set_rate(0.0, now), now)
        self._users.stop()

    def _start(self, name: str, due: list[float], now: float) -> None:
        for intended_s in due:
            # The constructor of a user may have taken its time.
            self._users.start(name, intended_s, max(now, clock.monotonic()))

    def start_due(self, now: float) -> float:
        """Start the iterations that are due now; returns the seconds until the next ones are."""
        next_s = now + _LONGEST_WAIT_S
        for name, schedule in list(self._schedules.items()):
            self._start(name, schedule.take_due(now), now)
            next_s = min(next_s, schedule.next_s())
        return next_s - now

    def keep(self) -> None:
        """Start iterations at their times, for ever."""
        while True:
            wait_s = self.start_due(clock.monotonic())
            if self.changed.wait(max(0.0, wait_s)):
                self.changed.clear()
