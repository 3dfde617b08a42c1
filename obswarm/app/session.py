"""A run from its start to its exit code: outputs, signals, uncaught errors. Used by all commands that run a load
test."""

import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import gevent

from obswarm.api import Environment
from obswarm.app.exit_status import exit_code_of
from obswarm.app.explaining import Explained, Explainer
from obswarm.app.exporters import Exporters
from obswarm.app.guards_setup import EvaluateRequirements, GuardsSetup
from obswarm.app.recording import Recording
from obswarm.app.replanning import Replanning
from obswarm.config import RunConfig
from obswarm.ending_signals import ending_signals
from obswarm.engine import Output, Outputs, Run, RunHandle, RunResult, StopReason, UncaughtErrors, is_imported
from obswarm.greenlets import NOT_ONLY_EXCEPTIONS
from obswarm.record import StopKind
from obswarm.streams import echo_error

if TYPE_CHECKING:
    from obswarm.app.page import Page

logger = logging.getLogger(__name__)

_GUARD_EXPLAINS_S = 8.0
_END_EXPLAINS_S = 10.0
"""Most seconds for the explanation of a run, when a guard trips and at the end."""
_SHORTEST_S = 12.0
"""An explanation needs as many seconds with load (obswarm.analysis.explain)."""

MakeRun = Callable[[Outputs], Run]
CompleteResult = Callable[[RunResult], RunResult]
"""Adds to the result of a run what is known at its end."""


class WatchedRun(RunHandle, Protocol):
    """A run of this or of another process."""

    def run(self) -> RunResult: ...

    def close(self) -> None: ...


class Display(Protocol):
    """The outputs that show a run, during the run and at its end."""

    @property
    def progress(self) -> Sequence[Output]: ...

    def closing(self, evaluate: EvaluateRequirements) -> Sequence[Output]: ...

    def finished(self, result: RunResult) -> None:
        """Show outputs that failed after the closing ones were shown."""


MakeDisplay = Callable[[RunConfig], Display]
"""Makes the display of a run, and sets up logging for it."""


class RunSession:
    """A run of this process, with its outputs, exporters and guards."""

    def __init__(
        self,
        config: RunConfig,
        environment: Environment,
        make_run: MakeRun,
        display: Display,
        guards: GuardsSetup,
        exporters: Exporters | None = None,
        recording: Recording | None = None,
        outputs: Sequence[Output] = (),
        goes_on: bool = False,
        replanning: Replanning | None = None,
        completing: Sequence[CompleteResult] = (),
        page: "Page | None" = None,
        is_initialised: bool = False,
    ) -> None:
        """`outputs` are those of `outputs_of`; `replanning` applies what listeners of `init` change in the plan,
        functions of `completing` add to the result before it is written. A run that `goes_on` was started by an earlier
        process: its users are running, so its start does not wait for alerts to end. `page` shows the run.
        `is_initialised`: the event `init` was fired before."""
        self._page = page
        self._is_initialised = is_initialised
        self._config = config
        self._environment = environment
        self._make_run = make_run
        self._display = display
        self._guards = guards
        self._exporters = exporters
        self._outputs = outputs
        self._goes_on = goes_on
        self._replanning = replanning
        self._completing = completing
        self._recording = recording
        self._explainer = Explainer(recording, config.file) if recording is not None else None
        self.terminated = False
        """Whether a signal ended the run."""

    def execute(self) -> tuple[RunResult, int]:
        """Execute the run and finish all outputs. Returns the result and the exit code."""
        result = self.run()
        if result.error is not None:
            echo_error(result.error)
        return result, self.quit(result)

    def run(self) -> RunResult:
        """Execute the run without the events `quitting` and `quit`, and without an exit code."""
        exporters, guards, environment = self._exporters, self._guards, self._environment
        # The exporters are first, so that a failing display does not delay them.
        first = exporters.outputs if exporters is not None else []
        outputs = Outputs([*first, *self._outputs, *guards.outputs])
        with guards:
            try:
                run = self._make_run(outputs)
                guards.attach(run)
                if self._page is not None:
                    self._page.service.began(run, guards)
                    self._page.service.live.keep_log()
                if self._explainer is not None:
                    guards.look_for_suspects(partial(self._suspect, self._explainer, run.run_id))
                outputs.start(run)
                if is_imported() and not self._config.outputs.only_summary:
                    logger.info("`import locust` imports obswarm's own classes; --no-locust-compat turns that off.")
                if exporters is not None and not self._config.outputs.only_summary:
                    for notice, secret in exporters.endpoint.notices:
                        logger.info("%s", notice, extra={"secret": secret})
                with _Signals(run) as signals, UncaughtErrors(lambda: environment, signals.interrupt) as uncaught:
                    result: RunResult = uncaught.run(lambda: self._run(run, outputs, signals))
                    self.terminated = signals.came
            finally:
                outputs.close()
        result = outputs.complete(result)
        self._display.finished(result)
        return result

    def _run(self, run: Run, outputs: Outputs, signals: "_Signals") -> RunResult:
        environment = self._environment
        if not self._is_initialised:
            web_ui = environment.web_ui
            environment.events.init.fire(environment=environment, runner=environment.runner, web_ui=web_ui)
            if self._page is not None:
                self._page.web_ui.open()
        if self._replanning is not None:
            self._replanning.apply(run)
        if not self._goes_on:
            self._guards.await_earlier_alerts(run, lambda: signals.came)
        result = run.run()
        if self._guards.coverage is not None:
            result = replace(result, targets=self._guards.coverage.views())
        result = self._explained(result)
        for complete in self._completing:
            result = complete(result)
        signals.call_instead(outputs.stop_waiting)
        outputs.finish(result)
        if self._page is not None:
            self._page.service.ended(result, self._code_of(result))
        run.close()
        outputs.close()
        return result

    @staticmethod
    def _suspect(explainer: Explainer, run_id: str) -> str:
        return explainer.explain(run_id, _GUARD_EXPLAINS_S, yields=True).suspect

    def _explained(self, result: RunResult) -> RunResult:
        """Return the result with what saturated first, if the run broke. Whatever fails is logged."""
        result = self._guards.with_suspect(result)
        if self._explainer is None or result.duration_s < _SHORTEST_S:
            return result
        found = Explained()
        try:
            found = self._explainer.explain(result.run_id, _END_EXPLAINS_S)
        except NOT_ONLY_EXCEPTIONS as error:
            logger.warning("The run is not explained: %s.", str(error).rstrip("."))
        return replace(result, explanation=found.sentence)

    def quit(self, result: RunResult) -> int:
        """Fire the events `quitting` and `quit`, and return the exit code."""
        environment = self._environment
        environment.events.quitting.fire(environment=environment, reverse=True)
        code = environment.process_exit_code
        if code is None:
            code = self._code_of(result)
        environment.events.quit.fire(exit_code=code)
        return code

    def _code_of(self, result: RunResult) -> int:
        wanted = self._config.outputs
        return exit_code_of(result, wanted.exit_code_on_error, wanted.strict, self._guards.evaluate(result))


def watch_run(make_run: Callable[[Outputs], WatchedRun], outputs: Sequence[Output], display: Display) -> RunResult:
    """Receive a run of another process, which evaluates guards and exports metrics, until its end."""
    handed = Outputs(outputs)
    try:
        run = make_run(handed)
        handed.start(run)
        with _Signals(run):
            result = run.run()
            handed.finish(result)
    finally:
        handed.close()
    result = handed.complete(result)
    display.finished(result)
    return result


class _Signals:
    """Ctrl-C stops gracefully, a second one at once; SIGTERM and SIGHUP stop gracefully. A context manager."""

    def __init__(self, run: WatchedRun) -> None:
        self._run = run
        self._interrupts = 0
        self.came = False
        self._was_hung_up = False
        self._instead: Callable[[], None] | None = None
        self._watchers: list[Any] = []

    def __enter__(self) -> "_Signals":
        on = {signal.SIGINT: self.interrupt}
        self._watchers = [
            gevent.signal_handler(kind, on.get(kind) or partial(self._terminate, kind)) for kind in ending_signals()
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._was_hung_up:
            # A terminal that is closed sends it more than once; the default action would end the process while it
            # writes the result.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def call_instead(self, instead: Callable[[], None]) -> None:
        """The run has ended: from now on a signal calls this."""
        self._instead = instead

    def interrupt(self) -> None:
        self.came = True
        if self._instead is not None:
            self._instead()
            return
        self._interrupts += 1
        if self._interrupts == 1:
            logger.info("Interrupted: waiting for running tasks. Ctrl-C again stops at once.")
            self._run.stop(StopReason(StopKind.SIGNAL, "interrupted by Ctrl-C (SIGINT)"))
        else:
            self._run.abort(StopReason(StopKind.SIGNAL, "interrupted by Ctrl-C (SIGINT)"))

    def _terminate(self, kind: signal.Signals) -> None:
        self.came = True
        self._was_hung_up |= kind is signal.SIGHUP
        if self._instead is not None:
            self._instead()
            return
        logger.info("%s: stopping gracefully.", kind.name)
        what = "hung up" if kind is signal.SIGHUP else "terminated"
        self._run.stop(StopReason(StopKind.SIGNAL, f"{what} ({kind.name})"))
