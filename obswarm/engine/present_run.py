"""The run that goes on in a process which makes one run after the other."""

from collections.abc import Mapping

from obswarm.api import ObswarmError
from obswarm.engine.control import StopReason
from obswarm.engine.run import Run
from obswarm.record import RunState, Snapshot


class PresentRun:
    """The run that goes on now, as a RunnerControl; without one, what there was of the last one."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self._last: Snapshot | None = None

    def began(self, run: Run) -> None:
        """Note a new run."""
        self.run = run

    def ended(self, last: Snapshot | None) -> None:
        """Note the end of the run, with its last snapshot."""
        self._last, self.run = last, None

    @property
    def shown_state(self) -> RunState:
        if self.run is not None:
            return self.run.shown_state
        return RunState.READY if self._last is None else RunState.STOPPED

    @property
    def spawn_rate(self) -> float:
        return self.run.spawn_rate if self.run is not None else 0.0

    def user_counts(self) -> Mapping[str, int]:
        return self.run.user_counts() if self.run is not None else {}

    def user_targets(self) -> Mapping[str, int]:
        return self.run.user_targets() if self.run is not None else {}

    def latest(self) -> Snapshot:
        if self.run is not None:
            return self.run.latest()
        if self._last is None:
            raise ObswarmError("No run has been started.")
        return self._last

    def set_load(self, users: int, spawn_rate: float, user_classes: tuple[str, ...] | None = None) -> None:
        if self.run is not None:
            self.run.set_load(users, spawn_rate, user_classes)

    def stop(self, reason: StopReason) -> None:
        if self.run is not None:
            self.run.stop(reason)
