"""Runs a run from the terminal: display, logging, signals, files at the end, exit code. Shared by the commands."""

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click
import gevent
from rich.console import Console
from rich.logging import RichHandler

from obswarm.api import Environment, ObswarmError
from obswarm.cli import exit_codes
from obswarm.cli.display import LiveDisplay
from obswarm.cli.exporting import Export
from obswarm.cli.guarding import Guarding
from obswarm.cli.keeping import Keeping
from obswarm.cli.plain import PlainProgress
from obswarm.cli.summary import WIDTH_WITHOUT_TERMINAL, print_summary
from obswarm.engine import RunCourse, RunResult, StopReason
from obswarm.guards import Judgement
from obswarm.report import CsvFiles, junit_document, result_document, write_result
from obswarm.stats import Sink

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Output:
    """Where a run's output goes. `json` is a file's name or `-`."""

    headless: bool = False
    only_summary: bool = False
    json: str | None = None
    csv: str | None = None
    csv_full_history: bool = False
    loglevel: str = "INFO"
    logfile: str | None = None


class Course(Protocol):
    """A run, as far as a terminal is concerned."""

    def run(self) -> RunResult: ...

    def stop(self, reason: StopReason) -> None: ...

    def abort(self, reason: StopReason) -> None: ...


class Terminal:
    """Sinks and streams of one run. Raises ObswarmError at once when a file cannot be written."""

    def __init__(self, output: Output) -> None:
        self._output = output
        # stdout belongs to results, stderr to progress; with the JSON on stdout the summary moves over.
        self.progress_console = Console(stderr=True)
        summary_to_stderr = output.json == "-"
        stream = sys.stderr if summary_to_stderr else sys.stdout
        width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
        self.summary_console = Console(file=stream, width=width)
        self.live = sys.stderr.isatty() and not output.headless and not output.only_summary
        self._json_path = _writable(output.json) if output.json and output.json != "-" else None
        self._csv = CsvFiles(output.csv, output.csv_full_history) if output.csv else None
        self._display: LiveDisplay | None = None
        self.export: Export | None = None
        """Set it before `run` to have the run's metrics exported."""
        self.sinks: list[Sink] = []
        """Further ones, to be set before `run`."""
        self.terminated = False
        """Whether a signal ended the run."""
        self.guarding: Guarding | None = None
        """Set it before `run` to have the run guarded."""
        self.keeping: Keeping | None = None
        """Set it before `run` to have the run kept."""
        set_up_logging(output.loglevel, output.logfile, self.progress_console if self.live else None)

    def run(self, make_run: Callable[[list[Sink]], RunCourse], environment: Environment) -> RunResult:
        """Run it to its end, whatever happens, and write what was asked for."""
        with ExitStack() as stack:
            sinks = self._sinks()
            export = self.export
            if export is not None:
                stack.enter_context(export)
                # First, so that a display that fails does not keep the exporters waiting.
                sinks[:0] = export.sinks
                if not self._output.only_summary:
                    for notice in export.notices:
                        logger.info("%s", notice)
            if self.keeping is not None:
                sinks += self.keeping.sinks
            run = make_run(sinks)
            if self.guarding is not None:
                self.guarding.attach(run)
                stack.enter_context(self.guarding)
            if self.keeping is not None:
                self.keeping.attach(run)
                stack.enter_context(self.keeping)
            signals = stack.enter_context(_Signals(run))
            environment.events.init.fire(environment=environment, runner=environment.runner, web_ui=None)
            result = self._show(run)
            self._write(result)
            run.close()
            if export is not None:
                finishing = gevent.spawn(export.finish, result.final)
                signals.instead = lambda: finishing.kill(block=False)
                finishing.join()
            self.terminated = signals.came
        return result

    def run_elsewhere(self, make_run: Callable[[list[Sink]], Course]) -> RunResult:
        """As `run`, of a run that another process makes, guards and exports."""
        with self.keeping or nullcontext():
            run = make_run(self._sinks() + (self.keeping.sinks if self.keeping is not None else []))
            with _Signals(run):
                result = self._show(run)
                self._write(result)
        return result

    def _sinks(self) -> list[Sink]:
        sinks = list(self.sinks)
        if self._csv:
            sinks.append(self._csv)
        if self.live:
            self._display = LiveDisplay(self.progress_console)
            sinks.append(self._display)
        elif not self._output.only_summary:
            sinks.append(PlainProgress(sys.stderr))
        return sinks

    def _show(self, run: Course) -> RunResult:
        with self._display or nullcontext():
            return run.run()

    def _write(self, result: RunResult) -> None:
        if self._csv:
            self._csv.finish(result.final)
        judgements = self.guarding.judge(result) if self.guarding is not None else []
        print_summary(self.summary_console, result, judgements)
        self._write_json(result, judgements)
        self._write_junit(result, judgements)
        if self.keeping is not None:
            self.keeping.finish(result, result_document(result, judgements))

    def _write_junit(self, result: RunResult, judgements: Sequence[Judgement]) -> None:
        path = self.guarding.junit if self.guarding is not None else None
        if path is None:
            return
        try:
            Path(path).write_text(junit_document(result, judgements))
        except OSError as error:
            click.echo(f"Error: --junit {path}: {error.strerror}.", err=True)

    def _write_json(self, result: RunResult, judgements: Sequence[Judgement]) -> None:
        if not self._output.json:
            return
        document = result_document(result, judgements)
        if self._json_path is None:
            write_result(document, sys.stdout)
            sys.stdout.flush()
            return
        try:
            with open(self._json_path, "w") as file:
                write_result(document, file)
        except OSError as error:
            # It could be written when the run began; what was measured still goes somewhere.
            click.echo(f"Error: --json {self._json_path}: {error.strerror}; here it is instead:", err=True)
            write_result(document, sys.stdout)


def set_up_logging(level: str, logfile: str | None = None, console: Console | None = None) -> None:
    """To a file, or to a console that shows something else as well, or to standard error.

    Raises ObswarmError when the file cannot be written.
    """
    handler: logging.Handler
    if logfile:
        try:
            handler = logging.FileHandler(logfile)
        except OSError as error:
            raise ObswarmError(f"--logfile {logfile}: the file cannot be written: {error.strerror}.") from None
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    elif console is not None:
        handler = RichHandler(console=console, show_path=False, omit_repeated_times=False)
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class _Signals:
    """Ctrl-C stops gracefully, a second one at once; SIGTERM stops gracefully. A context manager."""

    def __init__(self, run: Course) -> None:
        self._run = run
        self._interrupts = 0
        self.came = False
        self.instead: Callable[[], None] | None = None
        """What a signal means once the run has ended."""
        self._watchers: list[Any] = []

    def __enter__(self) -> "_Signals":
        self._watchers = [
            gevent.signal_handler(signal.SIGINT, self._interrupt),
            gevent.signal_handler(signal.SIGTERM, self._terminate),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _interrupt(self) -> None:
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

    def _terminate(self) -> None:
        self.came = True
        if self.instead is not None:
            self.instead()
            return
        logger.info("SIGTERM: stopping gracefully.")
        self._run.stop(StopReason("signal", "terminated (SIGTERM)"))


def _writable(path: str) -> str:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a"):
            pass
    except OSError as error:
        raise ObswarmError(f"--json {path}: the file cannot be written: {error.strerror}.") from None
    return path


def exit_code_of(result: RunResult, on_error: int, strict: bool = False, judgements: Sequence[Judgement] = ()) -> int:
    """The exit code that a result stands for; `on_error` is --exit-code-on-error."""
    if result.stop_reason.kind == "error":
        return exit_codes.USAGE
    if result.stop_reason.kind in ("guard", "alert"):
        return exit_codes.STOPPED_BY_GUARD
    if result.stop_reason.kind == "signal":
        return exit_codes.INTERRUPTED
    if result.losses or result.stop_reason.kind == "lost" or (strict and result.saturated):
        return exit_codes.INCOMPLETE
    if not all(judgement.met for judgement in judgements):
        return exit_codes.REQUIREMENTS
    if result.final.total.failures or result.final.exceptions:
        return on_error
    return exit_codes.OK


def conclude(
    result: RunResult, environment: Environment, options: dict[str, Any], judgements: Sequence[Judgement]
) -> int:
    """Tell what went wrong, fire the last events, and give the exit code."""
    if result.error is not None:
        click.echo(f"Error: {result.error}", err=True)
    environment.events.quitting.fire(environment=environment, reverse=True)
    code = environment.process_exit_code
    if code is None:
        code = exit_code_of(result, options["exit_code_on_error"], options["strict"], judgements)
    environment.events.quit.fire(exit_code=code)
    return code
