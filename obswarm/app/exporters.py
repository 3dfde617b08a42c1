"""What `obswarm run` exports while it runs: /metrics for scrapers, and pushes by remote write."""

from contextlib import ExitStack
from pathlib import Path

import gevent

from obswarm.api import ObswarmError
from obswarm.app.guards_setup import GuardsSetup
from obswarm.app.sources import api_access, is_http_url, useless_option
from obswarm.clock import monotonic
from obswarm.config import RunConfig
from obswarm.defaults import MAX_NAME_LENGTH
from obswarm.engine import Output, RunHandle, RunResult
from obswarm.greenlets import Supervisor
from obswarm.http import naming_by_options
from obswarm.metrics import MetricsApp, Receiver, RemoteWriter, SnapshotRegistry, parse_labels
from obswarm.record import Snapshot
from obswarm.redact import redact_url
from obswarm.sanitize import is_clean
from obswarm.web import ALERTS_PATH, Application, WebServer


class Export(Output):
    """Both, and the server. `close` waits for the last scrape and push of a run that has ended."""

    name = "The metrics endpoint"

    def __init__(
        self,
        server: WebServer,
        latest: SnapshotRegistry,
        writer: RemoteWriter | None,
        linger_s: float,
        guards: GuardsSetup,
        serves_already: bool = False,
    ) -> None:
        self._serves_already = serves_already
        self._guards = guards
        self._server = server
        self._writer = writer
        self._linger_s = linger_s
        self._stack = ExitStack()
        self._final: Snapshot | None = None
        self._ended_s = 0.0
        self._waiting: gevent.Greenlet | None = None
        self._in_a_hurry = False
        self._failure: BaseException | None = None
        self.outputs: list[Output] = [latest, self] if writer is None else [latest, writer, self]

    def start(self, run: RunHandle) -> None:
        if not self._serves_already:
            self._stack.enter_context(self._server)

    def finish(self, result: RunResult) -> None:
        self._final = result.final
        self._ended_s = monotonic()

    def close(self) -> None:
        longest_s = 0.0 if self._in_a_hurry else self._linger_s
        try:
            self._waiting = Supervisor(self._part_failed).spawn("The last push", self._give_the_end, longest_s)
            self._waiting.join()
            if self._failure is not None:
                raise self._failure
        finally:
            self._stack.close()

    def _part_failed(self, what: str, error: BaseException) -> None:
        self._failure = error

    def cut_short(self) -> None:
        """Wait for nobody (any more), but for a receiver that takes the last push at once."""
        self._in_a_hurry = True
        if self._waiting is not None:
            self._waiting.kill(block=False)

    @property
    def url(self) -> str:
        return f"{self._server.url}/metrics"

    @property
    def notices(self) -> list[tuple[str, str]]:
        """What to tell at the start: texts, each with what of it is a secret."""
        told = [(f"Metrics for Prometheus: {self.url}", ""), self._guards.notice(self._server.url)]
        return told if self._server.notice is None else [(self._server.notice, ""), *told]

    def _give_the_end(self, longest_s: float) -> None:
        """To scrapers and the receiver. Without a result the receiver hears at least that the series have ended."""
        if self._writer is not None:
            self._writer.push_final(self._final, longest_s)
        if self._final is not None:
            self._server.wait_for_the_last_scrape(self._ended_s, longest_s)


def exporters_of(
    config: RunConfig, guards: GuardsSetup, server: WebServer | None = None, folder: Path | None = None
) -> Export:
    """Set up what the configuration asks for; on a server that serves already, if there is one. Paths are relative to
    the folder, if one is named. Raises ObswarmError for what cannot be."""
    metrics = config.metrics
    try:
        labels = parse_labels(metrics.labels)
    except ValueError as error:
        raise ObswarmError(f"--label: {error}.") from None
    latest = SnapshotRegistry()
    writer = None
    if metrics.remote_write:
        receiver = _receiver(config, metrics.remote_write, folder)
        instance = metrics.remote_write_instance
        if instance is not None and (not instance or not is_clean(instance) or len(instance) > MAX_NAME_LENGTH):
            raise ObswarmError(
                "--remote-write-instance: write a name without control characters, of at most"
                f" {MAX_NAME_LENGTH} characters."
            )
        writer = RemoteWriter(receiver, latest, labels, metrics.remote_write_interval, instance=instance)
    useless = useless_option(config, "remote_write")
    if useless is not None and writer is None:
        raise ObswarmError(f"{useless} needs --remote-write URL.")
    if server is not None:
        server.metrics = MetricsApp(latest, labels)
        server.applications[ALERTS_PATH] = guards.app
        return Export(server, latest, writer, metrics.linger, guards, serves_already=True)
    applications: dict[str, Application] = {ALERTS_PATH: guards.app}
    server = WebServer(
        MetricsApp(latest, labels),
        metrics.metrics_addr,
        metrics.web_port,
        applications,
        allowed_hosts=metrics.allowed_hosts,
    )
    return Export(server, latest, writer, metrics.linger, guards)


def _receiver(config: RunConfig, url: str, folder: Path | None) -> Receiver:
    if not is_http_url(url):
        raise ObswarmError(
            f"--remote-write: {redact_url(url)!r} is not a URL; write it like http://prometheus:9090/api/v1/write."
        )
    access = api_access(config.metrics.remote_write_access, folder)
    naming = naming_by_options("remote-write")
    access.check(naming)
    access.check_files(naming)
    return Receiver(url, access)
