"""What `obswarm run` exports while it runs: /metrics for scrapers, and pushes by remote write."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import gevent

from obswarm.cli.access import access_in, given_option
from obswarm.cli.guarding import Guarding
from obswarm.cli.options import is_http_url
from obswarm.cli.run_options import REMOTE_WRITE
from obswarm.clock import monotonic
from obswarm.defaults import MAX_NAME_LENGTH
from obswarm.engine import Output, RunHandle, RunResult
from obswarm.greenlets import Supervisor
from obswarm.http import naming_by_options
from obswarm.metrics import MetricsApp, Receiver, RemoteWriter, SnapshotRegistry, parse_labels
from obswarm.redact import redact_url
from obswarm.sanitize import is_clean
from obswarm.stats import Snapshot
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
        guarding: Guarding,
        serves_already: bool = False,
    ) -> None:
        self._serves_already = serves_already
        self._guarding = guarding
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
        told = [(f"Metrics for Prometheus: {self.url}", ""), self._guarding.notice(self._server.url)]
        return told if self._server.notice is None else [(self._server.notice, ""), *told]

    def _give_the_end(self, longest_s: float) -> None:
        """To scrapers and the receiver. Without a result the receiver hears at least that the series have ended."""
        if self._writer is not None:
            self._writer.push_final(self._final, longest_s)
        if self._final is not None:
            self._server.wait_for_the_last_scrape(self._ended_s, longest_s)


def exports(
    options: dict[str, Any],
    ctx: click.Context,
    guarding: Guarding,
    server: WebServer | None = None,
    folder: Path | None = None,
) -> Export:
    """What the options ask for; on a server that serves already, if there is one. Paths are relative to the folder, if
    one is named. Raises click's errors for what cannot be, and ObswarmError."""
    try:
        labels = parse_labels(options["labels"])
    except ValueError as error:
        raise click.BadParameter(f"{error}.", ctx, param_hint="--label") from None
    latest = SnapshotRegistry()
    writer = None
    if options["remote_write"]:
        receiver = _receiver(options, ctx, folder)
        instance = options["remote_write_instance"]
        if instance is not None and (not instance or not is_clean(instance) or len(instance) > MAX_NAME_LENGTH):
            raise click.BadParameter(
                f"write a name without control characters, of at most {MAX_NAME_LENGTH} characters.",
                ctx,
                param_hint="--remote-write-instance",
            )
        writer = RemoteWriter(receiver, latest, labels, options["remote_write_interval"], instance=instance)
    useless = given_option(options, REMOTE_WRITE)
    if useless is None and options["remote_write_instance"]:
        useless = "--remote-write-instance"
    if useless is not None and writer is None:
        raise click.UsageError(f"{useless} needs --remote-write URL.", ctx)
    if server is not None:
        server.metrics = MetricsApp(latest, labels)
        server.applications[ALERTS_PATH] = guarding.app
        return Export(server, latest, writer, options["linger"], guarding, serves_already=True)
    applications: dict[str, Application] = {ALERTS_PATH: guarding.app}
    server = WebServer(
        MetricsApp(latest, labels),
        options["metrics_addr"],
        options["web_port"],
        applications,
        allowed_hosts=options["allowed_hosts"],
    )
    return Export(server, latest, writer, options["linger"], guarding)


def _receiver(options: dict[str, Any], ctx: click.Context, folder: Path | None) -> Receiver:
    url: str = options["remote_write"]
    if not is_http_url(url):
        raise click.BadParameter(
            f"{redact_url(url)!r} is not a URL; write it like http://prometheus:9090/api/v1/write.",
            ctx,
            param_hint="--remote-write",
        )
    access = access_in(options, REMOTE_WRITE, folder)
    naming = naming_by_options(REMOTE_WRITE)
    access.check(naming)
    access.check_files(naming)
    return Receiver(url, access)
