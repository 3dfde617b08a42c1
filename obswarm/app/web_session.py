"""`obswarm run --web`: a process that makes one run after the other, as the page and the API request."""

import logging
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
from gevent.event import AsyncResult

from obswarm.api import Environment, ObswarmError
from obswarm.app.build import build_run
from obswarm.app.idle_alerts import IdleAlerts
from obswarm.app.load_classes import OriginalClasses
from obswarm.app.page import Page
from obswarm.app.page_access import tls_of
from obswarm.app.page_runner import StartingRun, page_runner
from obswarm.app.planning import build_plan, files_of, load_test
from obswarm.app.rate_query import with_queried_rate
from obswarm.app.replanning import Replanning
from obswarm.app.session import MakeDisplay, RunSession
from obswarm.app.start_request import config_of, loaded_for
from obswarm.config import RunConfig
from obswarm.ending_signals import ending_signals
from obswarm.engine import MessageListeners, Run
from obswarm.metrics import MetricsApp, SnapshotRegistry
from obswarm.streams import echo_error
from obswarm.web import ALERTS_PATH, WebServer
from obswarm.web.rest.requests import Start
from obswarm.web.rest.service import NotPossible

logger = logging.getLogger(__name__)

_START_S = 25.0
"""Most seconds until a requested run exists; less than a request may take (obswarm.web.connections)."""


class WebSession:
    """The server, the load test and its environment, for all runs of the process. Raises ObswarmError for whatever
    would prevent each of them."""

    def __init__(self, config: RunConfig, make_display: MakeDisplay) -> None:
        token, is_new = config.guards.alerts_token, config.guards.alerts_token is None
        if token is None:
            token = secrets.token_urlsafe(16)
            config = config.replaced({"alerts_token": token})
        self._config = config
        self._make_display = make_display
        self.page = Page(config, self.start)
        self.page.import_application()
        make_display(config)
        self.page.service.live.keep_log()
        self._loaded = load_test(config)
        self._originals = OriginalClasses(self._loaded.loadtest.user_classes)
        # The host may be given on the page.
        plan = build_plan(with_queried_rate(config), is_made_here=False, loaded=self._loaded)
        self._environment = plan.environment
        self._replanning = Replanning(config, plan)
        self.page.know(plan, config)
        self.alerts = IdleAlerts(Path(), token)
        self._secret = f", with the bearer token {token}" if is_new else ""
        self.server = WebServer(
            MetricsApp(SnapshotRegistry(refused_while_idle=lambda: self.alerts.refused)),
            config.metrics.metrics_addr,
            config.metrics.web_port,
            {ALERTS_PATH: self.alerts.app},
            allowed_hosts=config.metrics.allowed_hosts,
            page=self.page.web_ui,
            tls=tls_of(config),
        )
        self._present = StartingRun(self._start_load)
        self.messages = MessageListeners(self._environment)
        self._runner = page_runner(self._environment, self._present, self.messages, config.cluster.workers != 0)
        self._is_busy = False
        self._next: AsyncResult[RunSession | None] = AsyncResult()
        self._started: AsyncResult[str] = AsyncResult()
        self._last: tuple[RunSession, Any] | None = None

    def execute(self) -> int:
        """Make runs until a signal, or until --autoquit; returns the exit code of the last one, 0 without any."""
        config, environment = self._config, self._environment
        environment.have_page(self.page.web_ui, self._runner)
        with self.server:
            self._announce()
            self._initialise()
            self.page.web_ui.open()
            session = self._prepared(Start()) if config.web.autostart else self._wait(None)
            while session is not None:
                self._make_run(session)
                session = None if session.terminated else self._wait(config.web.autoquit)
            self.page.service.streams.close()
        if self._last is None:
            return _quit(environment)
        return self._last[0].quit(self._last[1])

    def _initialise(self) -> None:
        """Fire `init`; what listeners change in user classes, load, shape and host is that of all runs."""
        environment, classes = self._environment, list(self._environment.user_classes)
        self._originals.restore()
        environment.events.init.fire(environment=environment, runner=self._runner, web_ui=self.page.web_ui)
        self._originals = OriginalClasses(self._loaded.loadtest.user_classes)
        fields, loadtest = self._replanning.changes()
        if environment.host != self._config.load.host:
            fields["host"] = environment.host
        if environment.user_classes != classes:
            self._loaded = replace(self._loaded, names=tuple(cls.__name__ for cls in environment.user_classes))
        self._loaded, self._config = replace(self._loaded, loadtest=loadtest), self._config.replaced(fields)
        self.page.service.know(self._loaded, self._config)

    def _announce(self) -> None:
        if self.server.notice is not None:
            logger.info("%s", self.server.notice)
        logger.info("Page: %s", self.server.url)
        logger.info("Metrics for Prometheus: %s/metrics", self.server.url)
        logger.info("Alerts are received at %s%s", self.server.url, ALERTS_PATH, extra={"secret": self._secret})
        if not self._config.web.autostart:
            logger.info("Waiting for the start of a run on the page. Ctrl-C ends.")

    def _wait(self, longest_s: float | None) -> RunSession | None:
        """Wait for a run; returns None after a signal, or after `longest_s` seconds."""
        watchers = [gevent.signal_handler(kind, self._next.set, None) for kind in ending_signals()]
        try:
            found: RunSession | None = self._next.get(timeout=longest_s)
            return found
        except gevent.Timeout:
            return None
        finally:
            for watcher in watchers:
                watcher.cancel()

    # For the page, in the greenlet of a request.
    def start(self, request: Start) -> str:
        """Start a run; returns its id. Raises ObswarmError if it cannot be prepared, NotPossible during another one."""
        self._request(request)
        try:
            found: str = self._started.get(timeout=_START_S)
            return found
        except gevent.Timeout:
            raise NotPossible("The run is still being prepared; the log says what it waits for.") from None

    def _start_load(self, users: int, spawn_rate: float) -> None:
        """Start a run for `runner.start` of the load test, without waiting for it."""
        self._request(Start(users=users, spawn_rate=spawn_rate))

    def _request(self, request: Start) -> None:
        session = self._prepared(request)
        self._next.set(session)

    def _prepared(self, request: Start) -> RunSession:
        if self._is_busy:
            raise NotPossible("A run is in progress; stop it, and wait for its end.")
        self._is_busy = True
        try:
            session = self._session_for(request)
        except BaseException:
            self._is_busy = False
            raise
        self._started = AsyncResult()
        return session

    def _session_for(self, request: Start) -> RunSession:
        config = with_queried_rate(config_of(self._config, request))
        _, arguments = files_of(self._config.load.arguments, self._config.load.files)
        loaded = loaded_for(self._loaded, request, arguments, self._config.file.custom)
        self._originals.restore()
        plan = build_plan(config, loaded=loaded, environment=self._environment)
        session = build_run(config, plan, self._make_display, session=self)
        self.page.service.live.keep_log()
        return session

    def began(self, run: Run) -> None:
        """Note that a run exists; called before it starts."""
        self._present.began(run)
        self._runner.drive(run.generator)
        self._environment.join_run(run.run_id, run, self._runner)
        self._started.set(run.run_id)

    def _make_run(self, session: RunSession) -> None:
        self._next = AsyncResult()
        try:
            result = session.run()
            self._last = (session, result)
            if result.error is not None:
                echo_error(result.error)
        except ObswarmError as error:
            echo_error(error)
            self.page.service.failed(str(error))
            self._started.set_exception(error)
        finally:
            if self._present.run is not None:
                self._present.ended(self._present.run.last)
            self.alerts.take_back()
            self.server.serve({ALERTS_PATH: self.alerts.app})
            self.server.metrics.latest.end_run(lambda: self.alerts.refused)
            self._is_busy = False


def _quit(environment: Environment) -> int:
    """End without a run, as the load test's listeners wish."""
    environment.events.quitting.fire(environment=environment, reverse=True)
    code = environment.process_exit_code or 0
    environment.events.quit.fire(exit_code=code)
    return code
