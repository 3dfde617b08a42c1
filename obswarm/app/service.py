"""`obswarm master --serve`: a master that stays, and makes the runs that clients request, one after the other.

Each run has a process of its own: the service executes itself anew when a request has come, so that nothing of an
earlier load test is in its memory, and hands itself the listening socket, so that no connection is refused meanwhile. A
request is on the disk before it is accepted; a service that is started again goes on with its run.

No run ends the service. One that crashed is over: its client is told, what it had measured is put aside, and the next
client is told where. A process that dies is started again (obswarm.app.service_process).
"""

import logging
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from typing import Any

import gevent
from gevent import signal_handler
from gevent.event import AsyncResult

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.app import exit_codes, unfinished
from obswarm.app.build import build_fleet_run
from obswarm.app.exit_status import exit_code_of
from obswarm.app.exporters import exporters_of
from obswarm.app.guards_setup import guards_of
from obswarm.app.idle_alerts import IdleAlerts
from obswarm.app.notices import Notices
from obswarm.app.pending_run import MOST_STARTS, KeptResult, PendingRun
from obswarm.app.planning import build_plan, named_loadtest
from obswarm.app.run_service import MasterRunService
from obswarm.app.session import Display, MakeDisplay, RunSession
from obswarm.app.unfinished import CannotGoOn
from obswarm.cluster import CurveKeys, IdleWorkers, reexec, tcp_endpoint
from obswarm.config import SETTINGS, RunConfig, at_service, for_client, useless_settings
from obswarm.config.toml_file import current_folder
from obswarm.ending_signals import ending_signals
from obswarm.engine import Output, PartialResult, Run, RunResult, StopReason
from obswarm.errors import reason_of
from obswarm.greenlets import Supervisor
from obswarm.metrics import MetricsApp, SnapshotRegistry
from obswarm.record import RunState, StopKind
from obswarm.streams import STANDARD_OUTPUT, set_up_logging
from obswarm.web import (
    ALERTS_PATH,
    PORT,
    RUNS_PATH,
    STATUS_PATH,
    BadRunRequest,
    RunEvents,
    RunEventsHandler,
    RunRequest,
    RunsApp,
    WebServer,
)

logger = logging.getLogger(__name__)

_SOCKET = "OBSWARM_INHERITED_SOCKET"
_WORKERS_MAX_WAIT_S = 15.0
_CLIENT_GONE_S = 30.0
_FETCH_S = 3.0
"""How long the last client gets to fetch the end of a run before the process becomes a new one."""

_LASTS_S = 60.0
"""A run that has gone on for so long does not end its master's process each time."""

_COST_OF_AN_END = 2
"""A run that was ending already has little left to do, and is begun again less often."""

_ADDRESSES = "obswarm.app.session"
"""Says where metrics and alerts are served, which is another address for clients."""

BuildRun = Callable[..., RunSession]
"""As build_fleet_run."""


class Outcome(Enum):
    """What is next for the process that has made a run."""

    DONE = auto()
    ENDED = auto()
    """A signal ended the run, and ends the service."""
    FAILED = auto()
    """Something of the run may be left in this process."""


class Service:
    """`run` returns when a signal has ended it."""

    def __init__(
        self, config: RunConfig, make_display: MakeDisplay, keys: CurveKeys | None, build: BuildRun = build_fleet_run
    ) -> None:
        """`keys` are those of the cluster's secret; `build` builds each run. Raises ObswarmError."""
        self._config = config
        self._make_display = make_display
        self._build = build
        self._keys = keys
        self._state = config.cluster.state_path.resolve()
        self._pending = PendingRun(self._state.with_suffix(".order"))
        self._notices = Notices(self._state.with_suffix(".notices"))
        self._started_in = current_folder() or Path()
        self._token, made_token = _kept("OBSWARM_API_TOKEN", config.cluster.api_token)
        self._alerts_token, made_alerts_token = _kept("OBSWARM_ALERTS_TOKEN", config.guards.alerts_token)
        self._here = named_loadtest(config)
        self._run: Run | None = None
        self._next: AsyncResult[RunRequest | None] = AsyncResult()
        loadtest = str(self._here) if self._here is not None else None
        self._runs = MasterRunService(self._accept, loadtest)
        inherited = os.environ.pop(_SOCKET, None)
        runs = RunsApp(self._runs, self._token)
        self._alerts = IdleAlerts(self._state.with_suffix(".alerts"), self._alerts_token)
        latest = SnapshotRegistry(lambda: len(self._runs.idle_workers), lambda: self._alerts.refused)
        self._server = WebServer(
            MetricsApp(latest),
            config.metrics.metrics_addr,
            PORT if config.metrics.web_port is None else config.metrics.web_port,
            {
                "/healthz": _healthy,
                ALERTS_PATH: self._alerts.app,
                STATUS_PATH: runs,
                RUNS_PATH: runs,
                f"{RUNS_PATH}/": runs,
            },
            int(inherited) if inherited is not None else None,
            config.metrics.allowed_hosts,
        )
        self._is_first = inherited is None
        self._made = (made_token, made_alerts_token)

    def run(self) -> None:
        set_up_logging(self._config.outputs.loglevel, self._config.outputs.logfile)
        self._alerts.restore()
        order, starts = self._read_pending()
        events = RunEvents()
        if order is not None:
            # Before the server is there: a client of that run is not told that there is none.
            self._runs.begin(order.id, events)
        with self._server:
            if order is not None:
                self._announce()
            outcome = self._execute(order, starts, events) if order is not None else Outcome.DONE
            if outcome is Outcome.ENDED or (outcome is Outcome.DONE and self._wait() is None):
                return
            self._alerts.keep()
            os.environ[_SOCKET] = str(self._server.hand_over())
            reexec()

    def _announce(self) -> None:
        """Say where this is, when it listens there: once, and not in each of the processes that it becomes."""
        if not self._is_first:
            return
        self._is_first = False
        secret, alerts_secret = (
            f", with the bearer token {token}" if made else ""
            for token, made in zip((self._token, self._alerts_token), self._made, strict=True)
        )
        for name, needed in useless_settings(self._config).items():
            logger.warning("%s is not used: %s is not given.", self._config.label(name), self._config.label(needed))
        logger.info("Waiting for runs at %s", self._server.url, extra={"secret": secret})
        logger.info("Alerts are taken at %s%s", self._server.url, ALERTS_PATH, extra={"secret": alerts_secret})

    def _wait(self) -> RunRequest | None:
        """For a request, or None for a signal to end."""
        watchers = [signal_handler(kind, self._next.set, None) for kind in ending_signals()]
        try:
            with IdleWorkers(tcp_endpoint(*self._config.cluster.bind), self._keys) as idle:
                self._runs.wait_with(lambda: idle.workers)
                self._announce()
                following: RunRequest | None = self._next.get()
                # The response to the client that has requested it is on its way.
                gevent.sleep(0.1)
                return following
        finally:
            for watcher in watchers:
                watcher.cancel()

    def _accept(self, order: RunRequest) -> None:
        self._pending.save(order)
        self._next.set(order)

    def _read_pending(self) -> tuple[RunRequest | None, int]:
        """The run to make, and how often it has been begun before."""
        try:
            order, starts = self._pending.read()
        except BadRunRequest as error:
            self._owe(
                f"The run that was asked for cannot be read from {self._pending.folder} ({error}); it is dropped."
            )
            self._pending.forget()
            order, starts = None, 0
        aside = unfinished.put_aside(self._state, self._config.load.max_endpoints) if order is None else None
        if aside is not None:
            self._owe(aside)
        return order, starts

    def _owe(self, text: str) -> None:
        """Something that the next client has to be told."""
        logger.error("%s", text)
        self._notices.add(text)

    def _execute(self, order: RunRequest, starts: int, news: RunEvents) -> Outcome:
        """Make the run that was requested, or go on with it when it was begun before."""
        seen = PartialResult()
        watch = Supervisor().keep("The watch on the client", self._end_without_client, news)
        outcome = Outcome.FAILED
        try:
            self._begin(starts)
            config, shared = self._config_for(order)
            ended = self._pending.kept_result() if starts else None
            if ended is not None:
                self._tell_again(news, ended, config)
                return Outcome.FAILED
            display = self._make_display(config)
            with self._told(news):
                self._tell_of_runs_before(starts)
                outputs = [KeptResult(self._pending), news, seen]
                session = self._session_for(config, shared, starts, display, outputs)
                result, code = session.execute()
            self._runs.expect_back(order.workers - sum(loss.requests is None for loss in result.losses))
            news.end(result, code)
            outcome = Outcome.ENDED if session.terminated else Outcome.DONE
            self._wait_for_client(news, result)
        except CannotGoOn as error:
            self._fail(news, seen, "its master could not go on with it", str(error))
        except ObswarmError as error:
            self._fail(news, seen, "an error on its master", str(error))
        except (Exception, SystemExit, KeyboardInterrupt, gevent.Timeout, gevent.GreenletExit) as error:
            logger.critical("The run crashed.", exc_info=error)
            text = f"The run crashed on its master ({reason_of(error)}); the master's log has more."
            self._fail(news, seen, "it crashed on its master", text)
        finally:
            watch.kill()
            self._pending.forget()
            self._runs.ended()
            self._run = None
            self._alerts.take_back()
            self._server.serve({ALERTS_PATH: self._alerts.app})
            self._server.metrics.latest.end_run(lambda: self._alerts.refused)
        return outcome

    def _tell_of_runs_before(self, starts: int) -> None:
        for text in self._notices.take():
            logger.warning("%s", text)
        aside = unfinished.put_aside(self._state, self._config.load.max_endpoints) if not starts else None
        if aside is not None:
            logger.warning("%s", aside)

    def _begin(self, starts: int) -> None:
        if starts >= MOST_STARTS:
            raise CannotGoOn("The run has ended its master's process again and again, and is not begun once more.")
        found = unfinished.found_run(self._state, self._config.load.max_endpoints) if starts else None
        was_ending = found is not None and found.progress.stopping is not None
        self._pending.begin(_COST_OF_AN_END if was_ending else 1)

    def _fail(self, news: RunEvents, seen: PartialResult, detail: str, text: str) -> None:
        """The run ended without a result of its own: its client gets what there is."""
        logger.error("%s", text)
        self._release_workers()
        result = unfinished.best_of(
            seen, unfinished.found_run(self._state, self._config.load.max_endpoints), detail, text
        )
        news.end(result, exit_codes.USAGE if result is None else exit_codes.INCOMPLETE, text)
        aside = unfinished.put_aside(self._state, self._config.load.max_endpoints, text.splitlines()[0])
        if aside is not None:
            self._owe(aside)
        self._wait_for_client(news, result if aside is None else None)

    def _release_workers(self) -> None:
        """Of a run that crashed in this process, so that they load its target no more, and keep what they have."""
        if self._run is not None:
            try:
                self._run.give_up()
            except (Exception, SystemExit, KeyboardInterrupt, gevent.Timeout, gevent.GreenletExit) as error:
                logger.error("The last statistics of the run's workers cannot be had: %s.", reason_of(error))

    def _tell_again(self, news: RunEvents, result: RunResult, config: RunConfig) -> None:
        """The process that had made the run ended before its client had the result."""
        with suppress(OSError):
            self._state.unlink(missing_ok=True)
        news.end(result, exit_code_of(result, config.outputs.exit_code_on_error, config.outputs.strict))
        self._wait_for_client(news, result)

    def _wait_for_client(self, news: RunEvents, result: RunResult | None) -> None:
        """It has a few seconds to fetch the result, which is written here if it does not come."""
        if news.wait_until_told(_FETCH_S) or result is None:
            return
        where = unfinished.write_beside(self._state, result)
        kept = f"is kept in {where[0]}" if where else "could not be kept"
        self._owe(
            f"The run {result.run_id} ended ({result.stop_reason.detail}) when nobody asked for it any more."
            f" {unfinished.measured(result)} {kept}."
        )

    def _session_for(
        self, config: RunConfig, shared: Path | None, starts: int, display: Display, outputs: Sequence[Output]
    ) -> RunSession:
        plan = build_plan(config)
        guards = guards_of(config, plan.loadtest.guards, self._started_in)
        exporters = exporters_of(config, guards, self._server, self._started_in)
        guards.evaluator.deliver(self._alerts.hand_to(guards.app))
        return self._build(
            config,
            plan,
            guards,
            display,
            exporters,
            outputs=outputs,
            keys=self._keys,
            shared=shared,
            recover=unfinished.recover_begun if starts else lambda *_: None,
            on_run=lambda run: self._began(run, plan.loadtest.name),
        )

    def _config_for(self, order: RunRequest) -> tuple[RunConfig, Path | None]:
        files = self._pending.files
        shared = None
        if order.mounted:
            if self._here is None:
                raise ObswarmError("This master has no folder of load tests; send the files.")
            shared = files = self._here.parent
        os.chdir(files)
        config = for_client(self._config, order.config)
        written = {
            name: str(self._started_in / config.value(name))
            for name, each in SETTINGS.items()
            # From where the service was started, as runs are made elsewhere.
            if each.unit == "file" and config.value(name) not in (None, "", STANDARD_OUTPUT)
        }
        own: dict[str, Any] = {
            "files": tuple(str(files / name) for name in order.files),
            "headless": True,
            "expect_workers": order.workers,
            "expect_workers_max_wait": _WORKERS_MAX_WAIT_S,
            "state_file": str(self._state),
            "alerts_token": self._alerts_token,
        }
        return at_service(config, **own, **written), shared

    def _began(self, run: Run, loadtest: str) -> None:
        self._run = run
        self._runs.began(run, run.run_id, loadtest)

    def _end_without_client(self, news: RunEvents) -> None:
        """A run that nobody watches any more is ended, as a run in a terminal that was closed is."""
        began_s, lasts = clock.monotonic(), False
        while True:
            gevent.sleep(1)
            run = self._run
            state = run.state if run is not None else RunState.READY
            if not lasts and goes_well(state, clock.monotonic() - began_s):
                lasts = True
                self._pending.lasts()
            if run is not None and clock.monotonic() - news.asked_s > _CLIENT_GONE_S:
                logger.error("No client has polled the run for %.0f s; stopping it.", _CLIENT_GONE_S)
                run.stop(StopReason(StopKind.LOST, "whoever asked for the run has gone"))
                return

    @contextmanager
    def _told(self, news: RunEvents) -> Iterator[None]:
        """What is logged meanwhile is told to the client, too."""
        handler = RunEventsHandler(news, without=(_ADDRESSES,))
        logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)


def goes_well(state: RunState, since_s: float) -> bool:
    """Whether a run that its process has made for so long may be begun anew as often as one that has just been asked
    for. How long its end takes is no progress."""
    return since_s > _LASTS_S and state not in (RunState.STOPPING, RunState.STOPPED)


def _kept(variable: str, given: str | None) -> tuple[str, bool]:
    """A token, and whether it was made here; the process that this one becomes has the same."""
    token = given or secrets.token_urlsafe(24)
    os.environ[variable] = token
    return token, not given


def _healthy(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
