"""`obswarm master --serve`: a master that stays, and makes the runs that it is asked for, one after the other.

Each run has a process of its own: the service becomes a new one when an order has come, so that nothing of an earlier
load test is in its memory, and hands itself the listening socket, so that nobody is refused meanwhile. An order is on
the disk before it is accepted; a service that is started again goes on with its run.
"""

import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any

import click
import gevent
from gevent import signal_handler
from gevent.event import AsyncResult

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.cli import exit_codes
from obswarm.cli.exporting import exports
from obswarm.cli.guarding import guarding_of
from obswarm.cli.loading import files_of, output_of, plan
from obswarm.cli.raw_options import as_arguments, given_options
from obswarm.cli.session import Terminal, set_up_logging
from obswarm.cluster import CurveKeys, FleetRun, Lobby, start_over, tcp_endpoint
from obswarm.engine import RunResult, StopReason
from obswarm.greenlets import Supervisor
from obswarm.guards import Alert, BadPayload, make_payload, parse_payload
from obswarm.metrics import Latest, MetricsApp
from obswarm.web import (
    ALERTS_PATH,
    PORT,
    RUNS_PATH,
    STATUS_PATH,
    AlertsApp,
    BadOrder,
    News,
    NewsHandler,
    Order,
    RunDesk,
    RunsApp,
    WebServer,
)

logger = logging.getLogger(__name__)

_SOCKET = "OBSWARM_INHERITED_SOCKET"
_LONGEST_WAIT_FOR_WORKERS = "30s"
_CLIENT_GONE_S = 30.0
_FETCH_S = 3.0
"""How long the last client gets to fetch the end of a run before the process becomes a new one."""

_ADDRESSES = "obswarm.cli.session"
"""Says where metrics and alerts are served, which is another address for clients."""

Conduct = Callable[..., tuple[RunResult, int]]


def state_file_of(options: dict[str, Any]) -> Path:
    """Where a master remembers its run."""
    return Path(options["state_file"] or f".obswarm/master-{options['bind'][1]}.run")


class Service:
    """`run` returns when a signal has ended it. `conduct` makes one run (see obswarm.cli.master)."""

    def __init__(self, ctx: click.Context, options: dict[str, Any], keys: CurveKeys | None, conduct: Conduct) -> None:
        self._ctx = ctx
        self._options = options
        self._keys = keys
        self._conduct = conduct
        self._state = state_file_of(options).resolve()
        self._folder = self._state.with_suffix(".order")
        self._firing = self._state.with_suffix(".alerts")
        """Alerts that were delivered between two runs and fire, for the process that makes the next one."""
        self._own = given_options(ctx, without=("files",))
        self._token, made_token = _kept("OBSWARM_API_TOKEN", options["api_token"])
        self._alerts_token, made_alerts_token = _kept("OBSWARM_ALERTS_TOKEN", options["alerts_token"])
        self._here = self._mounted(ctx.params["arguments"], options["files"])
        self._lobby: Lobby | None = None
        self._next: AsyncResult[Order | None] = AsyncResult()
        self._handler = NewsHandler(without=(_ADDRESSES,))
        self._desk = RunDesk(self._take, lambda: self._lobby.workers if self._lobby is not None else {})
        self._desk.loadtest = str(self._here) if self._here is not None else None
        inherited = os.environ.pop(_SOCKET, None)
        latest = Latest()
        latest.waiting = lambda: len(self._desk.workers())
        runs = RunsApp(self._desk, self._token)
        self._alerts = AlertsApp(None, self._alerts_token)
        self._server = WebServer(
            MetricsApp(latest),
            options["metrics_addr"],
            PORT if options["web_port"] is None else options["web_port"],
            {
                "/healthz": _healthy,
                ALERTS_PATH: self._alerts,
                STATUS_PATH: runs,
                RUNS_PATH: runs,
                f"{RUNS_PATH}/": runs,
            },
            int(inherited) if inherited is not None else None,
            options["allowed_hosts"],
        )
        self._is_first = inherited is None
        self._made = (made_token, made_alerts_token)

    def _mounted(self, arguments: tuple[str, ...], named: tuple[str, ...]) -> Path | None:
        """The load test that the service itself was started with."""
        if not arguments and not named:
            return None
        file = files_of(arguments, named)[0][0].resolve()
        if not file.is_file():
            raise ObswarmError(f"There is no load-test file {file}.")
        return file

    def run(self) -> None:
        set_up_logging(self._options["loglevel"], self._options["logfile"])
        with self._server:
            if self._is_first:
                secret, alerts_secret = (
                    f", with the bearer token {token}" if made else ""
                    for token, made in zip((self._token, self._alerts_token), self._made, strict=True)
                )
                logger.info("Waiting for runs at %s%s", self._server.url, secret)
                logger.info("Alerts are taken at %s%s%s", self._server.url, ALERTS_PATH, alerts_secret)
            order = self._pending()
            if order is not None and self._execute(order):
                return
            following = self._wait()
            if following is None:
                return
            self._keep_alerts()
            os.environ[_SOCKET] = str(self._server.hand_over())
            start_over()

    def _wait(self) -> Order | None:
        """For an order, or None for a signal to end."""
        self._desk.busy = False
        watchers = [signal_handler(kind, self._next.set, None) for kind in (SIGINT, SIGTERM)]
        try:
            with Lobby(tcp_endpoint(*self._options["bind"]), self._keys) as self._lobby:
                following: Order | None = self._next.get()
                # The answer to whoever gave the order is on its way.
                gevent.sleep(0.1)
                return following
        finally:
            for watcher in watchers:
                watcher.cancel()

    def _take(self, order: Order) -> None:
        try:
            order.save(self._folder)
        except OSError as error:
            raise ObswarmError(f"the order cannot be kept at {self._folder}: {error.strerror}") from None
        self._next.set(order)

    def _pending(self) -> Order | None:
        try:
            order = Order.read(self._folder)
        except (BadOrder, OSError) as error:
            logger.error("The order in %s cannot be read (%s); it is dropped.", self._folder, error)
            self._forget()
            return None
        if order is None:
            return None
        tried = self._folder / "tried"
        if tried.exists() and not self._state.exists():
            logger.error("The run that was asked for ended this process before it began; it is dropped.")
            self._forget()
            return None
        tried.touch()
        return order

    def _keep_alerts(self) -> None:
        try:
            self._firing.parent.mkdir(parents=True, exist_ok=True)
            self._firing.write_bytes(make_payload(self._alerts.firing))
        except OSError as error:
            logger.warning("Alerts that fire cannot be kept for the next run in %s: %s.", self._firing, error.strerror)

    def _kept_alerts(self) -> list[Alert]:
        try:
            body = self._firing.read_bytes()
            self._firing.unlink()
            return parse_payload(body)
        except FileNotFoundError:
            return []
        except (OSError, BadPayload) as error:
            logger.warning("Alerts from before this run cannot be read from %s: %s.", self._firing, error)
            return []

    def _forget(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _execute(self, order: Order) -> bool:
        """Make the run that was asked for; true when a signal ended it, and this process with it."""
        desk, news = self._desk, News()
        desk.busy, desk.order_id, desk.news = True, order.id, news
        watch = Supervisor().keep("The watch on the client", self._end_without_client, news)
        terminal = None
        try:
            options, ctx, shared = self._options_for(order)
            terminal = Terminal(replace(output_of(options), headless=True))
            with self._told(news):
                planned = plan(ctx, ctx.params["arguments"], options)
                if planned is None:
                    raise ObswarmError("This lists something; it is no run.")
                guarding = guarding_of(options, planned.loadtest.guards)
                terminal.export = exports(options, ctx, guarding, self._server)
                guarding.board.deliver(self._kept_alerts())
                self._alerts = guarding.app
                terminal.guarding = guarding
                terminal.outputs = [news]
                desk.loadtest = planned.loadtest.name
                result, code = self._conduct(planned, options, self._keys, terminal, guarding, shared, self._began)
            desk.expect_back(order.workers - sum(loss.requests is None for loss in result.losses))
            news.end(result, code)
        except (ObswarmError, click.ClickException) as error:
            text = error.format_message() if isinstance(error, click.ClickException) else str(error)
            logger.error("%s", text)
            news.end(None, exit_codes.USAGE, text)
        finally:
            watch.kill()
            self._forget()
            desk.control = None
            self._alerts = AlertsApp(None, self._alerts_token, self._alerts.firing)
            self._server.applications[ALERTS_PATH] = self._alerts
        news.wait_until_told(_FETCH_S)
        return terminal is not None and terminal.terminated

    def _options_for(self, order: Order) -> tuple[dict[str, Any], click.Context, Path | None]:
        files = self._folder / "files"
        shared = None
        if order.mounted:
            if self._here is None:
                raise ObswarmError("This master has no folder of load tests; send the files.")
            shared = files = self._here.parent
        os.chdir(files)
        given = {
            **self._own,
            "expect_workers": str(order.workers),
            "expect_workers_max_wait": _LONGEST_WAIT_FOR_WORKERS,
        }
        given.update(order.given)
        given["files"] = [str(files / name) for name in order.files]
        given.update(state_file=str(self._state), alerts_token=self._alerts_token)
        if order.settings is not None:
            given["config"] = str(self._folder / "obswarm.toml")
        arguments = [*as_arguments(self._ctx.command, given), *order.rest]
        ctx = self._ctx.command.make_context("master", arguments)
        options = {name: value for name, value in ctx.params.items() if name != "arguments"}
        return options, ctx, shared

    def _began(self, run: FleetRun) -> None:
        self._desk.control, self._desk.run_id = run, run.run_id

    def _end_without_client(self, news: News) -> None:
        """A run that nobody watches any more is ended, as a run in a terminal that was closed is."""
        while True:
            gevent.sleep(1)
            control = self._desk.control
            if control is not None and clock.monotonic() - news.asked_s > _CLIENT_GONE_S:
                logger.error("Nobody has asked for news of the run for %.0f s; it ends.", _CLIENT_GONE_S)
                control.stop(StopReason("lost", "whoever asked for the run has gone"))
                return

    @contextmanager
    def _told(self, news: News) -> Iterator[None]:
        """What is logged meanwhile is told to the client, too."""
        self._handler.news = news
        logging.getLogger().addHandler(self._handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(self._handler)


def _kept(variable: str, given: str | None) -> tuple[str, bool]:
    """A token, and whether it was made here; the process that this one becomes has the same."""
    token = given or secrets.token_urlsafe(24)
    os.environ[variable] = token
    return token, given is None


def _healthy(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
