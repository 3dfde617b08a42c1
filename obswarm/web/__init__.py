"""What a run serves over HTTP."""

from obswarm.web.alerts import PATH as ALERTS_PATH
from obswarm.web.alerts import AlertsApp
from obswarm.web.server import PORT, Application, WebServer

__all__ = ["ALERTS_PATH", "PORT", "AlertsApp", "Application", "WebServer"]
