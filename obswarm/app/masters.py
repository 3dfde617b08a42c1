"""Which process makes a run: this one, the master of a stack that runs on this machine, or the one of --master."""

import gevent

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.app.client import Master, master_of
from obswarm.config import RunConfig, Source
from obswarm.stack import Engine, Project, StackError, services_of
from obswarm.streams import say
from obswarm.web import MasterClient, MasterError

_PROBE_S = 2.0
_STARTS_S = 20.0
_AGAIN_S = 0.3


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
    try:
        if not project.exists:
            raise MasterError("it was not started")
        _check_that_it_answers(project)
    except MasterError as error:
        if named is Source.DEFAULT:
            return None
        raise ObswarmError(
            f"The stack {project.name} is not running ({error}). Start it with: obswarm up --project {project.name}"
        ) from None
    return master_of(project)


def _check_that_it_answers(project: Project) -> None:
    """Raises MasterError when the stack's master does not; one that Docker is starting is waited for."""
    client = MasterClient(project.web_url, project.api_token, trust_env=False)
    until_s = clock.monotonic() + _STARTS_S
    while True:
        try:
            client.status(timeout_s=_PROBE_S)
            return
        except MasterError:
            if clock.monotonic() > until_s or not _is_up(project):
                raise
        gevent.sleep(_AGAIN_S)


def _is_up(project: Project) -> bool:
    """Whether the container of the stack's master runs, or is started again."""
    try:
        engine = Engine()
    except StackError:
        return False
    try:
        services = services_of(engine, project.name)
    except engine.failures:
        return False
    return any(each.name == "master" and each.state in ("running", "restarting") for each in services)
