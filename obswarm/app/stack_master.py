"""Whether the master of a stack on this machine responds."""

import gevent

from obswarm import clock
from obswarm.stack import Engine, Project, StackError, services_of
from obswarm.web import MasterClient, MasterError

_PROBE_S = 2.0
_STARTS_S = 20.0
_AGAIN_S = 0.3


def unreachable_reason(project: Project) -> str | None:
    """Return why the stack's master does not respond, None if it does. Waits up to 20 s while its container starts."""
    client = MasterClient(project.web_url, project.api_token, trust_env=False)
    until_s = clock.monotonic() + _STARTS_S
    while True:
        try:
            client.status(timeout_s=_PROBE_S)
            return None
        except MasterError as error:
            if clock.monotonic() > until_s or not _is_up(project):
                return str(error)
        gevent.sleep(_AGAIN_S)


def _is_up(project: Project) -> bool:
    """Whether the container of the stack's master is running or restarting."""
    try:
        engine = Engine()
    except StackError:
        return False
    try:
        services = services_of(engine, project.name)
    except engine.failures:
        return False
    return any(each.name == "master" and each.state in ("running", "restarting") for each in services)
