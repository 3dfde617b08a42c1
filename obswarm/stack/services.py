"""State of a project's services, and waiting until all are healthy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gevent

from obswarm import clock
from obswarm.stack.docker_engine import Engine, StackError
from obswarm.stack.preflight import published

_LOOK_EVERY_S = 0.5
_LOG_LINES = 5
_RESTARTS = 3
"""Number of failed starts after which a service has failed for good."""


@dataclass(frozen=True, slots=True)
class Service:
    """A container of a service. `health`: healthy, starting, unhealthy, or empty without a health check or if it is not
    running."""

    name: str
    number: int
    state: str
    health: str
    exit_code: int
    ports: tuple[int, ...]
    container: Any

    @property
    def is_fine(self) -> bool:
        return self.state == "running" and self.health in ("healthy", "")

    @property
    def numbered(self) -> str:
        return f"{self.name} {self.number}" if self.number > 1 else self.name

    @property
    def has_failed(self) -> bool:
        """Whether it will not become healthy without intervention."""
        if self.state == "restarting":
            return bool(self.container.attrs.get("RestartCount", 0) >= _RESTARTS)
        return self.state in ("exited", "dead") or self.health == "unhealthy"

    @property
    def shown(self) -> str:
        """Its state as text."""
        if self.state == "running":
            return self.health or "running"
        return f"{self.state}, exit code {self.exit_code}" if self.state in ("exited", "dead") else self.state


def services_of(engine: Engine, project: str) -> list[Service]:
    """Return the project's containers by service name and number."""
    found = []
    for container in engine.containers(project):
        state = container.attrs["State"]
        labels = container.labels
        found.append(
            Service(
                name=labels.get("com.docker.compose.service", container.name),
                number=int(labels.get("com.docker.compose.container-number", 1)),
                state=state["Status"],
                health=(state.get("Health") or {}).get("Status", "") if state["Status"] == "running" else "",
                exit_code=state.get("ExitCode", 0),
                ports=tuple(sorted(published(container))),
                container=container,
            )
        )
    return sorted(found, key=lambda service: (service.name, service.number))


def wait_until_healthy(
    engine: Engine, project: str, longest_s: float, progress: Callable[[list[Service]], None]
) -> list[Service]:
    """Wait until all services are healthy, calling `progress` on each change. Raises StackError with the name and the
    last log lines of a service that is not."""
    deadline = clock.monotonic() + longest_s
    last: list[tuple[str, int, str]] = []
    while True:
        services = services_of(engine, project)
        now = [(service.name, service.number, service.shown) for service in services]
        if now != last:
            progress(services)
            last = now
        if services and all(service.is_fine for service in services):
            return services
        check_failures(services)
        if clock.monotonic() > deadline:
            late = next((each for each in services if not each.is_fine), None)
            raise _not_healthy(late) if late is not None else StackError("Compose started no services.")
        gevent.sleep(_LOOK_EVERY_S)


def check_failures(services: Sequence[Service]) -> None:
    """Raise StackError with the last log lines of a service that has failed."""
    failed = next((each for each in services if each.has_failed), None)
    if failed is not None:
        raise _not_healthy(failed)


def _not_healthy(service: Service) -> StackError:
    heading = f"The service {service.name} is not healthy ({service.shown}). Its last lines:"
    return StackError("\n".join((heading, *_last_log_lines(service))))


def _last_log_lines(service: Service) -> list[str]:
    lines = service.container.logs(tail=_LOG_LINES).decode("utf-8", "replace").splitlines()
    return [f"  {line}" for line in lines] or ["  (no output)"]
