"""Which process makes a run: this one, the master of a stack that runs on this machine, or the one of --master."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from obswarm.api import ObswarmError
from obswarm.config import RunConfig, Source
from obswarm.stack import Project
from obswarm.stack.project import HOST_NAME
from obswarm.streams import say


@dataclass(frozen=True, slots=True)
class Master:
    """Where runs are asked for. The folder of `loadtest` is known there as well, so that nothing has to be sent;
    `host_name` is what this machine is called there, and `services` what is reached there under a port of this machine,
    if its loopback addresses are other ones there."""

    url: str
    token: str
    where: str
    loadtest: Path | None = None
    host_name: str | None = None
    services: Mapping[int, str] = field(default_factory=dict)
    prometheus_url: str | None = None
    """Where its Prometheus is reached from here."""
    gateway: str | None = None
    """The address of this machine at which its containers reach it."""
    is_own: bool = False
    """Whether obswarm has started it on this machine, where no proxy is needed."""
    how_to_stay: str = ""
    """How to have it made here, for who has not asked for another master."""
    workers: int = 0
    """How many it is to have; a run waits a moment for those that are not connected yet."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What load tests find in their environment there, and may ask for while they are imported here."""


def master_of(project: Project) -> Master:
    """The one of a stack of `obswarm up`."""
    loadtest = Path(project.loadtest) if project.loadtest else None
    services = {project.ports["contest_load_balancer_http"]: "load-balancer:18080"} if project.demo else {}
    environment = {name: value for name, value in project.variables().items() if name == "OBSWARM_SIGNING_KEY"}
    return Master(
        url=project.web_url,
        token=project.api_token,
        where=f"the stack {project.name}",
        is_own=True,
        how_to_stay=", because it is running; --local has it made here",
        loadtest=loadtest,
        host_name=HOST_NAME,
        services=services,
        prometheus_url=f"http://127.0.0.1:{project.ports['prometheus']}",
        gateway=project.gateway,
        workers=project.workers,
        environment={**project.environment, **(environment if project.demo else {})},
    )


def find_master(config: RunConfig) -> Master | None:
    """Return the master that makes the run, None for this process. Raises ObswarmError when it is to be one that does
    not answer."""
    cluster = config.cluster
    local, workers, url = (config.origin(name).source.value for name in ("local", "workers", "master"))
    if cluster.master is not None and workers > url:
        say(f"Note: {config.label('master')} is not used, because of {config.label('workers')}.", err=True)
        return None
    if cluster.master is not None:
        if not cluster.api_token:
            raise ObswarmError(
                "--master needs --api-token (or OBSWARM_API_TOKEN), which the master showed when it started."
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
