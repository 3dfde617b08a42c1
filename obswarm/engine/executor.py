"""The closed model: keeps the number of users where the profile wants it. It is told the time, and never sleeps."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from obswarm.engine.allocation import Share, allocate, spread
from obswarm.engine.profile import Load, Profile
from obswarm.engine.spawner import Pace, step_towards

_PLATEAU_STEP_S = 0.05


class Crowd(Protocol):
    """Where users live: the executor starts and stops them by class, and needs nothing else."""

    def spawn(self, user_class: str) -> None: ...

    def retire(self, user_class: str) -> None: ...


class Executor:
    """Moves the number of users along a profile, class by class.

    `burst_s` is how many seconds' worth of users may be placed in one step, where the crowd itself spreads them.
    `step(now)` does what is due and returns the seconds after which it wants to be called again, or None at the end
    of the profile. Users that end by themselves are not replaced, so it counts those that it placed.
    """

    def __init__(
        self,
        profile: Profile,
        shares: Sequence[Share],
        crowd: Crowd,
        on_settled: Callable[[], None] = lambda: None,
        burst_s: float | None = None,
    ) -> None:
        self.profile = profile
        self.placed = {share.name: 0 for share in shares}
        self.load: Load | None = None
        self.holding = False
        self._shares = tuple(shares)
        self._crowd = crowd
        self._on_settled = on_settled
        self._burst_s = burst_s
        self._pace: Pace | None = None
        self._started = 0.0
        self._held_since: float | None = None
        self._settled_step: int | None = None
        self._exchanging = False
        """Whether users of some classes are still to be replaced by users of others."""

    @property
    def placed_users(self) -> int:
        return sum(self.placed.values())

    @property
    def target(self) -> dict[str, int]:
        """Users by class that the present load is heading for."""
        if self.load is None:
            return {share.name: 0 for share in self._shares}
        return allocate(self.load.target, self._shares_of(self.load)) if not self.holding else dict(self.placed)

    @property
    def settled(self) -> bool:
        """True when no user is on the way to be started or stopped."""
        load = self.load
        if self.holding:
            return True
        return load is not None and load.settled and self.placed_users == load.target and not self._exchanging

    def may_want_more(self, now: float) -> bool:
        """Whether there may be more users than now at some later time. Users that have ended are not replaced, so that
        there is nothing left to do without any, and without that."""
        return self.profile.may_want_more(self.elapsed(now), self.placed_users)

    def start(self, now: float, elapsed_s: float = 0.0, placed: Mapping[str, int] | None = None) -> None:
        """Begin the profile; or go on with one that began `elapsed_s` ago and has `placed` users by class."""
        self._started = now - elapsed_s
        self.placed.update({name: number for name, number in (placed or {}).items() if name in self.placed})
        self._pace = Pace(now) if self._burst_s is None else Pace(now, self._burst_s)

    def elapsed(self, now: float) -> float:
        """Seconds of the profile that have passed; the time of holds does not count."""
        return (self._held_since if self._held_since is not None else now) - self._started

    def hold(self, now: float) -> None:
        """Freeze the load; the profile's time stands still."""
        if self._held_since is None:
            self._held_since = now
            self.holding = True

    def release(self, now: float) -> None:
        """Go on where `hold` came."""
        if self._held_since is not None:
            self._started += now - self._held_since
            self._held_since = None
            self.holding = False

    def replace(self, profile: Profile, now: float) -> None:
        """Follow another profile from now on, whose time begins at 0; the users that are there stay."""
        self.profile = profile
        self._settled_step = None
        self._started = now
        self._held_since = None
        self.holding = False

    def step(self, now: float) -> float | None:
        assert self._pace is not None, "start() comes first"
        if self.holding:
            return _PLATEAU_STEP_S
        before = self.load
        load = self.profile.at(self.elapsed(now), self.placed_users)
        if load is None:
            return None
        self.load = load
        if before is not None and before.step != load.step and self._settled_step != before.step:
            # A stage that ends on a slope has reached its end as well.
            self._on_settled()
        self._settled_step = None if before is not None and before.step != load.step else self._settled_step

        placed = self.placed_users
        due = step_towards(placed, load.position)
        allowed = self._pace.allowed(now, load.rate)
        moves = min(abs(due), allowed)
        placed += moves if due > 0 else -moves
        self._pace.take(self._place(allocate(placed, self._shares_of(load)), allowed))
        if self.settled and self._settled_step != load.step:
            self._settled_step = load.step
            self._on_settled()
        if self._exchanging:
            return self._pace.wait(0.0, load.rate)
        if due == 0 and load.settled:
            return _PLATEAU_STEP_S
        missing = 1 - abs(load.position - placed) % 1 if due == 0 else 0.0
        return self._pace.wait(missing, load.rate)

    def _shares_of(self, load: Load) -> Sequence[Share]:
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
                self._crowd.spawn(name)
            self.placed[name] += number
        for name, number in stops.items():
            for _ in range(number):
                self._crowd.retire(name)
            self.placed[name] -= number
        self._exchanging = any(wanted.get(name, 0) != present for name, present in self.placed.items())
        return max(sum(starts.values()), sum(stops.values()))
