"""Selects the process that executes a run: this one, the master of a running stack, or the one of --master."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from obswarm.api import ObswarmError
from obswarm.config import RunConfig, Source
from obswarm.stack import Project
from obswarm.stack.project import HOST_NAME
from obswarm.streams import echo


@dataclass(frozen=True, slots=True)
class Master:
    """A master service, and how its machine or container reaches this one.

    `where` is its description in messages. The master has the folder of `loadtest`, so its files need not be sent.
    `host_name` is the name of this machine for the master, if loopback addresses are different there; `services` has
    the addresses for the master of what listens on ports of this machine.
    """

    url: str
    token: str
    where: str
    loadtest: Path | None = None
    host_name: str | None = None
    services: Mapping[int, str] = field(default_factory=dict)
    prometheus_url: str | None = None
    """URL of the master's Prometheus for this process."""
    gateway: str | None = None
    """Address at which the master's containers reach this machine."""
    verify: bool = True
    """Whether its certificate is verified."""
    is_own: bool = False
    """Whether it belongs to a stack on this machine, so that no proxy is used."""
    how_to_stay: str = ""
    """Part of a message: how to run in this process instead, if the master was not chosen explicitly."""
    workers: int = 0
    """Expected number of workers; a run waits for those that are still connecting."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of load tests on the master, which may need them when they are imported by this process."""


def master_of(project: Project) -> Master:
    """Return the master of a stack of `obswarm up`."""
    loadtest = Path(project.loadtest) if project.loadtest else None
    services = {project.ports["contest_load_balancer_http"]: "load-balancer:18080"} if project.demo else {}
    environment = {name: value for name, value in project.variables().items() if name == "OBSWARM_SIGNING_KEY"}
    return Master(
        url=project.web_url,
        token=project.api_token,
        where=f"the stack {project.name}",
        is_own=True,
        how_to_stay=", because it is running; use --local to run in this process",
        loadtest=loadtest,
        host_name=HOST_NAME,
        services=services,
        prometheus_url=f"http://127.0.0.1:{project.ports['prometheus']}",
        gateway=project.gateway,
        workers=project.workers,
        environment={**project.environment, **(environment if project.demo else {})},
    )


def find_master(config: RunConfig) -> Master | None:
    """Return the master service that executes the run, None for this process. Raises ObswarmError if a requested master
    does not respond."""
    cluster = config.cluster
    local, workers, url = (config.origin(name).source.value for name in ("local", "workers", "master"))
    if cluster.master is not None and workers > url:
        echo(f"Note: {config.label('master')} is not used, because of {config.label('workers')}.", err=True)
        return None
    if cluster.master is not None:
        if not cluster.api_token:
            raise ObswarmError(
                "--master needs --api-token (or OBSWARM_API_TOKEN), which the master printed when it started."
            )
        return Master(cluster.master, cluster.api_token, f"the master at {cluster.master}")
    named = config.origin("project").source
    if (cluster.local and local >= named.value) or workers > named.value:
        return None
    project = Project.named(cluster.project)
    if project.exists:
        # Most machines have no stack, and need no HTTP client and no Docker then.
        from obswarm.app.stack_master import unreachable_reason

        reason = unreachable_reason(project)
        if reason is None:
            return master_of(project)
    else:
        reason = "it was not started"
    if named is Source.DEFAULT:
        return None
    raise ObswarmError(
        f"The stack {project.name} is not running ({reason}). Start it with: obswarm up --project {project.name}"
    )
