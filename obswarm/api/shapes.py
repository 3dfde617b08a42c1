"""How the load changes over a run: Locust's LoadTestShape, and stages written as text."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from obswarm import clock
from obswarm.api.errors import ObswarmError
from obswarm.units import format_limit, parse_duration


class Stage(NamedTuple):
    """A straight line from wherever the load is to `users`, in `duration_s` seconds."""

    duration_s: float
    users: int


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Parse stages such as `30s:100,2m:500,30s:0`. Raises ValueError with a sentence that names the faulty part."""
    stages = []
    for number, part in enumerate(text.split(","), start=1):
        duration, colon, users = part.strip().partition(":")
        where = f"stage {number} ({part.strip()!r})"
        if not colon:
            raise ValueError(f"{where} has no colon; write stages as DURATION:USERS, for example 30s:100,2m:500,30s:0")
        try:
            seconds = parse_duration(duration)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if not users.strip().isdecimal():
            raise ValueError(f"{where}: {users.strip()!r} is not a number of users")
        stages.append(Stage(seconds, int(users)))
    if not any(stage.duration_s > 0 for stage in stages):
        raise ValueError("the stages last 0s altogether; give at least one of them a duration")
    return tuple(stages)


def format_stages(stages: Sequence[Stage]) -> str:
    """Return stages as the text that parse_stages reads."""
    return ",".join(f"{format_limit(stage.duration_s)}:{stage.users}" for stage in stages)


class LoadTestShape:
    """Subclass it and define `tick` to decide once a second how many users there are.

    The run ends when it returns None, or after --run-time. `use_common_options = True` leaves --users, --spawn-rate and
    --run-time to the shape's own use.
    """

    abstract: bool = True
    use_common_options: bool = False
    runner: Any = None
    """The run's runner, once the run has started."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "abstract" not in cls.__dict__:
            cls.abstract = False

    def __init__(self) -> None:
        self.start_time = clock.monotonic()

    def reset_time(self) -> None:
        """Reset the run time to 0; called when the run starts."""
        self.start_time = clock.monotonic()

    def get_run_time(self) -> float:
        """Return the seconds since the run started."""
        return clock.monotonic() - self.start_time

    def get_current_user_count(self) -> int:
        return int(self.runner.user_count) if self.runner is not None else 0

    def tick(self) -> Any:
        """Override: (users, spawn_rate) or (users, spawn_rate, [user classes]); None ends the run."""
        raise NotImplementedError(f"{type(self).__name__} has to define tick()")


class Stages(LoadTestShape):
    """Stages in the load-test file: `class Ramp(Stages): stages = "30s:100,2m:500,30s:0"`.

    The load follows straight lines between the stages' ends, rather than steps of a second.
    """

    abstract = True
    stages: str | Sequence[tuple[float | str, int]] = ""

    def parsed(self) -> tuple[Stage, ...]:
        """Return the parsed stages. Raises ObswarmError when they are invalid."""
        try:
            if isinstance(self.stages, str):
                return parse_stages(self.stages)
            return tuple(Stage(parse_duration(duration), int(users)) for duration, users in self.stages)
        except (TypeError, ValueError) as error:
            raise ObswarmError(f"{type(self).__name__}.stages: {error}") from None

    def tick(self) -> tuple[int, float] | None:
        stages = self.parsed()
        position = users_at(stages, self.get_run_time())
        return None if position is None else (round(position[0]), max(position[1], 1.0))


def users_at(stages: Sequence[Stage], elapsed_s: float, start_users: float = 0) -> tuple[float, float] | None:
    """Return the users of a load of stages at a moment, and how fast they change: (users, slope in users per second
    without sign). None after the end."""
    before = start_users
    for stage in stages:
        if elapsed_s < stage.duration_s:
            slope = (stage.users - before) / stage.duration_s
            return before + slope * elapsed_s, abs(slope)
        elapsed_s -= stage.duration_s
        before = stage.users
    return None
