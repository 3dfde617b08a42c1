"""What a run serves over HTTP, and what asks for runs there."""

from obswarm.web.alerts import PATH as ALERTS_PATH
from obswarm.web.alerts import AlertsApp
from obswarm.web.client import MasterClient, MasterError
from obswarm.web.connections import BoundedServer
from obswarm.web.order import BadOrder, Order
from obswarm.web.runs import RUNS_PATH, STATUS_PATH, News, NewsHandler, RunDesk, RunsApp
from obswarm.web.server import PORT, Application, WebServer

__all__ = [
    "ALERTS_PATH",
    "PORT",
    "RUNS_PATH",
    "STATUS_PATH",
    "AlertsApp",
    "Application",
    "BadOrder",
    "BoundedServer",
    "MasterClient",
    "MasterError",
    "News",
    "NewsHandler",
    "Order",
    "RunDesk",
    "RunsApp",
    "WebServer",
]
