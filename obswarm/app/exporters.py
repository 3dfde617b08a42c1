"""Export of a run's metrics: the endpoint /metrics, and remote write."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from obswarm.api import ObswarmError
from obswarm.app.guards_setup import GuardsSetup
from obswarm.app.page_access import tls_of
from obswarm.app.sources import api_access, is_http_url, useless_option
from obswarm.clock import monotonic
from obswarm.config import RunConfig
from obswarm.defaults import MAX_NAME_LENGTH
from obswarm.engine import LingeringOutput, Output, RunHandle, RunResult
from obswarm.http import naming_by_options
from obswarm.metrics import MetricsApp, SnapshotRegistry, import_formats, parse_labels
from obswarm.redact import redact_url
from obswarm.sanitize import is_clean
from obswarm.web import ALERTS_PATH, Application, WebServer

if TYPE_CHECKING:
    from obswarm.app.page import Page
    from obswarm.metrics import OtlpMetrics, Receiver, RemoteWriter


class MetricsEndpoint(LingeringOutput):
    """Output that serves /metrics, and receives alerts. At the end it waits for a final scrape. With `serves_already`,
    the server is neither started nor stopped."""

    name = "The metrics endpoint"

    def __init__(
        self,
        server: WebServer,
        guards: GuardsSetup,
        linger_s: float,
        serves_already: bool = False,
        has_page: bool = False,
    ) -> None:
        super().__init__(linger_s)
        self._has_page = has_page
        self._server = server
        self._guards = guards
        self._serves_already = serves_already
        self._stack = ExitStack()
        self._ended_s: float | None = None

    def start(self, run: RunHandle) -> None:
        if not self._serves_already:
            self._stack.enter_context(self._server)

    def finish(self, result: RunResult) -> None:
        self._ended_s = monotonic()

    def linger(self, longest_s: float) -> None:
        if self._ended_s is not None:
            self._server.wait_for_the_last_scrape(self._ended_s, longest_s)

    def close(self) -> None:
        with self._stack:
            super().close()

    @property
    def notices(self) -> list[tuple[str, str]]:
        """Return the messages for the start of the run, each with its secret part; none on a server that was announced
        before."""
        if self._serves_already:
            return []
        notices = [(f"Page: {self._server.url}", "")] if self._has_page else []
        notices += [(f"Metrics for Prometheus: {self._server.url}/metrics", ""), self._guards.notice(self._server.url)]
        return notices if self._server.notice is None else [(self._server.notice, ""), *notices]


@dataclass(frozen=True, slots=True)
class Exporters:
    """The outputs that export a run's metrics, in the order in which they are called."""

    snapshots: SnapshotRegistry
    writer: "RemoteWriter | None"
    endpoint: MetricsEndpoint
    otlp: "OtlpMetrics | None" = None

    @property
    def outputs(self) -> list[Output]:
        return [each for each in (self.snapshots, self.writer, self.otlp, self.endpoint) if each is not None]


def exporters_of(
    config: RunConfig,
    guards: GuardsSetup,
    server: WebServer | None = None,
    folder: Path | None = None,
    page: "Page | None" = None,
) -> Exporters:
    """Set up the exporters as configured, on a running `server`, if given, or on a new one with the `page`. Paths are
    relative to `folder`, if given. Raises ObswarmError."""
    metrics = config.metrics
    try:
        labels = parse_labels(metrics.labels)
    except ValueError as error:
        raise ObswarmError(f"--label: {error}.") from None
    latest = SnapshotRegistry()
    if config.cluster.workers == 0:
        import_formats()
    writer = None
    if metrics.remote_write:
        # Few runs push, and this imports requests and protobuf.
        from obswarm.metrics import RemoteWriter

        receiver = _receiver(config, metrics.remote_write, folder)
        instance = metrics.remote_write_instance
        if instance is not None and (not instance or not is_clean(instance) or len(instance) > MAX_NAME_LENGTH):
            raise ObswarmError(
                f"--remote-write-instance: the name has to be printable, and to have 1 to {MAX_NAME_LENGTH} characters."
            )
        writer = RemoteWriter(
            receiver, latest, labels, metrics.remote_write_interval, instance=instance, linger_s=metrics.linger
        )
    otlp = None
    if metrics.otlp:
        from obswarm.metrics import otlp_metrics

        otlp = otlp_metrics(latest, labels, metrics.linger)
    useless = useless_option(config, "remote_write")
    if useless is not None and writer is None:
        raise ObswarmError(f"{useless} needs --remote-write URL.")
    if server is not None:
        server.serve({ALERTS_PATH: guards.app}, MetricsApp(latest, labels))
        return Exporters(latest, writer, MetricsEndpoint(server, guards, metrics.linger, serves_already=True), otlp)
    applications: dict[str, Application] = {ALERTS_PATH: guards.app}
    server = WebServer(
        MetricsApp(latest, labels),
        metrics.metrics_addr,
        metrics.web_port,
        applications,
        allowed_hosts=metrics.allowed_hosts,
        page=None if page is None else page.web_ui,
        tls=tls_of(config),
    )
    endpoint = MetricsEndpoint(server, guards, metrics.linger, has_page=page is not None)
    return Exporters(latest, writer, endpoint, otlp)


def _receiver(config: RunConfig, url: str, folder: Path | None) -> "Receiver":
    from obswarm.metrics import Receiver

    if not is_http_url(url):
        raise ObswarmError(
            f"--remote-write: {redact_url(url)!r} is not a URL; write it like http://prometheus:9090/api/v1/write."
        )
    access = api_access(config.metrics.remote_write_access, folder)
    naming = naming_by_options("remote-write")
    access.check(naming)
    access.check_files(naming)
    return Receiver(url, access)
