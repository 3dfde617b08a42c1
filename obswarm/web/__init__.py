"""HTTP server of a run: metrics, alerts, and the API of a master service; and the client of that API."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.web.alerts import PATH as ALERTS_PATH
    from obswarm.web.alerts import AlertsApp
    from obswarm.web.client import MasterClient, MasterError
    from obswarm.web.connections import BoundedServer
    from obswarm.web.run_request import BadRunRequest, RunRequest
    from obswarm.web.runs import RUNS_PATH, SERVICE_PATH, RunEvents, RunEventsHandler, RunService, ServiceBusy
    from obswarm.web.runs_application import RunsApp
    from obswarm.web.server import PORT, Application, WebServer

__all__ = [
    "ALERTS_PATH",
    "PORT",
    "RUNS_PATH",
    "SERVICE_PATH",
    "AlertsApp",
    "Application",
    "BadRunRequest",
    "BoundedServer",
    "MasterClient",
    "MasterError",
    "RunEvents",
    "RunEventsHandler",
    "RunRequest",
    "RunService",
    "RunsApp",
    "ServiceBusy",
    "WebServer",
]
