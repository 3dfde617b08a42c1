"""`obswarm master --serve`: a master that executes the runs that clients submit, one at a time.

Each run has its own process: on a request, the service re-executes itself, so that no state of an earlier load test
remains, and passes on the listening socket, so that no connection is refused. A request is stored on disk before it is
accepted; a restarted service continues its run.

No run ends the service. If a run crashes, its client is notified, its measurements are moved to a separate file, and
the next client is notified of that file. A process that crashes is restarted (obswarm.app.service_process).
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
from obswarm.app.build import build_fleet_run, planned
from obswarm.app.exit_status import exit_code_of
from obswarm.app.exporters import exporters_of
from obswarm.app.guards_setup import guards_of
from obswarm.app.idle_alerts import IdleAlerts
from obswarm.app.limit_settings import LimitSettings
from obswarm.app.notices import Notices
from obswarm.app.pending_run import MOST_STARTS, KeptResult, PendingRun
from obswarm.app.planning import named_loadtest
from obswarm.app.run_service import MasterRunService
from obswarm.app.service_page import ServicePage
from obswarm.app.service_server import ServiceServer
from obswarm.app.session import Display, MakeDisplay, RunSession
from obswarm.app.unfinished import CannotGoOn
from obswarm.cluster import CurveKeys, IdleWorkers, reexec, tcp_endpoint
from obswarm.config import SETTINGS, RunConfig, at_service, for_client, useless_settings
from obswarm.config.toml_file import current_folder
from obswarm.ending_signals import ending_signals
from obswarm.engine import Output, PartialResult, Run, RunResult, StopReason
from obswarm.errors import reason_of
from obswarm.greenlets import Supervisor
from obswarm.guards import configured_guards
from obswarm.record import RunState, StopKind
from obswarm.streams import STANDARD_OUTPUT, set_up_logging
from obswarm.units import format_duration
from obswarm.web import ALERTS_PATH, BadRunRequest, RunEvents, RunEventsHandler, RunRequest

logger = logging.getLogger(__name__)

_WORKERS_MAX_WAIT_S = 15.0
_CLIENT_GONE_S = 30.0
_FETCH_S = 3.0
"""Time for the client to fetch the end of a run, before the process re-executes itself."""

_LASTS_S = 60.0
"""Running time after which a run gets all its starts back: it does not crash its process at every start."""

_COST_OF_AN_END = 2
"""Starts that count for a run that was already ending: it has little left to do, so it is restarted less often."""

_ADDRESSES = "obswarm.app.session"
"""Logger of the addresses of metrics and alerts, which are different ones for clients."""

BuildRun = Callable[..., RunSession]
"""A function like build_fleet_run."""


class RunEnd(Enum):
    """What the process does after a run."""

    DONE = auto()
    ENDED = auto()
    """A signal ended the run, and ends the service."""
    FAILED = auto()
    """The process re-executes itself, as state of the run may be left in it."""


class Service:
    """A master service; `run` returns after a signal."""

    def __init__(
        self, config: RunConfig, make_display: MakeDisplay, keys: CurveKeys | None, build: BuildRun = build_fleet_run
    ) -> None:
        """`keys` are derived from the cluster's secret; `build` builds each run. Raises ObswarmError."""
        self._config = config
        self._make_display = make_display
        self._build = build
        self._keys = keys
        self._state = config.cluster.state_path.resolve()
        self._pending = PendingRun(self._state.with_suffix(".order"))
        self._notices = Notices(self._state.with_suffix(".notices"))
        self._started_in = current_folder() or Path()
        self._token, made_token = _token_of_service("OBSWARM_API_TOKEN", config.cluster.api_token)
        self._alerts_token, made_alerts_token = _token_of_service("OBSWARM_ALERTS_TOKEN", config.guards.alerts_token)
        self._loadtest = named_loadtest(config)
        self._run: Run | None = None
        self._next: AsyncResult[RunRequest | None] = AsyncResult()
        loadtest = str(self._loadtest) if self._loadtest is not None else None
        self._runs = MasterRunService(self._accept, loadtest)
        self._alerts = IdleAlerts(self._state.with_suffix(".alerts"), self._alerts_token)
        self._page = ServicePage(
            config, self._token, self._runs, self._started_in, self._loadtest, self._state.with_suffix(".page")
        )
        self._server = ServiceServer(config, self._token, self._runs, self._alerts, self._page)
        self._is_first = self._server.is_first
        self._made = (made_token, made_alerts_token)

    def run(self) -> None:
        set_up_logging(self._config.outputs.loglevel, self._config.outputs.logfile)
        self._alerts.restore()
        self._page.service.live.keep_log()
        request, starts = self._read_pending()
        events = RunEvents()
        if request is not None:
            # Before the server starts, so that a client of that run never gets the response that there is none.
            self._runs.begin(request.id, events)
        with self._server:
            self._page.submitter.reach_at(self._server.url)
            if request is not None:
                self._announce()
            outcome = self._execute(request, starts, events) if request is not None else RunEnd.DONE
            if outcome is RunEnd.ENDED or (outcome is RunEnd.DONE and self._wait() is None):
                self._page.close()
                return
            self._alerts.keep()
            self._page.keep()
            self._server.pass_on()
            reexec()

    def _announce(self) -> None:
        """Log the service's addresses, in its first process only."""
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
        if self._page.is_served:
            login = f"#token={self._token}" if self._made[0] else ""
            logger.info("Page: %s/", self._server.url, extra={"secret": login})
        logger.info("Alerts are received at %s%s", self._server.url, ALERTS_PATH, extra={"secret": alerts_secret})

    def _wait(self) -> RunRequest | None:
        """Wait for a request and return it; None after a signal."""
        watchers = [signal_handler(kind, self._next.set, None) for kind in ending_signals()]
        try:
            with IdleWorkers(tcp_endpoint(*self._config.cluster.bind), self._keys) as idle:
                self._runs.wait_with(lambda: idle.workers)
                self._page.open()
                self._announce()
                following: RunRequest | None = self._next.get()
                self._page.submitter.wait_for_answer()
                # Time to send the response to the client.
                gevent.sleep(0.1)
                return following
        finally:
            for watcher in watchers:
                watcher.cancel()

    def _accept(self, request: RunRequest) -> None:
        self._pending.save(request)
        self._next.set(request)

    def _read_pending(self) -> tuple[RunRequest | None, int]:
        """Return the pending run, and how often it has been started before."""
        try:
            request, starts = self._pending.read()
        except BadRunRequest as error:
            self._notify_next_client(
                f"The requested run cannot be read from {self._pending.folder} ({error}); it is discarded."
            )
            self._pending.forget()
            request, starts = None, 0
        aside = unfinished.put_aside(self._state, self._config.load.max_endpoints) if request is None else None
        if aside is not None:
            self._notify_next_client(aside)
        return request, starts

    def _notify_next_client(self, text: str) -> None:
        """Log a message now, and to the next client."""
        logger.error("%s", text)
        self._notices.add(text)

    def _execute(self, request: RunRequest, starts: int, events: RunEvents) -> RunEnd:
        """Execute the requested run, or continue it if it was started before."""
        seen = PartialResult()
        watch = Supervisor().keep("The watch on the client", self._end_without_client, events)
        outcome = RunEnd.FAILED
        try:
            self._begin(starts)
            config, shared = self._config_for(request)
            ended = self._pending.kept_result() if starts else None
            if ended is not None:
                self._send_again(events, ended, config)
                return RunEnd.FAILED
            display = self._make_display(config)
            with self._logging_to(events):
                self._log_earlier_runs(starts)
                outputs = [KeptResult(self._pending), events, seen]
                session = self._session_for(request, config, shared, starts, display, outputs)
                result, code = session.execute()
            self._runs.expect_back(request.workers - sum(loss.requests is None for loss in result.losses))
            events.end(result, code)
            outcome = RunEnd.ENDED if session.terminated else RunEnd.DONE
            self._wait_for_client(events, result)
        except CannotGoOn as error:
            self._fail(events, seen, "its master could not continue it", str(error))
        except ObswarmError as error:
            self._fail(events, seen, "an error on its master", str(error))
        except (Exception, SystemExit, KeyboardInterrupt, gevent.Timeout, gevent.GreenletExit) as error:
            logger.critical("The run crashed.", exc_info=error)
            text = f"The run crashed on its master ({reason_of(error)}); see the master's log."
            self._fail(events, seen, "it crashed on its master", text)
        finally:
            watch.kill()
            self._pending.forget()
            self._runs.ended()
            self._run = None
            self._alerts.take_back()
            self._server.serve({ALERTS_PATH: self._alerts.app})
            self._server.metrics.latest.end_run(lambda: self._alerts.refused)
        return outcome

    def _log_earlier_runs(self, starts: int) -> None:
        """Log what happened to earlier runs that did not end properly, for the client."""
        for text in self._notices.take():
            logger.warning("%s", text)
        aside = unfinished.put_aside(self._state, self._config.load.max_endpoints) if not starts else None
        if aside is not None:
            logger.warning("%s", aside)

    def _begin(self, starts: int) -> None:
        if starts >= MOST_STARTS:
            raise CannotGoOn(f"The run has crashed its master's process {MOST_STARTS} times; it is not started again.")
        found = unfinished.found_run(self._state, self._config.load.max_endpoints) if starts else None
        was_ending = found is not None and found.progress.stopping is not None
        self._pending.begin(_COST_OF_AN_END if was_ending else 1)

    def _fail(self, events: RunEvents, seen: PartialResult, detail: str, text: str) -> None:
        """End a run that has no result of its own: its client gets the part that was measured."""
        logger.error("%s", text)
        self._page.failed(text)
        self._release_workers()
        result = unfinished.best_of(
            seen, unfinished.found_run(self._state, self._config.load.max_endpoints), detail, text
        )
        events.end(result, exit_codes.USAGE if result is None else exit_codes.INCOMPLETE, text)
        aside = unfinished.put_aside(self._state, self._config.load.max_endpoints, text.splitlines()[0])
        if aside is not None:
            self._notify_next_client(aside)
        self._wait_for_client(events, result if aside is None else None)

    def _release_workers(self) -> None:
        """Stop the users of a run that crashed in this process, and collect its workers' last statistics."""
        if self._run is not None:
            try:
                self._run.give_up()
            except (Exception, SystemExit, KeyboardInterrupt, gevent.Timeout, gevent.GreenletExit) as error:
                logger.error("The last statistics of the run's workers are missing: %s.", reason_of(error))

    def _send_again(self, events: RunEvents, result: RunResult, config: RunConfig) -> None:
        """Send the result of a run whose process ended before its client had fetched it."""
        with suppress(OSError):
            self._state.unlink(missing_ok=True)
        events.end(result, exit_code_of(result, config.outputs.exit_code_on_error, config.outputs.strict))
        self._wait_for_client(events, result)

    def _wait_for_client(self, events: RunEvents, result: RunResult | None) -> None:
        """Wait up to _FETCH_S until the client has fetched the result; write it to a file if it does not."""
        if events.wait_until_fetched(_FETCH_S) or result is None:
            return
        where = unfinished.write_beside(self._state, result)
        stored = f"are in {where[0]}" if where else "could not be saved"
        self._notify_next_client(
            f"The run {result.run_id} ended ({result.stop_reason.detail}) without a client."
            f" {unfinished.measured(result)} {stored}."
        )

    def _session_for(
        self,
        request: RunRequest,
        config: RunConfig,
        shared: Path | None,
        starts: int,
        display: Display,
        outputs: Sequence[Output],
    ) -> RunSession:
        search = LimitSettings.of_plain(request.search) if request.search else None
        config, plan, finder = planned(config, search)
        rules = configured_guards(config, plan.loadtest.guards)
        guards = guards_of(config, rules, self._started_in, of_scenarios=plan.requirements)
        exporters = exporters_of(config, guards, self._server, self._started_in)
        guards.evaluator.deliver(self._alerts.hand_to(guards.app))
        return self._build(
            config,
            plan,
            guards,
            display,
            exporters,
            outputs=outputs,
            finder=finder,
            keys=self._keys,
            shared=shared,
            run_id=request.run_id,
            recover=unfinished.recover_begun if starts else lambda *_: None,
            on_run=lambda run: self._began(run, plan.loadtest.name),
            page=self._page.show_run(plan, config),
        )

    def _config_for(self, request: RunRequest) -> tuple[RunConfig, Path | None]:
        files = self._pending.files
        shared = None
        if request.mounted:
            if self._loadtest is None:
                raise ObswarmError("This master has no folder of load tests; send the files.")
            shared = files = self._loadtest.parent
        os.chdir(files)
        config = for_client(self._config, request.config)
        written = {
            name: str(self._started_in / config.value(name))
            for name, each in SETTINGS.items()
            # Relative to the folder in which the service was started; runs have another current folder.
            if each.unit == "file" and config.value(name) not in (None, "", STANDARD_OUTPUT)
        }
        own: dict[str, Any] = {
            "files": tuple(str(files / name) for name in request.files),
            "headless": True,
            "expect_workers": request.workers,
            "expect_workers_max_wait": _WORKERS_MAX_WAIT_S,
            "state_file": str(self._state),
            "alerts_token": self._alerts_token,
        }
        return at_service(config, **own, **written), shared

    def _began(self, run: Run, loadtest: str) -> None:
        self._run = run
        self._runs.began(run, run.run_id, loadtest)

    def _end_without_client(self, events: RunEvents) -> None:
        """Stop the run when no client has polled it for _CLIENT_GONE_S, like a run in a closed terminal."""
        began_s, lasts = clock.monotonic(), False
        while True:
            gevent.sleep(1)
            run = self._run
            state = run.state if run is not None else RunState.READY
            if not lasts and goes_well(state, clock.monotonic() - began_s):
                lasts = True
                self._pending.lasts()
            if run is not None and clock.monotonic() - events.polled_s > _CLIENT_GONE_S:
                logger.error("No client has polled the run for %s; stopping it.", format_duration(_CLIENT_GONE_S))
                run.stop(StopReason(StopKind.LOST, "the client of the run is gone"))
                return

    @contextmanager
    def _logging_to(self, events: RunEvents) -> Iterator[None]:
        """Send log records to the client, too."""
        handler = RunEventsHandler(events, without=(_ADDRESSES,))
        logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)


def goes_well(state: RunState, since_s: float) -> bool:
    """Whether a run that has been executed for this long, without the time of its end, gets all its starts back."""
    return since_s > _LASTS_S and state not in (RunState.STOPPING, RunState.STOPPED)


def _token_of_service(variable: str, given: str | None) -> tuple[str, bool]:
    """Return a token, and whether it was generated; the environment passes it on to the next process."""
    token = given or secrets.token_urlsafe(24)
    os.environ[variable] = token
    return token, not given
