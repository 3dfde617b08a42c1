"""What the services of a project do, and waiting until they are all healthy."""

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
"""So many starts that failed are no accident any more."""


@dataclass(frozen=True, slots=True)
class Service:
    """One container. `health` is healthy, starting or unhealthy; empty for one without a check, or that does not
    run."""

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
        """Whether waiting is of no use."""
        if self.state == "restarting":
            return bool(self.container.attrs.get("RestartCount", 0) >= _RESTARTS)
        return self.state in ("exited", "dead") or self.health == "unhealthy"

    @property
    def shown(self) -> str:
        """Its state for people."""
        if self.state == "running":
            return self.health or "running"
        return f"{self.state}, exit code {self.exit_code}" if self.state in ("exited", "dead") else self.state


def services_of(engine: Engine, project: str) -> list[Service]:
    """By name and number."""
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
    """Calls `progress` whenever something has changed. Raises StackError that says which service is not, with its last
    words."""
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
            raise _not_healthy(late) if late is not None else StackError("Compose has started no service.")
        gevent.sleep(_LOOK_EVERY_S)


def check_failures(services: Sequence[Service]) -> None:
    """Raises StackError with the last words of a service that has failed."""
    failed = next((each for each in services if each.has_failed), None)
    if failed is not None:
        raise _not_healthy(failed)


def _not_healthy(service: Service) -> StackError:
    heading = f"The service {service.name} is not healthy ({service.shown}). Its last lines:"
    return StackError("\n".join((heading, *_last_words(service))))


def _last_words(service: Service) -> list[str]:
    lines = service.container.logs(tail=_LOG_LINES).decode("utf-8", "replace").splitlines()
    return [f"  {line}" for line in lines] or ["  (it said nothing)"]
