"""A generator whose users are numbers: every rule of coordination can be tested with it in milliseconds."""

from collections.abc import Callable
from typing import Any

from obswarm.api import Environment
from obswarm.engine import Assignment, GeneratorEvent, GeneratorStatus, LoadGenerator, LocalRunner, RunnerControl
from obswarm.stats import StatsTable


class StubGenerator(LoadGenerator):
    """Has as many users at once as it is assigned, less `ended`, which have ended by themselves.

    `calls` has the names of the hooks in the order in which they were called; one that is in `raises` raises that, and
    one that is in `does` does that.
    """

    collects_any_time = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.calls: list[str] = []
        self.raises: dict[str, BaseException] = {}
        self.does: dict[str, Callable[[], None]] = {}
        self.assignments: list[Assignment] = []
        self.ended = 0
        self.not_started = 0
        self.ready = True
        self.settled = True
        self.stopping: Callable[[float], None] = lambda timeout_s: None
        """Called by `stop`."""
        self.stopped_with_s: float | None = None

    def note(self, event: GeneratorEvent) -> None:
        """Something has happened to it."""
        self._note(event)

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.raises:
            raise self.raises[name]
        if name in self.does:
            self.does[name]()

    @property
    def assigned(self) -> int:
        return self.assignments[-1].user_count if self.assignments else 0

    def make_runner(self, run: RunnerControl) -> LocalRunner:
        return LocalRunner(run, self.environment, self.messages)

    def prepare(self) -> None:
        self._called("prepare")

    def is_ready(self, now: float) -> bool:
        self._called("is_ready")
        return self.ready

    def start(self) -> None:
        self._called("start")

    def apply(self, assignment: Assignment, now: float) -> None:
        self._called("apply")
        self.assignments.append(assignment)

    def has_settled(self) -> bool:
        return self.settled

    def everyone_has_left(self) -> bool:
        return self.settled and self.ended >= self.assigned

    def users_ended(self) -> int:
        return self.ended

    def users_not_started(self, now: float) -> int:
        return self.not_started

    def user_counts(self) -> dict[str, int]:
        return dict(self.assignments[-1].users) if self.assignments else {}

    def status(self, now: float) -> GeneratorStatus:
        return GeneratorStatus(self.user_counts(), in_flight=self.environment.recorder.in_flight(now))

    def refresh(self, longest_s: float) -> None:
        self._called("refresh")

    def collect(self) -> StatsTable:
        self._called("collect")
        return self.environment.recorder.take()

    def acknowledge(self) -> None:
        self._called("acknowledge")

    def end_interval(self) -> None:
        self._called("end_interval")

    def spawning_complete(self, users: int) -> None:
        self._called("spawning_complete")

    def statistics_reset(self) -> None:
        self._called("statistics_reset")

    def stop(self, timeout_s: float) -> None:
        self._called("stop")
        self.stopped_with_s = timeout_s
        self.stopping(timeout_s)
        self.assignments.clear()

    def kill(self) -> None:
        self._called("kill")

    def end(self, exit_code: int = 0) -> None:
        self._called(f"end({exit_code})")

    def close(self) -> None:
        self._called("close")


def order_of(calls: list[str], *names: Any) -> list[str]:
    """Those of the calls that have one of these names, in their order."""
    return [call for call in calls if call in names]
