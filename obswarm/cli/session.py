"""Runs a run from the terminal: display, logging, signals, files at the end, exit code. Shared by the commands."""

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import gevent

from obswarm.api import Environment, InternalError, ObswarmError
from obswarm.cli import exit_codes
from obswarm.cli.display import LiveDisplay
from obswarm.cli.exporting import Export
from obswarm.cli.guarding import Guarding
from obswarm.cli.keeping import Keeping
from obswarm.cli.plain import PlainProgress
from obswarm.cli.results import JsonResult, JUnitResult, Log, Summary
from obswarm.cli.streams import STANDARD_OUTPUT, LogFile, StreamLog, say_error
from obswarm.cli.text_console import TextConsole, can_redraw, console_handler, stdout_console
from obswarm.ending_signals import ending_signals
from obswarm.engine import Output, Outputs, Run, RunHandle, RunResult, StopReason, UncaughtErrors
from obswarm.guards import RequirementResult
from obswarm.report import CsvFiles

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Where a run's output goes. `json` is a file's name or `-`."""

    headless: bool = False
    only_summary: bool = False
    json: str | None = None
    csv: str | None = None
    csv_full_history: bool = False
    loglevel: str = "INFO"
    logfile: str | None = None


class Course(RunHandle, Protocol):
    """A run, as far as a terminal is concerned."""

    def run(self) -> RunResult: ...

    def close(self) -> None: ...


class Terminal:
    """All outputs of one run. Raises ObswarmError at once when a file cannot be written."""

    def __init__(self, options: OutputOptions) -> None:
        self._options = options
        # stdout belongs to results, stderr to progress; with the JSON on stdout the summary moves over.
        self.progress_console = TextConsole(stderr=True)
        self.summary_console = stdout_console(sys.stderr if options.json == STANDARD_OUTPUT else sys.stdout)
        self.live = can_redraw(sys.stderr) and not options.headless and not options.only_summary
        self._csv = CsvFiles(options.csv, options.csv_full_history) if options.csv else None
        self._summary = Summary(self.summary_console, self._evaluate)
        self._json = JsonResult(options.json, self._evaluate) if options.json else None
        self.export: Export | None = None
        """Set it before `run` to have the run's metrics exported."""
        self.outputs: list[Output] = []
        """Further ones, to be set before `run`."""
        self.terminated = False
        """Whether a signal ended the run."""
        self.guarding: Guarding | None = None
        """Set it before `run` to have the run guarded."""
        self.keeping: Keeping | None = None
        """Set it before `run` to have the run kept."""
        handler = set_up_logging(options.loglevel, options.logfile, self.progress_console if self.live else None)
        self._log = Log(options.logfile, handler) if options.logfile and isinstance(handler, LogFile) else None

    def run(self, make_run: Callable[[Outputs], Run], environment: Environment) -> RunResult:
        """Run it to its end, whatever happens, and write what was asked for."""
        export, guarding = self.export, self.guarding
        # First, so that a display that fails does not keep the exporters waiting.
        first = export.outputs if export is not None else []
        outputs = Outputs([*first, *self._outputs(), *(guarding.outputs if guarding is not None else ())])
        with guarding or nullcontext():
            try:
                run = make_run(outputs)
                if guarding is not None:
                    guarding.attach(run)
                outputs.start(run)
                if export is not None and not self._options.only_summary:
                    for notice, secret in export.notices:
                        logger.info("%s", notice, extra={"secret": secret})
                with _Signals(run) as signals, UncaughtErrors(lambda: environment, signals.interrupt) as uncaught:
                    result: RunResult = uncaught.run(lambda: self._run(run, outputs, environment, signals))
                    self.terminated = signals.came
            finally:
                outputs.close()
        return self._complete(outputs, result)

    def _run(self, run: Run, outputs: Outputs, environment: Environment, signals: "_Signals") -> RunResult:
        environment.events.init.fire(environment=environment, runner=environment.runner, web_ui=None)
        if self.guarding is not None:
            self.guarding.await_earlier_alerts(run, lambda: signals.came)
        result = run.run()
        if self.guarding is not None and self.guarding.coverage is not None:
            result = replace(result, targets=self.guarding.coverage.views())
        if self.export is not None:
            signals.instead = self.export.cut_short
        outputs.finish(result)
        run.close()
        outputs.close()
        return result

    def run_elsewhere(self, make_run: Callable[[Outputs], Course]) -> RunResult:
        """As `run`, of a run that another process makes, guards and exports."""
        outputs = Outputs(self._outputs())
        try:
            run = make_run(outputs)
            outputs.start(run)
            with _Signals(run):
                result = run.run()
                outputs.finish(result)
        finally:
            outputs.close()
        return self._complete(outputs, result)

    def _complete(self, outputs: Outputs, result: RunResult) -> RunResult:
        """The result with all outputs that have failed; those that did so after the summary are named where a log that
        goes to a file does not tell of them."""
        complete = outputs.complete(result)
        if self._options.logfile:
            for failed in complete.failed_outputs[self._summary.shown_failures :]:
                say_error(f"{failed.output} is not complete: {failed.reason}.")
        return complete

    def _outputs(self) -> list[Output]:
        """In the order in which they are written at the end: the JSON result is last, as it has all that failed."""
        outputs = list(self.outputs)
        if self.live:
            outputs.append(LiveDisplay(self.progress_console))
        elif not self._options.only_summary:
            outputs.append(PlainProgress(sys.stderr))
        if self._csv is not None:
            outputs.append(self._csv)
        if self.guarding is not None and self.guarding.junit:
            outputs.append(JUnitResult(self.guarding.junit, self._evaluate))
        if self._log is not None:
            outputs.append(self._log)
        outputs.append(self._summary)
        if self.keeping is not None:
            outputs.append(self.keeping)
            if self.keeping.report is not None:
                outputs.append(self.keeping.report)
        if self._json is not None:
            outputs.append(self._json)
        return outputs

    def _evaluate(self, result: RunResult) -> Sequence[RequirementResult]:
        return self.guarding.evaluate(result) if self.guarding is not None else []


def set_up_logging(level: str, logfile: str | None = None, console: TextConsole | None = None) -> logging.Handler:
    """To a file, or to a console that shows something else as well, or to standard error. Gives what writes there.

    Raises ObswarmError when the file cannot be written.
    """
    handler: logging.Handler
    if logfile:
        try:
            handler = LogFile(logfile)
        except OSError as error:
            raise ObswarmError(f"--logfile {logfile}: the file cannot be written: {error.strerror}.") from None
    elif console is not None:
        handler = console_handler(console)
    else:
        handler = StreamLog(sys.stderr)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    return handler


class _Signals:
    """Ctrl-C stops gracefully, a second one at once; SIGTERM and SIGHUP stop gracefully. A context manager."""

    def __init__(self, run: Course) -> None:
        self._run = run
        self._interrupts = 0
        self.came = False
        self.instead: Callable[[], None] | None = None
        """What a signal means once the run has ended."""
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

    def interrupt(self) -> None:
        self.came = True
        if self.instead is not None:
            self.instead()
            return
        self._interrupts += 1
        if self._interrupts == 1:
            logger.info("Interrupted: running tasks may finish. Ctrl-C again ends at once.")
            self._run.stop(StopReason("signal", "interrupted by Ctrl-C (SIGINT)"))
        else:
            self._run.abort(StopReason("signal", "interrupted by Ctrl-C (SIGINT)"))

    def _terminate(self, kind: signal.Signals) -> None:
        self.came = True
        if self.instead is not None:
            self.instead()
            return
        logger.info("%s: stopping gracefully.", kind.name)
        what = "hung up" if kind is signal.SIGHUP else "terminated"
        self._run.stop(StopReason("signal", f"{what} ({kind.name})"))


def exit_code_of(
    result: RunResult, on_error: int, strict: bool = False, requirement_results: Sequence[RequirementResult] = ()
) -> int:
    """The exit code that a result stands for; `on_error` is --exit-code-on-error."""
    if isinstance(result.error, InternalError):
        return exit_codes.INCOMPLETE
    if result.stop_reason.kind == "error":
        return exit_codes.USAGE
    if result.stop_reason.kind in ("guard", "alert"):
        return exit_codes.STOPPED_BY_GUARD
    if result.stop_reason.kind == "signal":
        return exit_codes.INTERRUPTED
    if result.losses or result.stop_reason.kind == "lost" or is_incomplete(result) or (strict and result.saturated):
        return exit_codes.INCOMPLETE
    if result.was_never_answered:
        return exit_codes.INCOMPLETE
    if not all(each.met for each in requirement_results):
        return exit_codes.REQUIREMENTS
    if result.final.total.failures or result.final.exceptions:
        return on_error
    return exit_codes.OK


def is_incomplete(result: RunResult) -> bool:
    """Whether something that was asked for is missing: a file, the summary, the record in the store."""
    return any(failed.required for failed in result.failed_outputs)


def exit_code_with(code: int, result: RunResult, on_error: int) -> int:
    """The exit code that another process gave, unless outputs of this one are missing and nothing worse was."""
    mild = (exit_codes.OK, exit_codes.REQUIREMENTS, exit_codes.FAILURES, on_error)
    return exit_codes.INCOMPLETE if is_incomplete(result) and code in mild else code


def conclude(
    result: RunResult,
    environment: Environment,
    options: dict[str, Any],
    requirement_results: Sequence[RequirementResult],
) -> int:
    """Tell what went wrong, fire the last events, and give the exit code."""
    if result.error is not None:
        say_error(result.error)
    environment.events.quitting.fire(environment=environment, reverse=True)
    code = environment.process_exit_code
    if code is None:
        code = exit_code_of(result, options["exit_code_on_error"], options["strict"], requirement_results)
    environment.events.quit.fire(exit_code=code)
    return code
