"""`obswarm container-stats`: an exporter of containers' resource usage, for Prometheus to scrape."""

import logging
from typing import Any

import click
import gevent
from gevent.event import Event

from obswarm.api import ObswarmError
from obswarm.cli.option_types import bind_address
from obswarm.cli.options import option
from obswarm.ending_signals import ending_signals
from obswarm.stack import ContainersApp, ContainerStats, Engine
from obswarm.stack.containers import LABEL
from obswarm.streams import set_up_logging
from obswarm.web import BoundedServer

logger = logging.getLogger(__name__)


@click.command("container-stats")
@option(
    "--listen",
    type=bind_address,
    metavar="ADDRESS:PORT",
    default="127.0.0.1:9101",
    show_default=True,
    help="Address on which /metrics is served.",
)
@option(
    "--label",
    metavar="NAME[=VALUE]",
    default=LABEL,
    show_default=True,
    help="Docker label of the containers to export.",
    envvar=None,
)
def container_stats(**options: Any) -> None:
    """Export the resource usage of containers to Prometheus.

    Only containers with the label of --label are exported. The metrics are CPU time, CPU throttling, memory and network
    traffic. Runs until Ctrl-C.
    """
    set_up_logging("INFO")
    engine = Engine()
    watch = ContainerStats(engine, options["label"])
    app = ContainersApp(watch)
    server = BoundedServer(options["listen"], app)
    try:
        server.start()
    except OSError as error:
        address, port = options["listen"]
        raise ObswarmError(f"--listen {address}:{port}: cannot listen on it: {error.strerror}.") from None
    ended = Event()
    for kind in ending_signals():
        gevent.signal_handler(kind, ended.set)
    logger.info("Metrics of containers with the label %s: http://%s:%d/metrics", options["label"], *options["listen"])
    ended.wait()
    server.stop(timeout=1)
    watch.close()
