"""LoadGenerator: where the users of a run live. What a run tells it, and the values that it answers with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gevent.event import Event

from obswarm.api import Environment, ObswarmError
from obswarm.engine.control import StopReason
from obswarm.engine.executor import Assignment
from obswarm.engine.messages import MessageListeners
from obswarm.engine.result import WorkerLoss
from obswarm.engine.runner_view import RunnerControl, SteeringRunner
from obswarm.greenlets import Supervisor
from obswarm.record import GeneratorHealth
from obswarm.stats import EndpointKey, InFlight, StatsTable


@dataclass(frozen=True, slots=True)
class GeneratorStatus:
    """What a snapshot says of a generator. Users are counted by class, those on their way out included."""

    users: Mapping[str, int] = field(default_factory=dict)
    users_max: int = 0
    """The most users at a time so far."""
    workers: tuple[GeneratorHealth, ...] = ()
    in_flight: Mapping[EndpointKey, InFlight] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GeneratorTotals:
    """What the result of a run says of its generator."""

    losses: tuple[WorkerLoss, ...] = ()
    refused_handshakes: int = 0
    dropped_frames: int = 0


@dataclass(frozen=True, slots=True)
class StopRequested:
    """A user or a worker asks for the end of the run, or the generator has nothing left to make load with."""

    reason: StopReason


@dataclass(frozen=True, slots=True)
class RunFailed:
    """An error of the load test, or of a worker, that ends the run."""

    error: ObswarmError


@dataclass(frozen=True, slots=True)
class GeneratorWarning:
    """A sentence for people, without a full stop."""

    text: str


@dataclass(frozen=True, slots=True)
class PartFailed:
    """A greenlet that the generator depends on has ended by an exception."""

    name: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class PartRestarted:
    """A greenlet that the generator depends on has raised an exception, and was started again."""

    name: str
    error: BaseException


GeneratorEvent = StopRequested | RunFailed | GeneratorWarning | PartFailed | PartRestarted


class LoadGenerator:
    """Base class of what makes the load of a run. Override the hooks you need, and those that raise NotImplementedError
    here; the others do nothing.

    The run calls, in this order: `prepare`, `is_ready` until it returns True, `start`, then `apply` for each assignment
    and, once an interval, `refresh`, `collect`, `acknowledge` and `end_interval`; at the end `stop`, `collect`, `end`
    and `close`. The generator never calls the run: it notes events, and sets `happened` when the run should look at
    them, or should assign users anew.
    """

    burst_s: float | None = None
    """Seconds' worth of new users that one assignment may have, where the generator spreads them evenly by itself."""

    collects_any_time: bool = False
    """Whether `collect` may be called between the ends of intervals: it costs little and acknowledges nothing."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.happened = Event()
        self.messages = MessageListeners(environment)
        """Of the load test's own, for its runner."""
        self.supervisor = Supervisor(
            lambda name, error: self._note(PartFailed(name, error)),
            lambda name, error: self._note(PartRestarted(name, error)),
        )
        """For what the generator depends on."""
        self._events: list[GeneratorEvent] = []

    def _note(self, event: GeneratorEvent) -> None:
        self._events.append(event)
        self.happened.set()

    def take_events(self) -> list[GeneratorEvent]:
        """Return what has happened since the last call, and clear `happened`."""
        self.happened.clear()
        events, self._events = self._events, []
        return events

    @property
    def step_s(self) -> float:
        """The shortest time between two assignments, in seconds."""
        return 0.0

    def make_runner(self, run: RunnerControl) -> SteeringRunner:
        """Return the `environment.runner` of the process that drives the run."""
        raise NotImplementedError

    # Before the run.
    def prepare(self) -> None:
        """Begin with what has to be there before users can be started. Does not wait for it."""

    def is_ready(self, now: float) -> bool:
        """Whether users can be started. Raises ObswarmError when they never will."""
        return True

    def start(self) -> None:
        """Time zero of the run."""

    # While it goes on.
    def apply(self, assignment: Assignment, now: float) -> None:
        """Make this load from now on. Raises ObswarmError for a load that this generator cannot make."""
        raise NotImplementedError

    def has_settled(self) -> bool:
        """Whether the last assignment has been carried out, as far as is known."""
        return True

    def everyone_has_left(self) -> bool:
        """Whether the last assignment has been carried out, and no user of it lives any more."""
        raise NotImplementedError

    def users_ended(self) -> int:
        """How many assigned users have ended by themselves, as far as is known."""
        return 0

    def users_not_started(self, now: float) -> int:
        """How many assigned users have not been started yet."""
        return 0

    def user_counts(self) -> Mapping[str, int]:
        """Living users by class, those on their way out included."""
        raise NotImplementedError

    def status(self, now: float) -> GeneratorStatus:
        """Return what a snapshot of this moment says of the generator."""
        return GeneratorStatus(self.user_counts())

    def refresh(self, longest_s: float) -> None:
        """Bring the status and the statistics up to date; may wait for `longest_s` seconds."""

    def collect(self) -> StatsTable:
        """Return what was measured since the last call."""
        raise NotImplementedError

    def acknowledge(self) -> None:
        """All that was collected is safe."""

    def end_interval(self) -> None:
        """A snapshot has been given out: look after what depends on time."""

    def spawning_complete(self, users: int) -> None:
        """The listeners of `spawning_complete` have been called in this process."""

    def statistics_reset(self) -> None:
        """The statistics begin anew, for `--reset-stats`."""

    # At the end.
    def stop(self, timeout_s: float) -> None:
        """Let running tasks finish within `timeout_s` seconds, then end them. Returns when there are no users."""
        raise NotImplementedError

    def kill(self) -> None:
        """End all users at once; does not wait. May be called while `stop` waits."""
        raise NotImplementedError

    def end(self, exit_code: int = 0) -> None:
        """The users have ended, and their statistics have been collected: end what they ran in."""

    def totals(self) -> GeneratorTotals:
        """Return what the result says of the generator."""
        return GeneratorTotals()

    def close(self) -> None:
        """Give back what the generator holds: processes, sockets, greenlets."""
