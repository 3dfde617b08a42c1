"""The HTTP server of a master service: its API, the page, alerts and metrics at one address."""

import os
from collections.abc import Iterable
from typing import Any

from obswarm.app.idle_alerts import IdleAlerts
from obswarm.app.page_access import tls_of
from obswarm.app.run_service import MasterRunService
from obswarm.app.service_page import ServicePage
from obswarm.config import RunConfig
from obswarm.metrics import MetricsApp, SnapshotRegistry
from obswarm.web import ALERTS_PATH, PORT, RunsApp, WebServer

_SOCKET = "OBSWARM_INHERITED_SOCKET"


class ServiceServer(WebServer):
    """The server; the first process of a service listens, later ones take over its socket. Raises ObswarmError."""

    def __init__(
        self, config: RunConfig, token: str, runs: MasterRunService, alerts: IdleAlerts, page: ServicePage
    ) -> None:
        """`token` is the bearer token of the API of `runs`."""
        inherited = os.environ.pop(_SOCKET, None)
        self.is_first = inherited is None
        self._runs = RunsApp(runs, token)
        self._service_page = page
        super().__init__(
            MetricsApp(SnapshotRegistry(lambda: len(runs.idle_workers), lambda: alerts.refused)),
            config.metrics.metrics_addr,
            PORT if config.metrics.web_port is None else config.metrics.web_port,
            {"/healthz": _healthy, ALERTS_PATH: alerts.app},
            int(inherited) if inherited is not None else None,
            config.metrics.allowed_hosts,
            page=self._route,
            tls=tls_of(config),
        )

    def _route(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if not self._service_page.is_served or self._runs.serves(method, path):
            return self._runs(environ, start_response)
        return self._service_page.page.web_ui(environ, start_response)

    def pass_on(self) -> None:
        """Have the next process take over the socket."""
        os.environ[_SOCKET] = str(self.hand_over())


def _healthy(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
