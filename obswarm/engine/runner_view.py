"""`environment.runner`: the run under the names that load-test files know from Locust."""

from typing import TYPE_CHECKING, Any

from obswarm.api import Environment, StatsView
from obswarm.engine.control import StopReason

if TYPE_CHECKING:
    from obswarm.engine.run import LocalRun


class RunnerView:
    """What listeners and users may ask of the run, and tell it."""

    def __init__(self, run: "LocalRun", environment: Environment) -> None:
        self._run = run
        self.environment = environment

    def quit(self) -> None:
        """Stop the run gracefully and end the process."""
        self._run.stop(StopReason("user", "the load-test file called runner.quit()"))

    def stop(self) -> None:
        """As `quit`: without a web page there is nothing left to do for the process."""
        self._run.stop(StopReason("user", "the load-test file called runner.stop()"))

    def start(self, user_count: int, spawn_rate: float, wait: bool = False, user_classes: Any = None) -> None:
        """Head for that many users."""
        self._run.set_load(user_count, spawn_rate)

    @property
    def user_count(self) -> int:
        return sum(self.user_classes_count.values())

    @property
    def user_classes_count(self) -> dict[str, int]:
        return self._run.user_counts()

    @property
    def target_user_count(self) -> int:
        return sum(self._run.user_targets().values())

    @property
    def state(self) -> str:
        return str(self._run.state)

    @property
    def stats(self) -> StatsView:
        return self.environment.stats

    @property
    def exceptions(self) -> dict[str, Any]:
        return {
            key: {"count": found.count, "msg": found.message, "traceback": found.traceback, "nodes": ["local"]}
            for key, found in self._run.latest().exceptions.items()
        }
