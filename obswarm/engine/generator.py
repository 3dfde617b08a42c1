"""LoadGenerator: the interface of a run to its users, in this process or on workers, and the values that it returns."""

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
    """The state of a generator for a snapshot. Users are counted by class, including those that are stopping."""

    users: Mapping[str, int] = field(default_factory=dict)
    users_max: int = 0
    """The maximum number of concurrent users so far."""
    workers: tuple[GeneratorHealth, ...] = ()
    in_flight: Mapping[EndpointKey, InFlight] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GeneratorTotals:
    """The state of a generator for the result of a run."""

    losses: tuple[WorkerLoss, ...] = ()
    refused_handshakes: int = 0
    dropped_frames: int = 0


@dataclass(frozen=True, slots=True)
class StopRequested:
    """A user or a worker requests the end of the run, or no worker is left."""

    reason: StopReason


@dataclass(frozen=True, slots=True)
class RunFailed:
    """An error of the load test, or of a worker, that ends the run."""

    error: ObswarmError


@dataclass(frozen=True, slots=True)
class GeneratorWarning:
    """A message for the user, without a full stop."""

    text: str


@dataclass(frozen=True, slots=True)
class PartFailed:
    """A greenlet that the generator depends on has ended by an exception."""

    name: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class PartRestarted:
    """A greenlet that the generator depends on has raised an exception, and was restarted."""

    name: str
    error: BaseException


GeneratorEvent = StopRequested | RunFailed | GeneratorWarning | PartFailed | PartRestarted


class LoadGenerator:
    """Base class of load generators. Override the hooks you need, and those that raise NotImplementedError; the others
    do nothing.

    The run calls, in this order: `prepare`, `is_ready` until it returns True, `start`, then `apply` for each assignment
    and, once an interval, `refresh`, `collect`, `acknowledge` and `end_interval`; at the end `stop`, `collect`, `end`
    and `close`. The generator never calls the run: it notes events, and sets `happened` when the run should take them,
    or should assign users again.
    """

    burst_s: float | None = None
    """Maximum burst of an assignment, as seconds of the spawn rate, if the generator spreads users evenly itself."""

    collects_any_time: bool = False
    """Whether `collect` may be called between the ends of intervals: it costs little and acknowledges nothing."""

    def __init__(self, environment: Environment, messages: MessageListeners | None = None) -> None:
        self.environment = environment
        self.happened = Event()
        self.messages = messages if messages is not None else MessageListeners(environment)
        """Listeners for custom messages of the load test."""
        self.supervisor = Supervisor(
            lambda name, error: self._note(PartFailed(name, error)),
            lambda name, error: self._note(PartRestarted(name, error)),
        )
        """Supervisor of the greenlets that the generator depends on."""
        self._events: list[GeneratorEvent] = []

    def _note(self, event: GeneratorEvent) -> None:
        self._events.append(event)
        self.happened.set()

    def take_events(self) -> list[GeneratorEvent]:
        """Return the events since the last call, and clear `happened`."""
        self.happened.clear()
        events, self._events = self._events, []
        return events

    @property
    def step_s(self) -> float:
        """The minimum time between two assignments, in seconds."""
        return 0.0

    def make_runner(self, run: RunnerControl) -> SteeringRunner:
        """Return the `environment.runner` of the process that drives the run."""
        raise NotImplementedError

    # Before the run.
    def prepare(self) -> None:
        """Begin the preparation that is needed before users can be started. Does not block."""

    def is_ready(self, now: float) -> bool:
        """Whether users can be started. Raises ObswarmError if that will never be possible."""
        return True

    def start(self) -> None:
        """Start the time of the run."""

    # While it goes on.
    def apply(self, assignment: Assignment, now: float) -> None:
        """Apply an assignment. Raises ObswarmError for a load that this generator cannot make."""
        raise NotImplementedError

    def has_settled(self) -> bool:
        """Whether the last assignment has been carried out, as far as is known."""
        return True

    def everyone_has_left(self) -> bool:
        """Whether the last assignment has been carried out, and all its users have stopped by themselves."""
        raise NotImplementedError

    def users_ended(self) -> int:
        """Return the number of assigned users that have stopped by themselves, as far as is known."""
        return 0

    def users_not_started(self, now: float) -> int:
        """Return the number of assigned users that have not been started yet."""
        return 0

    def user_counts(self) -> Mapping[str, int]:
        """Return the number of running users by class, including those that are stopping."""
        raise NotImplementedError

    def status(self, now: float) -> GeneratorStatus:
        """Return the present state for a snapshot."""
        return GeneratorStatus(self.user_counts())

    def refresh(self, longest_s: float) -> None:
        """Update status and statistics; may block for `longest_s` seconds."""

    def collect(self) -> StatsTable:
        """Return the measurements since the last call."""
        raise NotImplementedError

    def acknowledge(self) -> None:
        """Acknowledge that all collected measurements are stored."""

    def end_interval(self) -> None:
        """Called after each snapshot, for periodic work."""

    def spawning_complete(self, users: int) -> None:
        """Called after the listeners of `spawning_complete` in this process."""

    def statistics_reset(self) -> None:
        """Called when the statistics are reset, for `--reset-stats`."""

    # At the end.
    def stop(self, timeout_s: float) -> None:
        """Stop all users: running tasks may finish within `timeout_s` seconds. Returns when there are no users."""
        raise NotImplementedError

    def kill(self) -> None:
        """Kill all users; does not block. May be called during `stop`."""
        raise NotImplementedError

    def end(self, exit_code: int = 0) -> None:
        """End the processes of the users, after these have stopped and their statistics have been collected."""

    def totals(self) -> GeneratorTotals:
        """Return the totals for the result."""
        return GeneratorTotals()

    def close(self) -> None:
        """Release processes, sockets and greenlets."""
