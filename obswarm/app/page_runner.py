"""`environment.runner` of a process that makes one run after the other: listeners and routes of the load test see the
same runner before, during and after each run."""

from collections.abc import Callable

from obswarm.api import Environment
from obswarm.cluster import FleetGenerator, MasterRunner, RunSpec, WorkerRegistry
from obswarm.engine import LoadGenerator, LocalGenerator, LocalRunner, MessageListeners, PresentRun

StartLoad = Callable[[int, float], None]
"""Starts a run with a number of users and a spawn rate. Raises ObswarmError."""


class StartingRun(PresentRun):
    """Starts a run when a load is set without one."""

    def __init__(self, start: StartLoad) -> None:
        super().__init__()
        self._start = start

    def set_load(self, users: int, spawn_rate: float, user_classes: tuple[str, ...] | None = None) -> None:
        """Change the load of the run, or start one."""
        if self.run is None:
            self._start(users, spawn_rate)
        else:
            super().set_load(users, spawn_rate, user_classes)


class LocalPageRunner(LocalRunner):
    """With users in this process."""

    def drive(self, generator: LoadGenerator) -> None:
        """Show the users of a run's generator."""
        assert isinstance(generator, LocalGenerator)
        self._users = generator

    def close(self) -> None:
        """The end of a run is not that of the runner."""


class MasterPageRunner(MasterRunner):
    """With users in workers, which are other ones in each run."""

    def drive(self, generator: LoadGenerator) -> None:
        """Show the workers of a run's generator."""
        assert isinstance(generator, FleetGenerator)
        self._registry = generator.registry

    def close(self) -> None:
        """The end of a run is not that of the runner."""


def page_runner(
    environment: Environment, control: PresentRun, messages: MessageListeners, has_workers: bool
) -> "LocalPageRunner | MasterPageRunner":
    """Return the runner of an environment, which shows no run yet."""
    if not has_workers:
        return LocalPageRunner(control, environment, messages)
    return MasterPageRunner(control, environment, messages, WorkerRegistry(RunSpec("", b"", None, ""), _Nobody()))


class _Nobody:
    """A socket without peers."""

    def send(self, peer: bytes, frame: bytes) -> bool:
        return False
