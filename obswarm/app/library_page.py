"""The page of a program that makes its runs itself: Locust's `environment.create_web_ui`."""

import os
from pathlib import Path
from typing import Any

from msgspec import UNSET

from obswarm.api import Environment, ObswarmError, OptionValues
from obswarm.app.exit_status import exit_code_of
from obswarm.app.page import Page
from obswarm.app.page_access import tls_of
from obswarm.app.planning import LoadedTest
from obswarm.cluster import is_loopback
from obswarm.config import RunConfig
from obswarm.engine import LoadTest, Output, Run, RunResult
from obswarm.greenlets import Supervisor
from obswarm.http import check_host
from obswarm.metrics import MetricsApp, SnapshotRegistry
from obswarm.units import format_names, parse_duration
from obswarm.web import WebServer
from obswarm.web.rest.requests import Start
from obswarm.web.rest.service import NotPossible
from obswarm.web.web_ui import WebUI

_POSSIBLE = ("users", "spawn_rate", "run_time", "host", "user_classes")


class LibraryWebUI(WebUI):
    """The page, its server and /metrics, of the runs of an environment's runner."""

    def __init__(
        self, environment: Environment, host: str, port: int, tls_cert: str | None = None, tls_key: str | None = None
    ) -> None:
        """Does not serve before `start`. Raises ObswarmError for an address that other machines reach, without access
        control: OBSWARM_WEB_AUTH=USER:PASSWORD, or OBSWARM_WEB_TOKEN_FILE."""
        self._environment = environment
        self._config = _config(environment, host, port, tls_cert, tls_key)
        self._page = Page(self._config, self._start_run)
        self._page.environment = environment
        # Its make of the application is the one of this page.
        super().__init__(self._page.make_application)
        self._know()
        self._registry = SnapshotRegistry()
        metrics = self._config.metrics
        self._server = WebServer(
            MetricsApp(self._registry),
            metrics.metrics_addr,
            metrics.web_port,
            page=self,
            tls=tls_of(self._config),
        )
        self._is_serving = False
        environment.have_page(self)

    @property
    def host(self) -> str:
        """The address that the server listens on."""
        return self._config.metrics.metrics_addr

    @property
    def port(self) -> int:
        """The port that the server listens on; 0 before `start` if it was 0."""
        return self._server.port or int(self._config.metrics.web_port or 0)

    def start(self) -> None:
        """Serve. Raises ObswarmError if the port is in use."""
        if not self._is_serving:
            self._server.__enter__()
            self._is_serving = True
            self.open()

    def stop(self) -> None:
        """End the server."""
        if self._is_serving:
            self._is_serving = False
            self._page.service.streams.close()
            self._server.__exit__(None, None, None)

    # For the runner.
    def outputs(self) -> list[Output]:
        """Return what a run has to show its snapshots to."""
        return [self._registry, self._page.service.live]

    def began(self, run: Run) -> None:
        """Note that a run can be controlled."""
        self._know()
        self._page.service.began(run)

    def ended(self, result: RunResult) -> None:
        """Note the result of a run."""
        self._page.service.ended(result, exit_code_of(result, on_error=1))

    def _know(self) -> None:
        environment = self._environment
        files = (Path(environment.locustfile),) if environment.locustfile else (Path("library"),)
        loadtest = LoadTest(files, tuple(environment.user_classes), environment.shape_class)
        loaded = LoadedTest(loadtest, files, (), OptionValues(), (), (), ())
        self._page.service.know(loaded, self._config.replaced({"host": environment.host}))

    # For the page, in the greenlet of a request.
    def _start_run(self, request: Start) -> str:
        environment, runner = self._environment, self._environment.runner
        if runner is None:
            raise NotPossible("The program has no runner yet; it makes one by environment.create_local_runner().")
        others = [name for name in request.__struct_fields__ if name not in _POSSIBLE and getattr(request, name)]
        if others:
            raise ObswarmError(
                f"{format_names(others)}: the program sets that itself; {format_names(_POSSIBLE)} may be given."
            )
        if isinstance(request.host, str):
            try:
                environment.host = check_host(request.host)
            except ValueError as error:
                raise ObswarmError(f"host: {error}.") from None
        longest_s = _seconds(request.run_time)
        if environment.shape_class is not None:
            runner.start_shape()
        else:
            classes = self._classes(request)
            runner.start(request.users or 1, request.spawn_rate or 1.0, user_classes=classes)
        run = self._page.service.present
        if run is None:
            raise NotPossible("The run has not started; the log says why.")
        if longest_s is not None:
            Supervisor().spawn_later(longest_s, "The end of the run time", self._stop, run)
        return run.run_id

    def _classes(self, request: Start) -> list[Any] | None:
        if request.user_classes is UNSET or not request.user_classes:
            return None
        by_name = self._environment.user_classes_by_name
        unknown = [name for name in request.user_classes if name not in by_name]
        if unknown:
            raise ObswarmError(f"user_classes: {format_names(unknown)} is none of {format_names(list(by_name))}.")
        return [by_name[name] for name in request.user_classes]

    def _stop(self, run: Run) -> None:
        if self._page.service.present is run:
            self._environment.runner.stop()


def _seconds(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ObswarmError(f"run_time: {error}.") from None


def _config(environment: Environment, host: str, port: int, tls_cert: str | None, tls_key: str | None) -> RunConfig:
    auth, token_file = (os.environ.get(f"OBSWARM_WEB_{name}") or None for name in ("AUTH", "TOKEN_FILE"))
    has_access = auth is not None or token_file is not None
    address = host
    if host in ("", "*"):
        address = "0.0.0.0" if has_access else "127.0.0.1"
    if not has_access and not is_loopback(address):
        raise ObswarmError(
            f"create_web_ui({host!r}): other machines can reach that address, and the page starts load tests. Set"
            " OBSWARM_WEB_AUTH=USER:PASSWORD or OBSWARM_WEB_TOKEN_FILE=FILE, or use the host 127.0.0.1."
        )
    return RunConfig().replaced(
        {
            "host": environment.host,
            "metrics_addr": address,
            "web_port": port,
            "web_auth": auth,
            "web_token_file": token_file,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
            # Users may be in this process.
            "workers": 0,
            "no_store": True,
        }
    )
