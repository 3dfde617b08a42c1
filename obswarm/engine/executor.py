"""The closed model: keeps the number of users where the schedule wants it. It is told the time, and never sleeps."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from obswarm.engine.allocation import ClassWeight, allocate, spread
from obswarm.engine.rate_limiter import RateLimiter, step_towards
from obswarm.engine.schedule import LoadSchedule, LoadTarget, ReplacedLoad

_PLATEAU_STEP_S = 0.05
_ROUNDING = 1e-9
"""Of a share of the users: 29 % of 100 are 29, and not 28.999…"""


class Spawner(Protocol):
    """Where users live: the executor starts and stops them by class, and needs nothing else."""

    def spawn(self, user_class: str) -> None: ...

    def retire(self, user_class: str) -> None: ...


class Executor:
    """Moves the number of users along a schedule, class by class.

    `burst_s` is how many seconds' worth of users may be placed in one step, where the pool itself spreads them.
    `step(now)` does what is due and returns the seconds after which it wants to be called again, or None at the end
    of the schedule. Users that end by themselves are not replaced, so it counts those that it placed.
    """

    def __init__(
        self,
        schedule: LoadSchedule,
        shares: Sequence[ClassWeight],
        pool: Spawner,
        on_settled: Callable[[], None] = lambda: None,
        burst_s: float | None = None,
    ) -> None:
        self.schedule = schedule
        self.placed = {share.name: 0 for share in shares}
        self.load: LoadTarget | None = None
        self._shares = tuple(shares)
        self._pool = pool
        self._on_settled = on_settled
        self._burst_s = burst_s
        self._limiter: RateLimiter | None = None
        self._started = 0.0
        self._held_s = 0.0
        """How long earlier holds took."""
        self._held_since: float | None = None
        self._unfollowed_since: float | None = None
        self._settled_step: int | None = None
        self._exchanging = False
        """Whether users of some classes are still to be replaced by users of others."""

    @property
    def placed_users(self) -> int:
        return sum(self.placed.values())

    @property
    def holding(self) -> bool:
        return self._held_since is not None

    @property
    def is_scaled(self) -> bool:
        return isinstance(self.schedule, ReplacedLoad) and self.schedule.is_scaled

    @property
    def plan(self) -> LoadSchedule:
        """What was to be followed over the whole run."""
        return self.schedule.plan if isinstance(self.schedule, ReplacedLoad) else self.schedule

    @property
    def target(self) -> dict[str, int]:
        """Users by class that the present load is heading for."""
        if self.holding and not self.is_scaled:
            return dict(self.placed)
        if self.load is None:
            return {share.name: 0 for share in self._shares}
        return allocate(self.load.target, self._shares_of(self.load))

    @property
    def settled(self) -> bool:
        """True when no user is on the way to be started or stopped."""
        load = self.load
        if self.holding and not self.is_scaled:
            return True
        return load is not None and load.settled and self.placed_users == load.target and not self._exchanging

    def may_want_more(self, now: float) -> bool:
        """Whether there may be more users than now at some later time. Users that have ended are not replaced, so that
        there is nothing left to do without any, and without that."""
        return self.schedule.may_want_more(self.elapsed(now), self.placed_users)

    def start(
        self, now: float, elapsed_s: float = 0.0, placed: Mapping[str, int] | None = None, held_s: float = 0.0
    ) -> None:
        """Begin the schedule; or go on with one of which `elapsed_s` have passed, besides `held_s` of holds, and which
        has `placed` users by class."""
        self._started = now - elapsed_s - held_s
        self._held_s = held_s
        self.placed.update({name: number for name, number in (placed or {}).items() if name in self.placed})
        self._limiter = RateLimiter(now) if self._burst_s is None else RateLimiter(now, self._burst_s)
        self._note_unfollowed(now)

    def elapsed(self, now: float) -> float:
        """Seconds of the schedule that have passed; holds count unless the schedule stands still in them."""
        if not self.schedule.stands_still:
            return now - self._started
        return (self._held_since if self._held_since is not None else now) - self._held_s - self._started

    def unfollowed_s(self, now: float) -> float:
        """For how long the load has not followed the plan, since it is held or was scaled."""
        return 0.0 if self._unfollowed_since is None else now - self._unfollowed_since

    def hold(self, now: float) -> None:
        """Freeze the load, but for users that are to end because it was scaled. The time of stages stands still; a hold
        that goes on when as much time has passed as they were planned to take is the end of the schedule."""
        if self._held_since is None:
            self._held_since = now
            self._note_unfollowed(now)

    def release(self, now: float) -> None:
        """Go on where `hold` came."""
        if self._held_since is not None:
            self._held_s += now - self._held_since
            self._held_since = None
            self._note_unfollowed(now)

    def set_load(self, users: int, rate: float, now: float) -> None:
        """Head for that many users from now on, instead of those of the plan, until it ends."""
        self._replace(users, rate, now)

    def scale(self, share: float, now: float, ended: int = 0, not_started: int = 0) -> None:
        """Go down to a share of the users that there are now, at the rate of the present load, and stay there until
        the plan ends. Of those that were placed, `ended` have ended by themselves, and `not_started` are still to be
        started, which they are not any more. Never up: a share of a few users is
        one user at least, unless it is 0, and a scale while another one is under way does not raise that."""
        if not_started > 0:
            placed = max(0, self.placed_users - not_started)
            self._place(allocate(placed, self._shares if self.load is None else self._shares_of(self.load)), 0)
        present = max(0, self.placed_users - max(0, ended))
        kept = min(present, max(math.ceil(share), math.floor(present * share + _ROUNDING)))
        users = self.placed_users - present + kept
        if isinstance(self.schedule, ReplacedLoad) and self.schedule.is_scaled:
            users = min(users, self.schedule.users)
        self._replace(users, self.load.rate if self.load is not None else 1.0, now, is_scaled=True)

    def _replace(self, users: int, rate: float, now: float, is_scaled: bool = False) -> None:
        # What holds have taken until now is no time of the plan's.
        elapsed_s, load = self.elapsed(now), self.load
        step, classes = (0, None) if load is None else (load.step, load.user_classes)
        self.schedule = ReplacedLoad(self.plan, users, rate, is_scaled=is_scaled, step=step, user_classes=classes)
        self._started, self._held_s = now - elapsed_s, 0.0
        self._settled_step = None
        self._note_unfollowed(now)

    def _note_unfollowed(self, now: float) -> None:
        if not self.holding and not self.is_scaled:
            self._unfollowed_since = None
        elif self._unfollowed_since is None:
            self._unfollowed_since = now

    def step(self, now: float) -> float | None:
        assert self._limiter is not None, "start() comes first"
        if self.holding and not self.is_scaled:
            return None if self.schedule.is_over(now - self._started) else _PLATEAU_STEP_S
        before = self.load
        load = self.schedule.at(self.elapsed(now), self.placed_users)
        if load is None:
            return None
        self.load = load
        if before is not None and before.step != load.step and self._settled_step != before.step:
            # A stage that ends on a slope has reached its end as well.
            self._on_settled()
        self._settled_step = None if before is not None and before.step != load.step else self._settled_step

        placed = self.placed_users
        due = step_towards(placed, load.position)
        allowed = self._limiter.allowed(now, load.rate)
        moves = min(abs(due), allowed)
        placed += moves if due > 0 else -moves
        self._limiter.take(self._place(allocate(placed, self._shares_of(load)), allowed))
        if self.settled and self._settled_step != load.step:
            self._settled_step = load.step
            self._on_settled()
        if self._exchanging:
            return self._limiter.wait(0.0, load.rate)
        if due == 0 and load.settled:
            return _PLATEAU_STEP_S
        missing = 1 - abs(load.position - placed) % 1 if due == 0 else 0.0
        return self._limiter.wait(missing, load.rate)

    def _shares_of(self, load: LoadTarget) -> Sequence[ClassWeight]:
        if load.user_classes is None:
            return self._shares
        return [share for share in self._shares if share.name in load.user_classes]

    def _place(self, wanted: dict[str, int], allowed: int) -> int:
        """Start and stop users to be where it is wanted, with so many starts at most: a load that goes from some
        classes to others has users of the one stopped as those of the other start. Gives how many have moved."""
        changes = {name: wanted.get(name, 0) - present for name, present in self.placed.items()}
        starts = spread(allowed, {name: change for name, change in changes.items() if change > 0})
        ends = {name: -change for name, change in changes.items() if change < 0}
        stops = spread(self.placed_users + sum(starts.values()) - sum(wanted.values()), ends)
        for name, number in starts.items():
            for _ in range(number):
                self._pool.spawn(name)
            self.placed[name] += number
        for name, number in stops.items():
            for _ in range(number):
                self._pool.retire(name)
            self.placed[name] -= number
        self._exchanging = any(wanted.get(name, 0) != present for name, present in self.placed.items())
        return max(sum(starts.values()), sum(stops.values()))
